"""The three texts of a login: its access token, its refresh token and its CSRF token."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from persistence.account_records import Login, User
from server.errors import CsrfRefused
from server.security.csrf import CsrfTokens
from server.security.tokens import RefreshClaims, TokenSigner


@dataclass(frozen=True, kw_only=True)
class IssuedLogin:
    """A login with fresh tokens, which are not kept."""

    user: User
    id: UUID
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    csrf_token: str = field(repr=False)
    expires_at: datetime
    """When the access token does; refresh it before."""


class LoginTokens:
    """Makes them, and reads the one that refreshes."""

    def __init__(
        self,
        signer: TokenSigner,
        csrf: CsrfTokens,
        *,
        access_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._signer = signer
        self._csrf = csrf
        self._access_seconds = access_seconds
        self._clock = clock

    def issue(self, user: User, login: Login, *, generation: int) -> IssuedLogin:
        """Makes fresh tokens; none outlasts the login."""
        over = login.expires_at.timestamp()
        access_over = int(min(self._clock() + self._access_seconds, over))
        return IssuedLogin(
            user=user,
            id=login.id,
            access_token=self._signer.sign_access(
                user_id=user.id, login_id=login.id, expires_at=access_over
            ),
            refresh_token=self._signer.sign_refresh(
                user_id=user.id, login_id=login.id, generation=generation, expires_at=over
            ),
            csrf_token=self._csrf.issue(login.id),
            expires_at=datetime.fromtimestamp(access_over, UTC),
        )

    def read_refresh(self, refresh_token: str, csrf_token: str | None) -> RefreshClaims:
        """What a refresh token says; it comes in a cookie, so it is nothing without the other.

        Raises:
            TokenExpired: The login is over; log in again.
            NotAuthenticated: It is none of ours.
            CsrfRefused: The CSRF token is not this login's.
        """
        claims = self._signer.read_refresh(refresh_token)
        if csrf_token is None or not self._csrf.verify(csrf_token, claims.login_id):
            raise CsrfRefused
        return claims
