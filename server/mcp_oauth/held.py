"""What is kept of an authorization, beside whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from mcp.shared.auth_utils import resource_url_from_server_url

from tools.authorization.clients import Client
from tools.authorization.grants import Grant, Tokens
from tools.authorization.metadata import AuthorizationServer
from tools.config import HttpServer


def place_of(config: HttpServer) -> str:
    """Where tokens go: those for one place are never sent to another, whatever it is called."""
    return resource_url_from_server_url(config.url)


@dataclass(frozen=True, kw_only=True)
class HeldAuthorization:
    """An authorization that can be used, renewed and ended."""

    server_name: str
    place: str
    """The server's address when it was granted."""
    resource: str
    """What the tokens are for, as the server spells it."""
    client: Client
    issuer: AuthorizationServer
    scopes: tuple[str, ...] = ()
    more_scopes: tuple[str, ...] = ()
    """What the server has asked for beyond them."""
    access: str = field(default="", repr=False)
    """Empty when it has ended, or is not granted yet."""
    refresh: str | None = field(default=None, repr=False)
    lifetime: int | None = None
    """How many seconds the access token was good for when it came; None if that was not said."""

    @property
    def grant(self) -> Grant:
        """What requests for tokens are made with."""
        return Grant(
            server=self.issuer, client=self.client, resource=self.resource, home=self.place
        )

    def with_tokens(self, tokens: Tokens) -> Self:
        """The same with fresh tokens; a refresh token that is not replaced is good for longer."""
        return replace(
            self,
            access=tokens.access,
            refresh=tokens.refresh or self.refresh,
            lifetime=tokens.seconds,
            scopes=self.scopes if tokens.scopes is None else tokens.scopes,
        )

    def ended(self) -> Self:
        """The same without any tokens."""
        return replace(self, access="", refresh=None)

    def as_json(self) -> dict[str, Any]:
        """Returns it as a JSON object."""
        return {
            "server_name": self.server_name,
            "place": self.place,
            "resource": self.resource,
            "client": self.client.as_json(),
            "issuer": self.issuer.as_json(),
            "scopes": list(self.scopes),
            "more_scopes": list(self.more_scopes),
            "access": self.access,
            "refresh": self.refresh,
            "lifetime": self.lifetime,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Returns what `as_json` made an object of."""
        return cls(
            server_name=kept["server_name"],
            place=kept["place"],
            resource=kept["resource"],
            client=Client.from_json(kept["client"]),
            issuer=AuthorizationServer.from_json(kept["issuer"]),
            scopes=tuple(kept["scopes"]),
            more_scopes=tuple(kept["more_scopes"]),
            access=kept["access"],
            refresh=kept["refresh"],
            lifetime=kept["lifetime"],
        )


def end_of(tokens: Tokens, now: float) -> datetime | None:
    """When an access token ends that was made just now; None if that was not said."""
    if tokens.seconds is None:
        return None
    return datetime.fromtimestamp(now, UTC) + timedelta(seconds=tokens.seconds)
