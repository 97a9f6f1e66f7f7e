"""One login under way: what only the browser that began it can bring back."""

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from persistence.encryption import KeyRing
from persistence.errors import DecryptionError
from server.errors import LoginFailed

ATTEMPT_SECONDS = 600
_SECRET_BYTES = 32
_CONTEXT = "sso.attempt"


@dataclass(frozen=True, kw_only=True, repr=False)
class LoginAttempt:
    """The secrets of one login, made for it alone."""

    state: str
    """Comes back in the provider's answer: the answer belongs to this browser."""
    nonce: str
    """Comes back in the ID token: the token belongs to this login."""
    verifier: str
    """Proves to the provider that the code comes from who asked for it (RFC 7636)."""
    return_to: str
    """The path that the browser goes to in the end."""
    expires_at: float
    """Seconds since 1970."""

    def matches(self, state: str | None) -> bool:
        """Whether the provider answers this attempt."""
        return state is not None and hmac.compare_digest(state.encode(), self.state.encode())


class LoginAttempts:
    """Begins attempts and keeps them, encrypted, in the browser that began them."""

    def __init__(self, key_ring: KeyRing, *, clock: Callable[[], float] = time.time) -> None:
        self._key_ring = key_ring
        self._clock = clock

    def begin(self, return_to: str) -> LoginAttempt:
        """Makes an attempt."""
        return LoginAttempt(
            state=secrets.token_urlsafe(_SECRET_BYTES),
            nonce=secrets.token_urlsafe(_SECRET_BYTES),
            verifier=secrets.token_urlsafe(_SECRET_BYTES),
            return_to=return_to,
            expires_at=self._clock() + ATTEMPT_SECONDS,
        )

    def seal(self, attempt: LoginAttempt) -> str:
        """The attempt as a cookie's value."""
        return self._key_ring.encrypt_json(asdict(attempt), context=_CONTEXT).decode("ascii")

    def open(self, sealed: str | None) -> LoginAttempt:
        """The attempt that a cookie holds.

        Raises:
            LoginFailed: There is no cookie, it was not made here, or it is too old.
        """
        try:
            fields = self._key_ring.decrypt_json((sealed or "").encode(), context=_CONTEXT)
            attempt = LoginAttempt(**fields)
        except (DecryptionError, TypeError) as exc:
            raise LoginFailed from exc
        if self._clock() >= attempt.expires_at:
            raise LoginFailed
        return attempt
