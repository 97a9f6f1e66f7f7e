"""Texts that say the same."""

import pytest

from persistence.ranking.near_duplicates import fingerprint, is_near_duplicate

NOTICE = (
    "The canteen is open from Monday to Friday and closes when the last guest has left. "
    "Guests bring their badge and pay by card at the till next to the door."
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(NOTICE, NOTICE, id="the same"),
        pytest.param(NOTICE, NOTICE.upper().replace(" ", "  "), id="other case and spaces"),
        pytest.param(NOTICE, f"Welcome to all. {NOTICE}", id="a longer cut"),
        pytest.param("Yes.", "yes", id="a word"),
    ],
)
def test_texts_in_the_same_words_are_near_duplicates(one: str, other: str) -> None:
    assert is_near_duplicate(fingerprint(one), fingerprint(other))
    assert is_near_duplicate(fingerprint(other), fingerprint(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(NOTICE, "Badges are made at the reception in the morning.", id="another"),
        pytest.param(f"{NOTICE} In 2023.", f"{NOTICE} In 2024.", id="another year"),
        pytest.param("vacation rule 1", "vacation rule 2", id="another number"),
        pytest.param("yes", "no", id="another word"),
    ],
)
def test_texts_that_differ_in_words_or_figures_are_not(one: str, other: str) -> None:
    assert not is_near_duplicate(fingerprint(one), fingerprint(other))
