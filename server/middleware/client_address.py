"""Who is at the other end, though proxies stand between."""

from starlette.types import ASGIApp, Receive, Scope, Send

from server.middleware.request_headers import find_header, find_headers
from server.security.networks import ADDRESS_MAX_CHARS, Networks, parse_address

HOPS_MAX = 32
"""More proxies than any installation has in a row."""
_SCHEMES = {"http": {"http", "https"}, "websocket": {"ws", "wss"}}
_WEBSOCKET_SCHEMES = {"http": "ws", "https": "wss"}


class ClientAddressMiddleware:
    """Puts the true client into `scope["client"]` and leaves the immediate peer in the state.

    Each proxy appends to X-Forwarded-For whom it was asked by, so the header is read from the
    right, as long as it was proxies that we trust who wrote. What stands further left, anybody may
    have written.
    """

    def __init__(self, app: ASGIApp, *, trusted_proxies: Networks) -> None:
        self._app = app
        self._trusted = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] in _SCHEMES:
            peer = scope.get("client")
            scope.setdefault("state", {})["peer"] = peer
            if peer is not None and peer[0] in self._trusted:
                self._believe(scope, peer[0])
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope, peer: str) -> None:
        client = self._find_client(peer, find_headers(scope, b"x-forwarded-for"))
        if client != peer:
            scope["client"] = None if client is None else (client, 0)
        scheme = find_header(scope, b"x-forwarded-proto").rpartition(",")[2].strip().lower()
        if scope["type"] == "websocket":
            scheme = _WEBSOCKET_SCHEMES.get(scheme, scheme)
        if scheme in _SCHEMES[scope["type"]]:
            scope["scheme"] = scheme

    def _find_client(self, peer: str, headers: list[str]) -> str | None:
        """The nearest address that is no trusted proxy; None if a proxy wrote what is none."""
        rest = ",".join(headers)
        client = peer
        for _ in range(HOPS_MAX):
            if not rest:
                return client
            rest, _, entry = rest.rpartition(",")
            address = parse_address(entry) if len(entry) <= ADDRESS_MAX_CHARS else None
            if address is None:
                return None
            client = str(address)
            if client not in self._trusted:
                return client
        return None
