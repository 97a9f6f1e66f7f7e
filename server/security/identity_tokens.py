"""Tells MCP servers who is asking, in a form that they can check without asking back."""

import base64
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.records import Group
from server.security.derived_key import derive_key
from server.security.principal import Principal
from tools.errors import IdentityUnproven

DEFAULT_ISSUER = "youworker"
LIFETIME_SECONDS = 120
GROUPS_MAX = 200
"""A token that names more would be too large to send."""

_ALGORITHM = "EdDSA"


class IdentityTokens:
    """Signs a token for each call, for one audience, with who is asking at that moment.

    The key is derived from the secret of the installation: another secret is another key, and the
    key set names the new one from then on.
    """

    def __init__(
        self,
        secret: str,
        database: Database,
        *,
        issuer: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Args: issuer: what the installation calls itself in tokens."""
        self._key = Ed25519PrivateKey.from_private_bytes(derive_key(secret, "identity token"))
        self._public = _public_jwk(self._key)
        self._database = database
        self._issuer = issuer
        self._clock = clock

    def public_keys(self) -> list[dict[str, Any]]:
        """The keys that tokens are checked with, as RFC 7517 has them."""
        return [self._public]

    def for_run(self, principal: Principal, run_id: str) -> Callable[[str], Awaitable[str]]:
        """What makes the tokens of one run, each for an audience.

        It raises `IdentityUnproven` when the person's groups cannot be found out.
        """

        async def prove(audience: str) -> str:
            return self._sign(principal, run_id, audience, await self._groups_of(principal))

        return prove

    async def _groups_of(self, principal: Principal) -> Sequence[Group]:
        # As a person, not as root: what counts is where somebody belongs.
        scope = AccessScope(user_id=principal.user.id)
        try:
            async with self._database.unit_of_work(scope) as uow:
                return (await uow.groups.list(limit=GROUPS_MAX)).items
        except PersistenceError as exc:
            raise IdentityUnproven("who is asking cannot be proven to it just now") from exc

    def _sign(
        self, principal: Principal, run_id: str, audience: str, groups: Sequence[Group]
    ) -> str:
        now = int(self._clock())
        claims = {
            "iss": self._issuer,
            "sub": str(principal.user.id),
            "preferred_username": principal.user.username,
            "groups": [{"id": group.id, "name": group.name} for group in groups],
            "run_id": run_id,
            "aud": audience,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "jti": str(uuid4()),
        }
        return jwt.encode(
            claims, self._key, algorithm=_ALGORITHM, headers={"kid": self._public["kid"]}
        )


def _public_jwk(key: Ed25519PrivateKey) -> dict[str, Any]:
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    # RFC 8037, and RFC 7638 for the name: the same key has the same one at every replica.
    required = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True)
    thumbprint = _base64url(hashlib.sha256(canonical.encode()).digest())
    return {**required, "kid": thumbprint, "use": "sig", "alg": _ALGORITHM}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
