"""What an ID token must say before it is believed (OpenID Connect Core 1.0, section 3.1.3.7)."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from joserfc.errors import JoseError

from server.errors import LoginFailed
from server.security.sso.attempt import LoginAttempt
from server.security.sso.provider import ProviderTokens
from server.security.sso.settings import OidcSettings
from server.security.sso.signing_keys import SigningKeys


class IdTokens:
    """Verifies the ID tokens of one provider for one client."""

    def __init__(
        self, settings: OidcSettings, keys: SigningKeys, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock

    async def verify(self, tokens: ProviderTokens, attempt: LoginAttempt) -> Mapping[str, Any]:
        """The claims of an ID token that was made for this client and this attempt.

        Raises:
            LoginFailed: It is forged, another's, expired, or of another login.
            Unavailable, UpstreamFailed: The provider's keys cannot be had.
        """
        # Where nobody logs in so, the library need not be in memory.
        from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]

        token = await self._keys.verify(tokens.id_token)
        claims = CodeIDToken(
            token.claims,
            token.header,
            {
                "iss": {"essential": True, "value": self._settings.issuer},
                "aud": {"essential": True, "value": self._settings.client_id},
                "nonce": {"essential": True, "value": attempt.nonce},
            },
            {
                "client_id": self._settings.client_id,
                "nonce": attempt.nonce,
                "access_token": tokens.access_token,
            },
        )
        try:
            claims.validate(now=int(self._clock()), leeway=self._settings.clock_skew_seconds)
        except (JoseError, TypeError, ValueError) as exc:
            raise LoginFailed from exc
        verified: Mapping[str, Any] = claims
        return verified
