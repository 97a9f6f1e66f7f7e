"""The cookies of a login."""

from starlette.responses import Response

from server.security.login_tokens import IssuedLogin

TOKEN_COOKIE = "youworker_token"  # noqa: S105 - a name, no secret
CSRF_COOKIE = "youworker_csrf"
REFRESH_COOKIE = "youworker_refresh"
REFRESH_PATH = "/v1/auth"
"""The refresh token goes nowhere else."""


class LoginCookies:
    """Gives a browser the tokens of a login, and takes them away.

    Each lasts as long as a login can. The access token expires long before its cookie: then it is
    the server that says so, and the page knows that it may refresh.
    """

    def __init__(self, *, secure: bool, max_age_seconds: int) -> None:
        """Prepares cookies.

        Args:
            secure: Whether browsers send the cookies over TLS alone.
            max_age_seconds: For how long browsers keep them.
        """
        self._secure = secure
        self._max_age_seconds = max_age_seconds

    def give(self, response: Response, login: IssuedLogin) -> None:
        """Sets all three."""
        self._set(response, TOKEN_COOKIE, login.access_token)
        self.give_csrf(response, login.csrf_token)
        response.set_cookie(
            REFRESH_COOKIE,
            login.refresh_token,
            max_age=self._max_age_seconds,
            path=REFRESH_PATH,
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )

    def give_csrf(self, response: Response, csrf_token: str) -> None:
        """Sets the one that pages read, to send its value in a header as well."""
        self._set(response, CSRF_COOKIE, csrf_token, httponly=False)

    def clear(self, response: Response) -> None:
        """Takes all three away."""
        for name, path in ((TOKEN_COOKIE, "/"), (CSRF_COOKIE, "/"), (REFRESH_COOKIE, REFRESH_PATH)):
            response.delete_cookie(
                name,
                path=path,
                secure=self._secure,
                httponly=name != CSRF_COOKIE,
                samesite="strict" if name == REFRESH_COOKIE else "lax",
            )

    def _set(self, response: Response, name: str, value: str, *, httponly: bool = True) -> None:
        response.headers["Cache-Control"] = "no-store"
        response.set_cookie(
            name,
            value,
            max_age=self._max_age_seconds,
            path="/",
            secure=self._secure,
            httponly=httponly,
            samesite="lax",
        )
