"""Whether a login that a token speaks of still stands."""

from datetime import datetime

from persistence.credentials import CredentialStore
from persistence.records import LoginOwner
from server.errors import NotAuthenticated
from server.security.tokens import AccessClaims


def login_ended() -> NotAuthenticated:
    """The refusal, the same whatever ended the login."""
    return NotAuthenticated("This login has ended.")


async def find_standing(
    credentials: CredentialStore, claims: AccessClaims, *, now: datetime
) -> LoginOwner:
    """The login and its user, as they are at this moment.

    Raises:
        NotAuthenticated: It was closed, is over, its user may not come in, or the key that it was
            opened with is not good any more.
    """
    found = await credentials.find_login(claims.login_id)
    if found is None or found.user.id != claims.user_id or not found.is_good_at(now):
        raise login_ended()
    return found
