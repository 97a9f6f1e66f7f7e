"""What the product is to an authorization server: a client that root names, or one that registers.

Dynamic registration is RFC 7591.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote

from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata
from pydantic import AnyUrl

from tools.authorization.metadata import AuthorizationServer
from tools.authorization.wire import AuthorizationWire
from tools.config import OAuthEntry
from tools.errors import AuthorizationFailed, AuthorizationRefused

CLIENT_NAME = "YouWorker"
_METHODS = ("client_secret_basic", "client_secret_post", "none")
_MADE = frozenset({200, 201})
_END_MAX = 2.0**40
"""In seconds since 1970; a secret that lasts longer does not end."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """How the product proves to an authorization server that it is this client."""

    id: str
    secret: str | None = field(default=None, repr=False)
    method: str = "none"
    """One of `token_endpoint_auth_methods_supported`."""
    expires_at: float | None = None
    """When the secret ends, in seconds since 1970."""
    scopes: tuple[str, ...] | None = None
    """What it may ask for; None if that is not limited by who it is."""

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Client":
        """Return what `as_json` made an object of."""
        scopes = kept["scopes"]
        return cls(**{**kept, "scopes": None if scopes is None else tuple(scopes)})

    def may_ask(self, scopes: tuple[str, ...]) -> bool:
        """Whether it may ask for all of these."""
        return self.scopes is None or set(scopes) <= set(self.scopes)

    def prove(self, fields: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the fields of a request and its headers, with the proof in one of them."""
        given = {**fields, "client_id": self.id}
        if self.secret is not None and self.method == "client_secret_basic":
            # RFC 6749, section 2.3.1
            text = f"{quote(self.id, safe='')}:{quote(self.secret, safe='')}"
            proof = base64.b64encode(text.encode()).decode()
            return given, {"Authorization": f"Basic {proof}"}
        if self.secret is not None and self.method == "client_secret_post":
            given["client_secret"] = self.secret
        return given, {}


def configured_client(entry: OAuthEntry, server: AuthorizationServer) -> Client | None:
    """Return the client that root has registered there; None if there is none."""
    if entry.client_id is None:
        return None
    if entry.client_secret is None:
        return Client(id=entry.client_id)
    basic = "client_secret_post" not in server.auth_methods or (
        "client_secret_basic" in server.auth_methods
    )
    return Client(
        id=entry.client_id,
        secret=entry.client_secret.get_secret_value(),
        method="client_secret_basic" if basic else "client_secret_post",
    )


async def register_client(
    wire: AuthorizationWire,
    server: AuthorizationServer,
    *,
    redirect_url: str,
    scopes: tuple[str, ...],
    home: str,
) -> Client:
    """Make the product a client of an authorization server.

    Raises:
        AuthorizationFailed: It takes no clients by itself, or its answer is not usable.
    """
    if server.registration_endpoint is None:
        raise AuthorizationFailed(
            "its authorization server registers nobody by itself: the entry needs a clientId"
        )
    method = next((each for each in _METHODS if each in server.auth_methods), None)
    if method is None:
        raise AuthorizationFailed("its authorization server wants a proof that is not known here")
    wanted = OAuthClientMetadata(
        redirect_uris=[AnyUrl(redirect_url)],
        token_endpoint_auth_method=method,
        scope=" ".join(scopes) or None,
        client_name=CLIENT_NAME,
    )
    answer = await wire.ask(
        "POST",
        server.registration_endpoint,
        home=home,
        json=wanted.model_dump(mode="json", by_alias=True, exclude_none=True),
    )
    if answer.status not in _MADE:
        raise AuthorizationRefused("its authorization server does not take the product as a client")
    return _read_client(answer.body, redirect_url, asked_method=method, scopes=scopes)


def _read_client(
    body: bytes, redirect_url: str, *, asked_method: str, scopes: tuple[str, ...]
) -> Client:
    try:
        made = OAuthClientInformationFull.model_validate_json(body)
        said = json.loads(body)
    except ValueError as error:
        raise AuthorizationFailed("what it made of the product as a client is unclear") from error
    if not made.client_id or redirect_url not in (said.get("redirect_uris") or [redirect_url]):
        raise AuthorizationFailed("what it made of the product as a client is unclear")
    method = made.token_endpoint_auth_method or asked_method
    if method not in _METHODS or (method != "none" and made.client_secret is None):
        raise AuthorizationFailed("its authorization server wants a proof that is not known here")
    return Client(
        id=made.client_id,
        secret=made.client_secret,
        method=method,
        expires_at=_end_of_secret(made.client_secret_expires_at),
        scopes=scopes,
    )


def _end_of_secret(said: int | None) -> float | None:
    # 0 is the protocol's word for "never"; what no clock comes to is taken for the same.
    return float(said) if said is not None and 0 < said < _END_MAX else None
