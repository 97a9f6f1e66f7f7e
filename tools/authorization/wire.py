"""The wire to authorization servers, whose addresses come from servers that nobody vouches for.

What a tool server names must not make the product ask addresses inside the building: all but the
tool server's own origin and the hosts that settings allow is judged as whatever strangers name.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tools.errors import AuthorizationFailed, AuthorizationUnreachable, UrlNotAllowed
from tools.origins import is_loopback, origin_of
from tools.outbound.addresses import Address, AddressRules
from tools.outbound.lookup import PinnedResolver, Resolver, SystemResolver
from tools.outbound.targets import Target, TargetRules
from tools.settings import OutboundSettings

REQUEST_SECONDS = 10.0
"""How long one request may take, from the lookup to the last byte."""
ANSWER_MAX_BYTES = 256 * 1024
_PIECE_BYTES = 16 * 1024
_ANY_PORT = range(1, 65_536)
_ANYWHERE = (ipaddress.IPv4Network("0.0.0.0/0"), ipaddress.IPv6Network("::/0"))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    body: bytes = field(repr=False)
    challenge: str = ""
    """The `WWW-Authenticate` header."""


class AuthorizationWire:
    """Asks with bounds on time and size, follows no redirect, keeps no cookie."""

    def __init__(
        self,
        outbound: OutboundSettings,
        *,
        hosts: Collection[str] = (),
        allow_plain: bool = False,
        resolver: Resolver | None = None,
    ) -> None:
        """Prepare it.

        Args:
            outbound: What may be asked whoever names it.
            hosts: Those that may be asked besides, wherever they stand; `*.example.org` as well.
            allow_plain: Whether this machine may be asked without TLS, as in development.
            resolver: Looks up names.
        """
        self._outbound = outbound
        self._allow_plain = allow_plain
        self._resolver = resolver or SystemResolver()
        self._hosts = tuple(hosts)
        self._known = TargetRules(ports=_ANY_PORT, allowed_hosts=self._hosts)
        self._own = TargetRules(ports=_ANY_PORT)
        self._strangers = TargetRules(
            ports=outbound.ports,
            allowed_hosts=outbound.allow_hosts,
            denied_hosts=outbound.deny_hosts,
        )
        self._stranger_addresses = AddressRules(
            allowed=outbound.allow_private, denied=outbound.deny_addresses
        )
        self._tls: ssl.SSLContext | bool = True
        if outbound.ca_file is not None:
            self._tls = ssl.create_default_context(cafile=outbound.ca_file)

    async def ask(
        self,
        method: str,
        url: str,
        *,
        home: str,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        json: Any = None,
        reads: bool = True,
    ) -> Answer:
        """Make one request.

        Args:
            method: As HTTP has it.
            url: Where to.
            home: The tool server's own address, whose origin is asked wherever it stands.
            headers: What is sent along.
            data: A form.
            json: Or something else.
            reads: Whether what comes after the headers is of interest.

        Raises:
            AuthorizationFailed: The address is none that is asked, or what answers is not usable.
            AuthorizationUnreachable: Nothing answers there that may be asked.
        """
        target, rules, proxy = self._judge_text(url, home)
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                addresses = await self._judge_addresses(target, rules, by_proxy=proxy is not None)
                async with (
                    self._open_session(addresses, by_proxy=proxy is not None) as session,
                    session.request(
                        method,
                        target.url,
                        headers=sent,
                        data=data,
                        json=json,
                        allow_redirects=False,
                        proxy=proxy,
                    ) as answer,
                ):
                    return await _read(answer, target.host, reads=reads)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise AuthorizationUnreachable(target.host) from error

    def require_safe(self, url: str) -> None:
        """See to it that what is sent to an address can be read by nobody on the way.

        Raises:
            AuthorizationFailed: It can.
        """
        scheme, host, _ = origin_of(url)
        if scheme == "https" or (scheme == "http" and self._allow_plain and is_loopback(host)):
            return
        raise AuthorizationFailed("an address of its authorization does not speak TLS")

    def require_showable(self, url: str) -> None:
        """See to it that a person's browser may be sent to an address, and that it looks like it.

        Raises:
            AuthorizationFailed: It may not: it names a user, say, and so seems to be of another.
        """
        self.require_safe(url)
        if not url.isascii():
            raise AuthorizationFailed("an address of its authorization is not shown to people")
        self._read(self._own, url)

    def is_named(self, url: str) -> bool:
        """Whether settings name the host of an address."""
        if not self._hosts:
            return False
        try:
            self._known.read(url)
        except UrlNotAllowed:
            return False
        return True

    def _judge_text(self, url: str, home: str) -> tuple[Target, AddressRules, str | None]:
        """Say by whose rules an address is asked, and through which proxy."""
        self.require_safe(url)
        if origin_of(url) == origin_of(home):
            return self._read(self._own, url), AddressRules(allowed=_ANYWHERE), None
        if self.is_named(url):
            return self._known.read(url), AddressRules(allowed=_ANYWHERE), None
        target = self._read(self._strangers, url)
        if not self._outbound.enabled:
            raise AuthorizationUnreachable(target.host)
        proxy = None if self._outbound.proxy is None else str(self._outbound.proxy)
        return target, self._stranger_addresses, proxy

    def _read(self, rules: TargetRules, url: str) -> Target:
        try:
            return rules.read(url)
        except UrlNotAllowed as error:
            raise AuthorizationFailed("an address of its authorization is not asked") from error

    async def _judge_addresses(
        self, target: Target, rules: AddressRules, *, by_proxy: bool
    ) -> Sequence[Address]:
        found: Sequence[Address] = (target.address,) if target.address is not None else ()
        if not found:
            found = await self._resolver.resolve(target.host)
        if not all(map(rules.permit, found)) or not (found or by_proxy):
            raise AuthorizationUnreachable(target.host)
        return found

    def _open_session(
        self, addresses: Sequence[Address], *, by_proxy: bool
    ) -> aiohttp.ClientSession:
        if by_proxy:
            connector = aiohttp.TCPConnector(force_close=True, ssl=self._tls)
        else:
            pinned = PinnedResolver(addresses)
            connector = aiohttp.TCPConnector(
                resolver=pinned,
                socket_factory=pinned.open_socket,
                use_dns_cache=False,
                force_close=True,
                ssl=self._tls,
            )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
        )


async def _read(answer: aiohttp.ClientResponse, host: str, *, reads: bool) -> Answer:
    if 300 <= answer.status < 400:
        raise AuthorizationFailed(f"{host} redirects where an answer is needed")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise AuthorizationFailed(f"{host} packs its answers, which was not asked for")
    challenge = ", ".join(answer.headers.getall("WWW-Authenticate", []))
    if not reads:
        return Answer(status=answer.status, body=b"", challenge=challenge)
    body = bytearray()
    async for piece in answer.content.iter_chunked(_PIECE_BYTES):
        body += piece
        if len(body) > ANSWER_MAX_BYTES:
            raise AuthorizationFailed(f"{host} answers with more than {ANSWER_MAX_BYTES} bytes")
    return Answer(status=answer.status, body=bytes(body), challenge=challenge)
