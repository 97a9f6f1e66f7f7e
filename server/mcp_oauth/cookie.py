"""The cookie that ties an authorization under way to the browser that began it."""

from starlette.responses import Response

from server.mcp_oauth.attempt import ATTEMPT_SECONDS

AUTHORIZATION_COOKIE = "youworker_mcp_authorization"
_PATH = "/v1/mcp/authorization"


class AuthorizationCookie:
    """Lasts as long as an attempt; `Lax`, as the browser comes back from another site."""

    def __init__(self, *, secure: bool) -> None:
        """Args: secure: Whether browsers send the cookie over TLS alone."""
        self._secure = secure

    def give(self, response: Response, secret: str) -> None:
        """Sets it."""
        response.set_cookie(
            AUTHORIZATION_COOKIE,
            secret,
            max_age=ATTEMPT_SECONDS,
            path=_PATH,
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def clear(self, response: Response) -> None:
        """Takes it away: an attempt is good for one answer."""
        response.delete_cookie(
            AUTHORIZATION_COOKIE, path=_PATH, secure=self._secure, httponly=True, samesite="lax"
        )
