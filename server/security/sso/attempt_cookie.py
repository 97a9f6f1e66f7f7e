"""The cookie of a login under way at an identity provider."""

from server.security.attempt_cookie import AttemptCookie
from server.security.sso.attempt import ATTEMPT_SECONDS

ATTEMPT_COOKIE = "youworker_oidc"
_PATH = "/v1/auth/oidc"


def login_attempt_cookie(*, secure: bool) -> AttemptCookie:
    """One for all logins: a browser logs in once at a time."""
    return AttemptCookie(ATTEMPT_COOKIE, path=_PATH, max_age_seconds=ATTEMPT_SECONDS, secure=secure)
