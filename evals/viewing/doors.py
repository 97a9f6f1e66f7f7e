"""Who may ask the viewer, and what a browser may do with its answers."""

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Pages have their style within them, and no script; they load nothing."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class HostDoor:
    """Lets in who asks by an address or by a known name.

    A foreign page can have its own name point here (DNS rebinding) and read what comes back; its
    browser then says that name.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = ()) -> None:
        """Args: names: besides `localhost`."""
        self._app = app
        self._names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            return
        if not self._is_known(Headers(scope=scope).get("host", "")):
            refused = PlainTextResponse("This host name is not known here.", status_code=421)
            await refused(scope, receive, _hardened(send))
            return
        await self._app(scope, receive, _hardened(send))

    def _is_known(self, host: str) -> bool:
        name, bracket, rest = host.lower().partition("]")
        name = f"{name}]" if bracket else name.partition(":")[0]
        if bracket and rest and not rest.startswith(":"):
            return False
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


def _hardened(send: Send) -> Send:
    async def harder(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return harder
