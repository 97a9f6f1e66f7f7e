"""What tool servers and authorization servers publish of themselves, checked before it is used."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mcp.client.auth.utils import issuers_match
from mcp.shared.auth import OAuthMetadata, ProtectedResourceMetadata
from mcp.shared.auth_utils import check_resource_allowed, resource_url_from_server_url

from tools.authorization.challenges import read_scopes
from tools.errors import AuthorizationFailed

SCOPES_MAX = 100
"""What is said beyond that is not asked for."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What a tool server says of its protection (RFC 9728)."""

    identifier: str
    """What tokens are asked for, as the server spells it."""
    issuer: str
    """The authorization server that it trusts first."""
    scopes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AuthorizationServer:
    """What of an authorization server's metadata is used (RFC 8414, OpenID Connect Discovery)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str | None
    revocation_endpoint: str | None
    auth_methods: tuple[str, ...]
    """How clients may prove themselves at the token endpoint."""
    names_itself: bool
    """Whether its answers to browsers carry `iss` (RFC 9207)."""
    offers_offline: bool
    """Whether refresh tokens are to be asked for by a scope of their own."""

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "AuthorizationServer":
        """Return what `as_json` made an object of."""
        return cls(**{**kept, "auth_methods": tuple(kept["auth_methods"])})

    def spoke(self, issuer: str | None) -> bool:
        """Whether an answer that a browser brought can be from this server (RFC 9207, 2.4)."""
        if issuer is None:
            return not self.names_itself
        return issuers_match(issuer, self.issuer)


class _PublishedServer(OAuthMetadata):
    authorization_response_iss_parameter_supported: bool = False


def read_resource(body: bytes, *, server_url: str) -> Resource:
    """Read a tool server's metadata.

    Raises:
        AuthorizationFailed: It is none, or that of another server.
    """
    try:
        published = ProtectedResourceMetadata.model_validate_json(body)
        said = json.loads(body)
    except ValueError as error:
        raise AuthorizationFailed("what it says of its authorization makes no sense") from error
    identifier = said["resource"]
    if not check_resource_allowed(resource_url_from_server_url(server_url), identifier):
        raise AuthorizationFailed("what it says of its authorization is about another server")
    return Resource(
        identifier=identifier,
        issuer=said["authorization_servers"][0],
        scopes=_scopes(published.scopes_supported or ()),
    )


def read_server(body: bytes, *, issuer: str) -> AuthorizationServer:
    """Read an authorization server's metadata.

    Raises:
        AuthorizationFailed: It is none, that of another issuer, or the server lacks what OAuth 2.1
            asks of it.
    """
    try:
        published = _PublishedServer.model_validate_json(body)
        said = json.loads(body)["issuer"]
    except ValueError as error:
        raise AuthorizationFailed("what its authorization server says makes no sense") from error
    if not issuers_match(said, issuer):
        raise AuthorizationFailed("its authorization server calls itself by another name")
    if "S256" not in (published.code_challenge_methods_supported or []):
        raise AuthorizationFailed("its authorization server does not offer PKCE with S256")
    if "code" not in published.response_types_supported:
        raise AuthorizationFailed("its authorization server gives out no codes")
    return AuthorizationServer(
        issuer=said,
        authorization_endpoint=str(published.authorization_endpoint),
        token_endpoint=str(published.token_endpoint),
        registration_endpoint=_text(published.registration_endpoint),
        revocation_endpoint=_text(published.revocation_endpoint),
        auth_methods=tuple(
            published.token_endpoint_auth_methods_supported or ["client_secret_basic"]
        ),
        names_itself=published.authorization_response_iss_parameter_supported,
        offers_offline="offline_access" in (published.scopes_supported or []),
    )


def _scopes(said: Iterable[str]) -> tuple[str, ...]:
    """Those that are spelled as scopes are."""
    return read_scopes(" ".join(each for each in said if " " not in each))[:SCOPES_MAX]


def _text(address: object) -> str | None:
    return None if address is None else str(address)
