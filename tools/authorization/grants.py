"""From a person's consent to tokens, to fresh ones, and to their end (OAuth 2.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson
from mcp.shared.auth import OAuthToken
from pydantic import ValidationError

from tools.authorization.challenges import read_scopes
from tools.authorization.clients import Client
from tools.authorization.metadata import AuthorizationServer
from tools.authorization.wire import Answer, AuthorizationWire
from tools.errors import AuthorizationFailed, AuthorizationRefused, AuthorizationUnreachable

_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_ERROR_CODE = re.compile(r"[a-z_]{1,64}")
_LIFETIME_MAX_SECONDS = 10 * 366 * 24 * 3600
"""What is said beyond that is not counted with: it is longer than anybody looks ahead."""
_DONE = 200
_BUSY = frozenset({408, 429})
_DOWN = 500


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What an authorization server gives for a code, or for a refresh token."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    seconds: int | None
    """How long the access token lasts; None if that was not said, or makes no sense."""
    scopes: tuple[str, ...] | None
    """What it allows; None if it is what was asked for."""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What all requests for tokens have in common."""

    server: AuthorizationServer
    client: Client
    resource: str
    """What the tokens are for (RFC 8707)."""
    home: str
    """The tool server's address."""


def authorization_url(
    grant: Grant, *, redirect_url: str, state: str, code_challenge: str, scopes: tuple[str, ...]
) -> str:
    """Return where a person's browser goes to grant it."""
    endpoint = urlsplit(grant.server.authorization_endpoint)
    fields = {
        "response_type": "code",
        "client_id": grant.client.id,
        "redirect_uri": redirect_url,
        "state": state,
        "code_challenge": code_challenge,
        "code_challenge_method": "S256",
        "resource": grant.resource,
    }
    if scopes:
        fields["scope"] = " ".join(scopes)
    if "offline_access" in scopes:
        fields["prompt"] = "consent"  # OpenID Connect Core 1.0, section 11
    kept = [(name, value) for name, value in parse_qsl(endpoint.query) if name not in fields]
    return urlunsplit(endpoint._replace(query=urlencode([*kept, *fields.items()]), fragment=""))


async def redeem_code(
    wire: AuthorizationWire, grant: Grant, *, code: str, verifier: str, redirect_url: str
) -> Tokens:
    """Exchange a code for tokens.

    Raises:
        AuthorizationRefused: The code is not taken.
        AuthorizationFailed: The answer is not usable, or there is none.
    """
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_url,
        "code_verifier": verifier,
        "resource": grant.resource,
    }
    return await _ask_for_tokens(wire, grant, fields)


async def refresh_tokens(wire: AuthorizationWire, grant: Grant, refresh_token: str) -> Tokens:
    """Exchange a refresh token for fresh tokens; it may be good for this once.

    Raises:
        AuthorizationRefused: The refresh token is not taken any more.
        AuthorizationUnreachable: The server is down or busy: later it may be taken.
        AuthorizationFailed: The answer is not usable.
    """
    fields = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "resource": grant.resource,
    }
    return await _ask_for_tokens(wire, grant, fields)


async def revoke_token(wire: AuthorizationWire, grant: Grant, token: str, *, hint: str) -> bool:
    """Have a token ended where it was made (RFC 7009); return whether it was.

    Raises:
        AuthorizationFailed: The server does not answer, or its address is none that is asked.
    """
    endpoint = grant.server.revocation_endpoint
    if endpoint is None:
        return False
    fields, headers = grant.client.prove({"token": token, "token_type_hint": hint})
    answer = await wire.ask("POST", endpoint, home=grant.home, data=fields, headers=headers)
    return answer.status == _DONE


async def _ask_for_tokens(
    wire: AuthorizationWire, grant: Grant, fields: Mapping[str, str]
) -> Tokens:
    given, headers = grant.client.prove(fields)
    endpoint = grant.server.token_endpoint
    answer = await wire.ask("POST", endpoint, home=grant.home, data=given, headers=headers)
    if answer.status >= _DOWN or answer.status in _BUSY:
        raise AuthorizationUnreachable(urlsplit(endpoint).hostname or "")
    if answer.status != _DONE:
        raise AuthorizationRefused(
            "its authorization server gives no tokens", code=_error_code(answer)
        )
    return _read_tokens(answer.body)


def _read_tokens(body: bytes) -> Tokens:
    try:
        said = OAuthToken.model_validate_json(body)
    except ValidationError as error:
        raise AuthorizationFailed("its authorization server gives no usable tokens") from error
    both = [said.access_token, *([said.refresh_token] if said.refresh_token else [])]
    # A token becomes the value of a header.
    if not all(map(_TOKEN.fullmatch, both)):
        raise AuthorizationFailed("its authorization server gives no usable tokens")
    return Tokens(
        access=said.access_token,
        refresh=said.refresh_token or None,
        seconds=_lifetime(said.expires_in),
        scopes=None if said.scope is None else read_scopes(said.scope),
    )


def _lifetime(seconds: int | None) -> int | None:
    # One that has ended before it came would be renewed at every request; it may as well be good.
    return min(seconds, _LIFETIME_MAX_SECONDS) if seconds is not None and seconds > 0 else None


def _error_code(answer: Answer) -> str:
    try:
        said: Any = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return ""
    code = said.get("error") if isinstance(said, dict) else None
    return code if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else ""
