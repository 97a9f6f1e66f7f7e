"""What decides who comes in, put together."""

from dataclasses import dataclass

from persistence.account_records import User
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.rate_limits import RateLimiter
from server.auth.service import AuthService
from server.installation import InstallationSecrets
from server.security.attempt_cookie import AttemptCookie
from server.security.cookies import LoginCookies
from server.security.credentials import Authenticator
from server.security.csrf import CsrfTokens
from server.security.forward_auth import ForwardedIdentity, ForwardedUsers
from server.security.local_login import LocalLogin
from server.security.login_tokens import LoginTokens
from server.security.logins import LoginService
from server.security.networks import Networks
from server.security.provisioning import Provisioner
from server.security.sso.attempt_cookie import login_attempt_cookie
from server.security.standing import StandingLogins, fingerprint
from server.security.tokens import TokenSigner
from server.settings import Settings
from server.sso.service import SsoService


@dataclass(frozen=True, kw_only=True)
class Doors:
    """What decides who comes in."""

    authenticator: Authenticator
    rate_limiter: RateLimiter
    auth: AuthService
    logins: LoginService
    cookies: LoginCookies
    sso: SsoService
    attempt_cookie: AttemptCookie
    csrf: CsrfTokens


def build_doors(
    database: Database,
    key_ring: KeyRing,
    settings: Settings,
    secrets: InstallationSecrets,
    root: User,
) -> Doors:
    """Builds the doors over an open database; root is the user that the root key stands for."""
    security = settings.security
    signer = TokenSigner(secrets.jwt_secret)
    csrf = CsrfTokens(secrets.jwt_secret)
    standing = StandingLogins(
        database.credentials, root_key_hash=fingerprint(secrets.root_api_key, key_ring)
    )
    authenticator = Authenticator(
        database, root_key=secrets.root_api_key, root=root, tokens=signer, standing=standing
    )
    logins = LoginService(
        database,
        LoginTokens(signer, csrf, access_seconds=security.access_token_seconds),
        standing,
        login_seconds=security.login_seconds,
    )
    provisioner = Provisioner(database)
    forwarded = ForwardedIdentity(
        security.authentik, trusted_proxies=Networks(security.trusted_proxies)
    )
    return Doors(
        authenticator=authenticator,
        rate_limiter=database.rate_limits,
        auth=AuthService(
            authenticator,
            logins,
            csrf,
            forwarded=ForwardedUsers(forwarded, provisioner=provisioner, logins=logins),
            local=LocalLogin(database) if settings.app_env == "development" else None,
        ),
        logins=logins,
        sso=SsoService(security.oidc, key_ring=key_ring, provisioner=provisioner, logins=logins),
        attempt_cookie=login_attempt_cookie(secure=settings.production),
        cookies=LoginCookies(secure=settings.production, max_age_seconds=security.login_seconds),
        csrf=csrf,
    )
