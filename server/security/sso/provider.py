"""The OpenID provider: where it is, and the two things asked of it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server.errors import LoginFailed, UpstreamFailed
from server.security.sso.attempt import LoginAttempt
from server.security.sso.connection import (
    NOT_PROPER,
    ProviderConnection,
    provider_errors,
)
from server.security.sso.metadata import DISCOVERY_PATH, ProviderMetadata, read_metadata
from server.security.sso.settings import OidcSettings

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import (  # type: ignore[import-untyped]
        AsyncOAuth2Client,
    )

FRESH_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True, repr=False)
class ProviderTokens:
    """What the provider gives for a code."""

    id_token: str
    access_token: str


class OidcProvider:
    """Speaks the authorization code flow with PKCE (RFC 7636) as a client of one provider."""

    def __init__(
        self, settings: OidcSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Args: clock: seconds from any start."""
        self._settings = settings
        self._clock = clock
        self._connection = ProviderConnection(timeout_seconds=settings.timeout_seconds)
        self._metadata: ProviderMetadata | None = None
        self._stale_at = 0.0
        self._discovering = asyncio.Lock()

    async def authorization_url(self, attempt: LoginAttempt) -> str:
        """Where the browser goes to log in.

        Raises:
            Unavailable, UpstreamFailed: The provider cannot be discovered.
        """
        metadata = await self.metadata()
        async with self._client(metadata) as client:
            url: str
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint,
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
            )
        return url

    async def redeem(self, code: str, attempt: LoginAttempt) -> ProviderTokens:
        """Exchanges a code for tokens, which nobody has verified yet.

        Raises:
            LoginFailed: The provider refuses the code.
            Unavailable, UpstreamFailed: It does not answer, or not with tokens.
        """
        from authlib.integrations.httpx_client import OAuthError  # see `_client`

        metadata = await self.metadata()
        try:
            async with (
                provider_errors(self._settings.timeout_seconds),
                self._client(metadata) as client,
            ):
                answer = await client.fetch_token(
                    metadata.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    redirect_uri=self._settings.redirect_url,
                    code_verifier=attempt.verifier,
                )
        except OAuthError as exc:
            if exc.error == "invalid_grant":
                raise LoginFailed from exc
            raise UpstreamFailed(NOT_PROPER) from exc
        except (ValueError, TypeError) as exc:
            raise UpstreamFailed(NOT_PROPER) from exc
        tokens = {name: answer.get(name) for name in ("id_token", "access_token")}
        if not all(isinstance(token, str) and token for token in tokens.values()):
            raise UpstreamFailed(NOT_PROPER)
        return ProviderTokens(**tokens)

    async def load_keys(self) -> dict[str, Any]:
        """Fetches the provider's key set.

        Raises:
            Unavailable, UpstreamFailed: It cannot be had.
        """
        metadata = await self.metadata()
        return await self._connection.fetch(metadata.jwks_uri)

    async def metadata(self) -> ProviderMetadata:
        """What the provider says of itself, fetched at most once an hour.

        Raises:
            Unavailable, UpstreamFailed: It cannot be had, or is another issuer's.
        """
        async with provider_errors(self._settings.timeout_seconds), self._discovering:
            if self._metadata is None or self._clock() >= self._stale_at:
                issuer = self._settings.issuer
                document = await self._connection.fetch(issuer.rstrip("/") + DISCOVERY_PATH)
                self._metadata = read_metadata(document, issuer)
                self._stale_at = self._clock() + FRESH_SECONDS
            return self._metadata

    def _client(self, metadata: ProviderMetadata) -> "AsyncOAuth2Client":
        """A client for one login: it keeps cookies and the last token."""
        # Where nobody logs in so, the library need not be in memory.
        from authlib.integrations.httpx_client import AsyncOAuth2Client

        secret = self._settings.client_secret
        return AsyncOAuth2Client(
            client_id=self._settings.client_id,
            client_secret=secret.get_secret_value() if secret else None,
            token_endpoint_auth_method=_auth_method(metadata, has_secret=secret is not None),
            scope=self._settings.scopes,
            redirect_uri=self._settings.redirect_url,
            code_challenge_method="S256",
            transport=self._connection.open_transport(),
            trust_env=False,
        )


def _auth_method(metadata: ProviderMetadata, *, has_secret: bool) -> str:
    if not has_secret:
        return "none"
    offered = metadata.token_endpoint_auth_methods
    basic = not offered or "client_secret_basic" in offered
    return "client_secret_basic" if basic else "client_secret_post"
