"""Texts that say the same."""

import pytest

from persistence.ranking.near_duplicates import fingerprint, says_nothing_new

NOTICE = (
    "The canteen is open from Monday to Friday and closes when the last guest has left. "
    "Guests bring their badge and pay by card at the till next to the door."
)


def is_left_out(text: str, *, known: str) -> bool:
    return says_nothing_new(fingerprint(text), fingerprint(known))


@pytest.mark.parametrize(
    ("text", "known"),
    [
        pytest.param(NOTICE, NOTICE, id="the same"),
        pytest.param(NOTICE, NOTICE.upper().replace(" ", "  "), id="other case and spaces"),
        pytest.param(NOTICE, f"Welcome to all. {NOTICE}", id="a shorter cut"),
        pytest.param(NOTICE.removeprefix("The canteen "), NOTICE, id="without its beginning"),
        pytest.param("Yes.", "yes", id="a word"),
    ],
)
def test_a_text_in_the_words_of_another_is_left_out(text: str, known: str) -> None:
    assert is_left_out(text, known=known)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        pytest.param(NOTICE, "Badges are made at the reception in the morning.", id="another"),
        pytest.param(f"{NOTICE} In 2023.", f"{NOTICE} In 2024.", id="another year"),
        pytest.param("vacation rule 1", "vacation rule 2", id="another number"),
        pytest.param(f"{NOTICE} Ask Falk.", f"{NOTICE} Ask Braun.", id="another name"),
        pytest.param(NOTICE.replace("and pay", "and never pay"), NOTICE, id="the contrary"),
        pytest.param(NOTICE, "The canteen is open from Monday to Friday", id="its own heading"),
        pytest.param("yes", "no", id="another word"),
    ],
)
def test_a_text_that_says_anything_more_or_else_is_kept(text: str, known: str) -> None:
    assert not is_left_out(text, known=known)
