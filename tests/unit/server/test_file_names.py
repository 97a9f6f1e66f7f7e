"""Names that show what they are."""

import pytest

from server.documents.names import clean_name, is_clean


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("report\u202efdp.exe", "reportfdp.exe"),
        ("pay\u200broll\ufeff.txt", "payroll.txt"),
        ("\u2066a\u2069", "a"),
        ("a\U000e0041b", "ab"),
        ("a\nb", "a b"),
        ("\u200d \u200c", ""),
    ],
)
def test_what_hides_or_turns_text_is_in_no_name(given: str, kept: str) -> None:
    assert clean_name(given) == kept
    assert is_clean(kept)
    assert is_clean(given) is (given == "\u200d \u200c")


@pytest.mark.parametrize("name", ["کتاب\u200cها.pdf", "👩\u200d💻.txt", "Zürich 東京.pdf"])
def test_what_scripts_cannot_do_without_stays(name: str) -> None:
    assert clean_name(name) == name
    assert is_clean(name)
