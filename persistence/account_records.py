"""Who may call, and by what they are let in, as the repositories return it: frozen values."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who may call."""

    id: int
    username: str
    is_root: bool
    is_active: bool
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key, without the key: only its hash is stored."""

    id: int
    user_id: int
    name: str
    prefix: str
    """The first characters of the key, by which its owner recognises it."""
    scopes: tuple[str, ...]
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class KeyOwner:
    """What decides about a key that somebody sent, and whom it stands for."""

    key_id: int
    user: User
    scopes: tuple[str, ...]
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def is_good_at(self, now: datetime) -> bool:
        """Whether the key lets its user in."""
        return self.user.is_active and _lasts(self.expires_at, self.revoked_at, now)


@dataclass(frozen=True, kw_only=True)
class Login:
    """A login session."""

    id: UUID
    user_id: int
    api_key_id: int | None
    """The key that it was opened with, and ends with."""
    root_key_hash: str | None
    """A keyed hash of the root key, if it was that."""
    method: str
    scopes: tuple[str, ...]
    """What it is restricted to, as the key was; empty means that it is not."""
    generation: int
    """How often it was refreshed."""
    expires_at: datetime
    revoked_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class LoginOwner:
    """A login that somebody claims, and whose it is."""

    login: Login
    """Its key's revocation counts as its own."""
    user: User
    key_expires_at: datetime | None
    """When the key that it was opened with ends, and the login with it."""

    def is_good_at(self, now: datetime) -> bool:
        """Whether the login lets its user in."""
        return (
            self.user.is_active
            and _lasts(self.login.expires_at, self.login.revoked_at, now)
            and _lasts(self.key_expires_at, None, now)
        )


def _lasts(expires_at: datetime | None, revoked_at: datetime | None, now: datetime) -> bool:
    return revoked_at is None and (expires_at is None or now < expires_at)


@dataclass(frozen=True, kw_only=True)
class AccountCounts:
    """How much a user has; nothing that others share with them."""

    sessions: int
    messages: int
    documents: int
    bytes: int
    """The size of the documents' originals."""
    api_keys: int
    """The revoked ones too."""
    groups: int
