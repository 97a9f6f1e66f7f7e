"""The signed tokens of a login: a short-lived one for requests, a longer one to refresh it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from uuid import UUID, uuid4

import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.errors import NotAuthenticated, TokenExpired
from server.security.derived_key import derive_key

ISSUER = "youworker"
ACCESS_AUDIENCE = "youworker-api"
REFRESH_AUDIENCE = "youworker-refresh"
TOKEN_MAX_CHARS = 4096
CLOCK_SKEW_SECONDS = 60
"""How far ahead the clock of the replica that signed may be."""

_ALGORITHM = "HS256"
_REQUIRED_CLAIMS = ("aud", "exp", "iat", "iss", "jti", "sid", "sub")
_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


@dataclass(frozen=True, kw_only=True)
class AccessClaims:
    """What an access token says; whether the login still stands, the database knows."""

    user_id: int
    login_id: UUID


@dataclass(frozen=True, kw_only=True)
class RefreshClaims(AccessClaims):
    """What a refresh token says."""

    generation: int
    """How often the login had been refreshed when the token was made."""


class _Claims(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    sub: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,18}$")]
    sid: Annotated[str, Field(pattern=_UUID)]
    jti: Annotated[str, Field(pattern=_UUID)]
    iat: int
    exp: int


class _RefreshClaims(_Claims):
    gen: Annotated[int, Field(ge=0)]


C = TypeVar("C", bound=_Claims)


class TokenSigner:
    """Signs and verifies; each kind of token has a key and an audience of its own."""

    def __init__(self, secret: str, *, clock: Callable[[], float] = time.time) -> None:
        self._access_key = derive_key(secret, "access token")
        self._refresh_key = derive_key(secret, "refresh token")
        self._clock = clock

    def sign_access(self, *, user_id: int, login_id: UUID, expires_at: float) -> str:
        """Makes the token that requests carry; `expires_at` is in seconds since the epoch."""
        claims = self._claims(user_id, login_id, expires_at)
        return _encode(claims | {"aud": ACCESS_AUDIENCE}, self._access_key)

    def sign_refresh(
        self, *, user_id: int, login_id: UUID, generation: int, expires_at: float
    ) -> str:
        """Makes the token that is good for one refresh; `expires_at` as above."""
        claims = self._claims(user_id, login_id, expires_at)
        return _encode(claims | {"aud": REFRESH_AUDIENCE, "gen": generation}, self._refresh_key)

    def read_access(self, token: str) -> AccessClaims:
        """What a sound access token says.

        Raises:
            TokenExpired: It was sound; refresh the login.
            NotAuthenticated: It is none of ours.
        """
        claims = self._read(token, self._access_key, ACCESS_AUDIENCE, _Claims)
        return AccessClaims(user_id=int(claims.sub), login_id=UUID(claims.sid))

    def read_refresh(self, token: str) -> RefreshClaims:
        """What a sound refresh token says.

        Raises:
            TokenExpired: It was sound; log in again.
            NotAuthenticated: It is none of ours.
        """
        claims = self._read(token, self._refresh_key, REFRESH_AUDIENCE, _RefreshClaims)
        return RefreshClaims(
            user_id=int(claims.sub), login_id=UUID(claims.sid), generation=claims.gen
        )

    def _claims(self, user_id: int, login_id: UUID, expires_at: float) -> dict[str, Any]:
        return {
            "iss": ISSUER,
            "sub": str(user_id),
            "sid": str(login_id),
            "jti": str(uuid4()),
            "iat": int(self._clock()),
            "exp": int(expires_at),
        }

    def _read(self, token: str, key: bytes, audience: str, kind: type[C]) -> C:
        if len(token) > TOKEN_MAX_CHARS or not token.isascii():
            raise _invalid()
        try:
            decoded = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=audience,
                issuer=ISSUER,
                # Times are compared below, by this object's clock.
                options={
                    "require": list(_REQUIRED_CLAIMS),
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "strict_aud": True,
                },
            )
            claims = kind.model_validate(decoded)
        except (jwt.InvalidTokenError, ValidationError, RecursionError) as exc:
            raise _invalid() from exc
        now = self._clock()
        if claims.iat > now + CLOCK_SKEW_SECONDS:
            raise _invalid()
        if claims.exp <= now:
            raise TokenExpired
        return claims


def looks_like_token(credential: str) -> bool:
    """Whether a text has a token's form, which no API key has that we made."""
    return credential.count(".") == 2


def _encode(claims: dict[str, Any], key: bytes) -> str:
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


def _invalid() -> NotAuthenticated:
    return NotAuthenticated("This token is not valid.")
