"""Whether a login that a token speaks of still stands."""

from datetime import datetime

from persistence.account_records import LoginOwner, User
from persistence.credentials import CredentialStore
from persistence.encryption import KeyRing
from server.errors import NotAuthenticated
from server.security.tokens import AccessClaims


def login_ended() -> NotAuthenticated:
    """The refusal, the same whatever ended the login."""
    return NotAuthenticated("This login has ended.")


def fingerprint(root_key: str, key_ring: KeyRing) -> str:
    """What of the root key is kept with the logins that it opens."""
    return key_ring.keyed_hash(f"login_sessions.root_key/{root_key}")


class StandingLogins:
    """The logins that have not ended. Those opened with a root key end when there is another."""

    def __init__(self, credentials: CredentialStore, *, root_key_hash: str) -> None:
        """Args: root_key_hash: the fingerprint of the present root key."""
        self._credentials = credentials
        self._root_key_hash = root_key_hash

    def opened_by(self, user: User, api_key_id: int | None) -> str | None:
        """The fingerprint to keep with a new login: root without an API key has the root key."""
        return self._root_key_hash if user.is_root and api_key_id is None else None

    async def find(self, claims: AccessClaims, *, now: datetime) -> LoginOwner:
        """The login and its user, as they are at this moment.

        Raises:
            NotAuthenticated: It was closed, is over, its user may not come in, or the key that it
                was opened with is not good any more.
        """
        found = await self._credentials.find_login(claims.login_id)
        if found is None or found.user.id != claims.user_id or not found.is_good_at(now):
            raise login_ended()
        login = found.login
        if login.root_key_hash != self.opened_by(found.user, login.api_key_id):
            raise login_ended()
        return found
