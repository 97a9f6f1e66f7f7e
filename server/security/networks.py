"""Ranges of internet addresses, as settings name them."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator

from tools.settings import LISTED

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ADDRESS_MAX_CHARS = 64
"""More than any address takes, with its zone and brackets."""
_REMEMBERED = 4_096
_MAPPED_BITS = 96
"""Bits that come before an IPv4 address in the IPv6 form of it (RFC 4291, 2.5.5.2)."""


class Networks:
    """A set of address ranges; the verdicts on addresses seen before are kept."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(networks)
        self._judge = lru_cache(_REMEMBERED)(self._contains)

    def __contains__(self, host: str) -> bool:
        return len(host) <= ADDRESS_MAX_CHARS and self._judge(host)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def _contains(self, host: str) -> bool:
        address = parse_address(host)
        return address is not None and any(address in network for network in self._networks)


def parse_address(text: str) -> Address | None:
    """Read an address, be it with brackets, a zone or a port; IPv4 in its IPv6 form becomes IPv4.

    Returns:
        The address, or None if the text is none.
    """
    host = text.strip()
    if host.startswith("["):
        host, closed, port = host[1:].partition("]")
        if not closed or (port and not (port[0] == ":" and _is_port(port[1:]))):
            return None
    elif host.count(":") == 1:  # IPv6 without brackets has two at least
        host, _, port = host.partition(":")
        if not _is_port(port):
            return None
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: str) -> Network:
    """Read a range, `10.0.0.0/8`, or a single address.

    Raises:
        ValueError: It is neither; the message is for whoever wrote the setting.
    """
    try:
        network = ipaddress.ip_network(text)
    except ValueError as exc:
        raise ValueError(
            f"{text!r} is no address range such as 10.0.0.0/8 or 2001:db8::/32 ({exc})"
        ) from exc
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5


def _parse_text(value: object) -> object:
    return parse_network(value) if isinstance(value, str) else value


NetworkList = Annotated[tuple[Annotated[Network, BeforeValidator(_parse_text)], ...], *LISTED]
"""A setting: ranges of addresses."""
