"""The cookie that ties a login under way to the browser that began it."""

from starlette.responses import Response

from server.security.sso.attempt import ATTEMPT_SECONDS

ATTEMPT_COOKIE = "youworker_oidc"
_PATH = "/v1/auth/oidc"


class AttemptCookie:
    """Lasts as long as an attempt; `Lax`, as the browser comes back from another site."""

    def __init__(self, *, secure: bool) -> None:
        """Args: secure: Whether browsers send the cookie over TLS alone."""
        self._secure = secure

    def give(self, response: Response, sealed_attempt: str) -> None:
        """Sets it."""
        response.set_cookie(
            ATTEMPT_COOKIE,
            sealed_attempt,
            max_age=ATTEMPT_SECONDS,
            path=_PATH,
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def clear(self, response: Response) -> None:
        """Takes it away: an attempt is good for one answer."""
        response.delete_cookie(
            ATTEMPT_COOKIE, path=_PATH, secure=self._secure, httponly=True, samesite="lax"
        )
