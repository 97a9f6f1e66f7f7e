"""The caller's access scope as a signed token: what a tool may believe about who is asking.

The token travels beside a call's arguments, in its `_meta`, where the model can neither see nor
set it.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any

import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persistence.access import AccessScope
from tools.errors import InvalidCaller

AUDIENCE = "youworker-tools"
ISSUER = "youworker"
DEFAULT_TTL_SECONDS = 900

_ALGORITHM = "HS256"
_REQUIRED_CLAIMS = ("aud", "exp", "iat", "iss", "run", "scopes", "sub")
_TOKEN_MAX_CHARS = 16_384


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who a tool works for."""

    scope: AccessScope
    run_id: str
    """The run that the call belongs to."""
    scopes: frozenset[str]
    """What the caller's API key is restricted to; empty means that it is not."""

    def may(self, scope: str) -> bool:
        """Whether the caller's key carries a scope."""
        return not self.scopes or scope in self.scopes


class _Claims(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    sub: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,18}$")]
    root: bool
    run: str
    scopes: list[str]
    exp: int


class ScopeSigner:
    """Signs and verifies caller tokens.

    The signing key is derived from the secret, so a token that the same secret signed for another
    purpose is worth nothing here.
    """

    def __init__(
        self,
        secret: str,
        *,
        ttl_seconds: float = DEFAULT_TTL_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not secret:
            raise ValueError("The secret that signs caller tokens is empty.")
        self._key = hmac.digest(secret.encode(), b"youworker caller token v1", hashlib.sha256)
        self._ttl_seconds = ttl_seconds
        self._clock = clock

    def sign(self, scope: AccessScope, *, run_id: str, scopes: Collection[str] = ()) -> str:
        """Return a token that lets tools act for a user until it expires.

        It says who the user is and what the user's key is restricted to, not what the user may see:
        that is asked when it matters.

        Raises:
            ValueError: The scope is the product's own, not a user's; tools never act for that.
        """
        if scope.user_id <= 0 or scope.sees_all:
            raise ValueError("Only a user's scope can be given to tools.")
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(scope.user_id),
            "root": scope.is_root,
            "run": run_id,
            "scopes": sorted(scopes),
            "iat": now,
            "exp": now + int(self._ttl_seconds),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def verify(self, token: str) -> Caller:
        """Return the caller that a token proves.

        Raises:
            InvalidCaller: It is unsigned, forged, expired, made for somebody else or malformed.
        """
        if len(token) > _TOKEN_MAX_CHARS or not token.isascii():
            raise InvalidCaller("The caller token is malformed.")
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                # Times are compared below, by this object's clock.
                options={
                    "require": list(_REQUIRED_CLAIMS),
                    "verify_exp": False,
                    "verify_iat": False,
                    "strict_aud": True,
                },
            )
        except (jwt.InvalidTokenError, RecursionError) as error:
            raise InvalidCaller("The caller token is not valid.") from error
        return self._read(claims)

    def _read(self, claims: dict[str, Any]) -> Caller:
        try:
            sound = _Claims.model_validate(claims)
        except ValidationError as error:
            raise InvalidCaller("The caller token is malformed.") from error
        if self._clock() >= sound.exp:
            raise InvalidCaller("The caller token has expired.")
        return Caller(
            scope=AccessScope(user_id=int(sound.sub), is_root=sound.root),
            run_id=sound.run,
            scopes=frozenset(sound.scopes),
        )
