"""One authorization under way, and the browser that it is tied to."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp.client.auth.oauth2 import PKCEParameters

from server.mcp_oauth.held import HeldAuthorization

ATTEMPT_SECONDS = 600
_SECRET_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What a code is exchanged with when it comes back."""

    held: HeldAuthorization
    """What will be kept when the tokens are there."""
    callback_url: str
    verifier: str = field(repr=False)
    """Proves that the code comes from who asked for it (RFC 7636)."""
    challenge: str
    browser_digest: str | None = None
    """Of the secret that the browser keeps which began it; None if it was no browser."""
    key_id: int | None = None
    """The API key that it was begun with, if it was one that can be revoked."""

    @classmethod
    def begin(
        cls,
        held: HeldAuthorization,
        callback_url: str,
        *,
        browser_secret: str | None,
        key_id: int | None,
    ) -> "Attempt":
        """Makes the secrets of one attempt."""
        pkce = PKCEParameters.generate()
        return cls(
            held=held,
            callback_url=callback_url,
            verifier=pkce.code_verifier,
            challenge=pkce.code_challenge,
            browser_digest=None if browser_secret is None else _digest(browser_secret),
            key_id=key_id,
        )

    def is_of_browser(self, browser_secret: str | None) -> bool:
        """Whether what comes back does so in the browser that went."""
        if self.browser_digest is None:
            return True
        return hmac.compare_digest(_digest(browser_secret or ""), self.browser_digest)

    def as_json(self) -> dict[str, Any]:
        """Returns it as a JSON object."""
        return {
            "held": self.held.as_json(),
            "callback_url": self.callback_url,
            "verifier": self.verifier,
            "challenge": self.challenge,
            "browser_digest": self.browser_digest,
            "key_id": self.key_id,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Attempt":
        """Returns what `as_json` made an object of."""
        return cls(**{**kept, "held": HeldAuthorization.from_json(kept["held"])})


def new_secret() -> str:
    """What only who got it can bring back."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
