"""The cookie that ties what is under way at another server to the browser that began it."""

from starlette.responses import Response


class AttemptCookie:
    """Lasts as long as an attempt; `Lax`, as the browser comes back from another site."""

    def __init__(self, name: str, *, path: str, max_age_seconds: int, secure: bool) -> None:
        """Args: secure: Whether browsers send the cookie over TLS alone."""
        self.name = name
        self._path = path
        self._max_age_seconds = max_age_seconds
        self._secure = secure

    def give(self, response: Response, value: str) -> None:
        """Sets it."""
        response.set_cookie(
            self.name,
            value,
            max_age=self._max_age_seconds,
            path=self._path,
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def clear(self, response: Response) -> None:
        """Takes it away: an attempt is good for one answer."""
        response.delete_cookie(
            self.name, path=self._path, secure=self._secure, httponly=True, samesite="lax"
        )
