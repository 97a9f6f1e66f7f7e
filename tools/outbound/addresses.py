"""Which addresses of the internet may be connected to."""

import ipaddress
from collections.abc import Iterator, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(map(ipaddress.ip_network, texts))


# https://www.iana.org/assignments/iana-ipv4-special-registry
_NOT_PUBLIC = _networks(
    "0.0.0.0/8",  # this host
    "10.0.0.0/8",
    "100.64.0.0/10",  # behind carriers' NAT
    "127.0.0.0/8",
    "169.254.0.0/16",  # link-local
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",  # relays to 6to4
    "192.168.0.0/16",
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
    # https://www.iana.org/assignments/iana-ipv6-special-registry, as far as it is in _GLOBAL
    "2001::/23",  # Teredo and other assignments of the IETF
    "2001:db8::/32",
    "2002::/16",  # 6to4: holds an IPv4 address
    "3fff::/20",
)
_GLOBAL = ipaddress.IPv6Network("2000::/3")
"""All that is given out. Every form that maps, translates or embeds IPv4 lies outside of it, but
for 6to4 and Teredo above and ISATAP below."""
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
"""Bits 64 to 95 of an address that holds an IPv4 address (RFC 5214, 6.1)."""
_EMBEDDING = _networks(
    "::/96",  # IPv4-compatible
    "::ffff:0:0/96",  # IPv4-mapped
    "::ffff:0:0:0/96",  # IPv4-translated
    "64:ff9b::/96",  # NAT64
    "64:ff9b:1::/48",
)
"""Addresses that end in an IPv4 address, to which they lead."""
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
        ),
    )
)
"""Where clouds hand out the secrets of a machine; no setting opens them."""


class AddressRules:
    """Judges addresses: public ones may be reached, others where a setting says so."""

    def __init__(self, *, allowed: Sequence[Network] = (), denied: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)
        self._denied = tuple(denied)

    def permit(self, address: Address) -> bool:
        """Whether it may be connected to, and so may an address that it holds."""
        return all(map(self._permit, (address, *_embedded(address))))

    def _permit(self, address: Address) -> bool:
        if address in _METADATA or any(address in network for network in self._denied):
            return False
        return any(address in network for network in self._allowed) or _is_public(address)


def _is_public(address: Address) -> bool:
    if any(address in network for network in _NOT_PUBLIC):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return address in _GLOBAL and (int(address) >> 32) & 0xFFFFFFFF not in _ISATAP


def _embedded(address: Address) -> Iterator[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return
    number = int(address)
    end = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if any(address in network for network in _EMBEDDING):
        if number > 0xFFFFFF:  # what is below means this host itself
            yield end
    elif (number >> 32) & 0xFFFFFFFF in _ISATAP:
        yield end
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
