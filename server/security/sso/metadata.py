"""What an OpenID provider says of itself."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from server.errors import UpstreamFailed
from server.security.sso.connection import NOT_PROPER

DISCOVERY_PATH = "/.well-known/openid-configuration"


@dataclass(frozen=True, kw_only=True)
class ProviderMetadata:
    """What of the discovery document is used (OpenID Connect Discovery 1.0, section 3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods: tuple[str, ...]
    names_itself: bool
    """Whether its answers carry `iss`, against mix-up of providers (RFC 9207)."""


def read_metadata(document: dict[str, Any], issuer: str) -> ProviderMetadata:
    """Reads a discovery document.

    Raises:
        UpstreamFailed: It is another issuer's, or lacks something.
    """
    if document.get("issuer") != issuer:
        raise UpstreamFailed("The identity provider calls itself by another issuer's name.")
    methods = document.get("token_endpoint_auth_methods_supported")
    return ProviderMetadata(
        authorization_endpoint=_endpoint(document, "authorization_endpoint", issuer),
        token_endpoint=_endpoint(document, "token_endpoint", issuer),
        jwks_uri=_endpoint(document, "jwks_uri", issuer),
        token_endpoint_auth_methods=tuple(methods) if isinstance(methods, list) else (),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(document: dict[str, Any], name: str, issuer: str) -> str:
    """An address out of the document; one whose issuer speaks TLS speaks it everywhere."""
    address = document.get(name)
    schemes = {"https"} if urlsplit(issuer).scheme == "https" else {"http", "https"}
    if not isinstance(address, str) or urlsplit(address).scheme not in schemes:
        raise UpstreamFailed(NOT_PROPER)
    return address
