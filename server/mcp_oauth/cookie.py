"""The cookies of authorizations under way, one for each."""

import hashlib

from server.mcp_oauth.attempt import ATTEMPT_SECONDS
from server.security.attempt_cookie import AttemptCookie

COOKIE_PREFIX = "youworker_mcp_authorization_"
_PATH = "/v1/mcp/authorization"
_NAME_CHARS = 16


class AuthorizationCookies:
    """Named by what comes back, so that one that is begun or ended leaves the others alone."""

    def __init__(self, *, secure: bool) -> None:
        """Args: secure: Whether browsers send the cookies over TLS alone."""
        self._secure = secure

    def of(self, state: str) -> AttemptCookie:
        """That of one attempt."""
        name = COOKIE_PREFIX + hashlib.sha256(state.encode()).hexdigest()[:_NAME_CHARS]
        return AttemptCookie(name, path=_PATH, max_age_seconds=ATTEMPT_SECONDS, secure=self._secure)
