"""What a new key may be at most: no more than the credential that makes it."""

from collections.abc import Collection
from datetime import datetime

from server.errors import NotAuthorized
from server.security.principal import Principal


def require_within_scopes(principal: Principal, scopes: Collection[str]) -> None:
    """Refuses scopes that the maker's own credential does not carry; none would mean all.

    Raises:
        NotAuthorized: The key could do what its maker cannot.
    """
    if principal.scopes and not (scopes and principal.scopes.issuperset(scopes)):
        raise NotAuthorized(
            "A restricted key makes only keys with some of its own scopes; name them in 'scopes'."
        )


def expiry_within(principal: Principal, expires_at: datetime | None) -> datetime | None:
    """The new key's end: as asked for, or the end of the key that makes it if none was.

    A key that ends would not end if it could leave another one behind.

    Raises:
        NotAuthorized: The key would outlive the one that makes it.
    """
    latest = principal.key_expires_at
    if latest is not None and expires_at is not None and expires_at > latest:
        raise NotAuthorized("A key makes no key that outlives it.")
    return latest if expires_at is None else expires_at
