"""Login by OpenID Connect, from the first redirect to the open login."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from persistence.encryption import KeyRing
from server.errors import LoginFailed, OidcNotConfigured, ServerError
from server.observability import describe
from server.security.login_tokens import IssuedLogin
from server.security.logins import LoginService
from server.security.principal import Origin
from server.security.provisioning import Provisioner
from server.security.sso.attempt import LoginAttempt, LoginAttempts
from server.security.sso.id_token import IdTokens
from server.security.sso.identity import ProviderIdentity, read_identity
from server.security.sso.provider import OidcProvider
from server.security.sso.settings import OidcSettings
from server.security.sso.signing_keys import SigningKeys

METHOD = "oidc"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Departure:
    """A browser on its way to the provider."""

    url: str
    sealed_attempt: str
    """What the browser has to bring back, encrypted."""


@dataclass(frozen=True, kw_only=True)
class ProviderAnswer:
    """What a browser brings back from the provider, or says that it does."""

    state: str | None
    code: str | None
    error: str | None
    issuer: str | None
    """Who the answer says it is from (RFC 9207)."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A browser that came back."""

    login: IssuedLogin
    return_to: str


class SsoService:
    """Sends browsers to the provider and opens logins for those that come back."""

    def __init__(
        self,
        settings: OidcSettings,
        *,
        key_ring: KeyRing,
        provisioner: Provisioner,
        logins: LoginService,
    ) -> None:
        self._settings = settings
        self._attempts = LoginAttempts(key_ring)
        self._provider = OidcProvider(settings)
        self._id_tokens = IdTokens(
            settings,
            SigningKeys(self._provider.load_keys, timeout_seconds=settings.timeout_seconds),
        )
        self._provisioner = provisioner
        self._logins = logins

    async def begin(self, return_to: str | None) -> Departure:
        """Begins a login.

        Raises:
            OidcNotConfigured: The installation has no provider.
            Unavailable, UpstreamFailed: The provider cannot be discovered.
        """
        self._require_provider()
        attempt = self._attempts.begin(return_to or self._settings.landing_path)
        with _failures_logged():
            url = await self._provider.authorization_url(attempt)
        return Departure(url=url, sealed_attempt=self._attempts.seal(attempt))

    async def finish(
        self, answer: ProviderAnswer, *, sealed_attempt: str | None, origin: Origin
    ) -> Arrival:
        """Opens a login for whoever the provider says came back.

        Raises:
            OidcNotConfigured: The installation has no provider.
            LoginFailed: The answer belongs to no attempt of this browser, or is not believed.
            AccountExists, AccountClosed, UsernameUnusable: The provider's user has no account here
                and gets none.
            Unavailable, UpstreamFailed: The provider does not answer, or not as it should.
        """
        self._require_provider()
        try:
            with _failures_logged():
                attempt = self._attempts.open(sealed_attempt)
                identity = await self._identify(answer, attempt)
        except LoginFailed as exc:
            await self._logins.refuse(method=METHOD, origin=origin, code=exc.code)
            raise
        user = await self._provisioner.user_for(identity, origin)
        login = await self._logins.open(user, method=METHOD, origin=origin)
        return Arrival(login=login, return_to=attempt.return_to)

    async def _identify(self, answer: ProviderAnswer, attempt: LoginAttempt) -> ProviderIdentity:
        if not attempt.matches(answer.state):
            raise LoginFailed
        metadata = await self._provider.metadata()
        if answer.issuer is None and metadata.names_itself:
            raise LoginFailed
        if answer.issuer not in {None, self._settings.issuer}:
            raise LoginFailed
        if answer.error is not None or not answer.code:
            raise LoginFailed("The identity provider did not let you in.")
        tokens = await self._provider.redeem(answer.code, attempt)
        return read_identity(await self._id_tokens.verify(tokens, attempt), self._settings)

    def _require_provider(self) -> None:
        if not self._settings.configured:
            raise OidcNotConfigured


@contextmanager
def _failures_logged() -> Iterator[None]:
    """The answer says little of what went wrong; whoever runs the installation needs more."""
    try:
        yield
    except ServerError as exc:
        log.warning("oidc_failed", code=exc.code, **describe(exc))
        raise
