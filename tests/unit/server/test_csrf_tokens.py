"""CSRF tokens are bound to one login."""

from uuid import uuid4

import pytest

from server.security.csrf import CsrfTokens
from server.security.derived_key import derive_key

SECRET = "a secret that is long enough for everybody"


def test_a_token_is_good_for_its_login_alone() -> None:
    tokens, mine, theirs = CsrfTokens(SECRET), uuid4(), uuid4()
    token = tokens.issue(mine)
    assert tokens.verify(token, mine)
    assert CsrfTokens(SECRET).verify(token, mine)  # another replica
    assert not tokens.verify(token, theirs)
    assert not CsrfTokens("another secret").verify(token, mine)


def test_each_token_is_another_and_all_are_good() -> None:
    tokens, login = CsrfTokens(SECRET), uuid4()
    issued = {tokens.issue(login) for _ in range(10)}
    assert len(issued) == 10
    assert all(tokens.verify(token, login) for token in issued)


def test_a_token_with_any_character_changed_is_refused() -> None:
    tokens, login = CsrfTokens(SECRET), uuid4()
    token = tokens.issue(login)
    for place, character in enumerate(token):
        other = "A" if character != "A" else "B"
        assert not tokens.verify(token[:place] + other + token[place + 1 :], login)


@pytest.mark.parametrize(
    "token", ["", "x", "é", "=", "A" * 22, "A" * 64, "A" * 65, "A" * 100_000, "\x00", " "]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    assert not CsrfTokens(SECRET).verify(token, uuid4())


def test_a_token_with_something_around_it_is_refused() -> None:
    tokens, login = CsrfTokens(SECRET), uuid4()
    token = tokens.issue(login)
    assert not tokens.verify(f" {token}", login)
    assert not tokens.verify(f"{token}=", login)
    assert not tokens.verify(f"{token}\n", login)


def test_one_secret_gives_a_key_of_its_own_to_each_purpose() -> None:
    assert derive_key(SECRET, "one purpose") != derive_key(SECRET, "another purpose")
    with pytest.raises(ValueError, match="empty"):
        derive_key("", "one purpose")
