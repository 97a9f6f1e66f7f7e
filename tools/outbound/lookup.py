"""From names to addresses: looked up once, and connected to as they were judged."""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp.abc import AbstractResolver, ResolveResult

from tools.outbound.addresses import Address

LOOKUPS_AT_ONCE = 64
"""A lookup is a thread that waits."""
CROWDED_LOOKUPS = 32
"""From here on domains are looked at whose names were given up for hanging."""
LEFT_BEHIND_OF_DOMAIN = 4
"""So many of them may then hang on."""

AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]


class Resolver(Protocol):
    """Looks up names."""

    async def resolve(self, host: str) -> Sequence[Address]:
        """Return all addresses that a name has, the best first; none if there is no such name."""
        ...


def look_up(host: str) -> Sequence[Address]:
    """Ask the system, which can take half a minute and cannot be stopped."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    addresses = (ipaddress.ip_address(str(address[0])) for *_, address in found)
    return tuple(dict.fromkeys(addresses))


class SystemResolver:
    """Asks the system, for each name in a thread of its own: names that hang hold up no others.

    Whoever waits for the same name waits for the same thread. When many lookups hang, a domain that
    left them behind is not asked for further names until they have ended.
    """

    def __init__(self, look_up: Callable[[str], Sequence[Address]] = look_up) -> None:
        self._look_up = look_up
        self._lookups: dict[str, _Lookup] = {}

    async def resolve(self, host: str) -> Sequence[Address]:
        """As `Resolver.resolve`."""
        lookup = self._lookups.get(host)
        if lookup is None:
            if not self._has_room(_domain(host)):
                return ()
            lookup = self._begin(host)
        lookup.waiting += 1
        try:
            return await asyncio.shield(lookup.found)
        finally:
            lookup.waiting -= 1

    def _has_room(self, domain: str) -> bool:
        if len(self._lookups) < CROWDED_LOOKUPS:
            return True
        left_behind = sum(
            not lookup.waiting and _domain(host) == domain for host, lookup in self._lookups.items()
        )
        return len(self._lookups) < LOOKUPS_AT_ONCE and left_behind < LEFT_BEHIND_OF_DOMAIN

    def _begin(self, host: str) -> "_Lookup":
        loop = asyncio.get_running_loop()
        lookup = self._lookups[host] = _Lookup(found=loop.create_future())

        def end(addresses: Sequence[Address]) -> None:
            del self._lookups[host]
            lookup.found.set_result(addresses)

        def ask() -> None:
            addresses: Sequence[Address] = ()
            try:
                addresses = self._look_up(host)
            finally:
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(end, addresses)

        # Not of a pool: those are waited for when the process ends.
        threading.Thread(target=ask, name="lookup", daemon=True).start()
        return lookup


@dataclass
class _Lookup:
    """A name that the system is being asked for."""

    found: "asyncio.Future[Sequence[Address]]"
    waiting: int = 0
    """Who has not given up."""


def _domain(host: str) -> str:
    return ".".join(host.rsplit(".", 2)[-2:])


class PinnedResolver(AbstractResolver):
    """Gives the connector the addresses that were judged, whatever a name means by now."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = tuple(addresses)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The judged addresses, for any name."""
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Hold nothing."""

    def open_socket(self, info: AddressInfo) -> socket.socket:
        """Make the socket for a connection; the connector reads literal addresses by itself.

        Raises:
            OSError: It is about to connect to what was not judged.
        """
        family, kind, protocol, _, address = info
        if ipaddress.ip_address(address[0]) not in self._addresses:
            raise OSError("not an address that was judged")
        return socket.socket(family, kind, protocol)
