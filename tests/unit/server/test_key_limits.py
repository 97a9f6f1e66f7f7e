"""A new key is never more than what makes it."""

from datetime import UTC, datetime, timedelta

import pytest

from persistence.access import AccessScope
from persistence.account_records import User
from server.errors import NotAuthorized
from server.security.key_limits import expiry_within, require_within_scopes
from server.security.principal import Principal

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def principal(*scopes: str, key_expires_at: datetime | None = None) -> Principal:
    user = User(id=7, username="ada", is_root=False, is_active=True, created_at=NOW)
    return Principal(
        user=user,
        scope=AccessScope(user_id=7),
        scopes=frozenset(scopes),
        key_expires_at=key_expires_at,
    )


@pytest.mark.parametrize("scopes", [[], ["chat"], ["chat", "account"]])
def test_an_unrestricted_credential_makes_any_key(scopes: list[str]) -> None:
    require_within_scopes(principal(), scopes)


def test_a_restricted_credential_makes_keys_with_some_of_its_scopes() -> None:
    maker = principal("chat", "account")
    require_within_scopes(maker, ["chat"])
    require_within_scopes(maker, ["chat", "account"])
    for more in ([], ["admin"], ["chat", "admin"]):
        with pytest.raises(NotAuthorized):
            require_within_scopes(maker, more)


def test_a_key_that_ends_makes_none_that_outlives_it() -> None:
    maker = principal(key_expires_at=NOW)
    assert expiry_within(maker, None) == NOW
    assert expiry_within(maker, NOW) == NOW
    assert expiry_within(maker, NOW - timedelta(days=1)) == NOW - timedelta(days=1)
    with pytest.raises(NotAuthorized):
        expiry_within(maker, NOW + timedelta(seconds=1))


def test_a_key_without_an_end_makes_keys_with_any() -> None:
    assert expiry_within(principal(), None) is None
    assert expiry_within(principal(), NOW) == NOW
