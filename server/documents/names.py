"""What people call files: one line of text that every answer can carry."""

import unicodedata

_NOT_IN_A_LINE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of surrogate pairs (which UTF-8 does not know), line and paragraph
separators: https://www.unicode.org/reports/tr44/#General_Category_Values."""


def is_clean(text: str) -> bool:
    """Whether all of it can stand in one line."""
    return not any(unicodedata.category(each) in _NOT_IN_A_LINE for each in text)


def clean_name(text: str) -> str:
    """The text with a space in the place of whatever cannot stand in one line."""
    kept = (" " if unicodedata.category(each) in _NOT_IN_A_LINE else each for each in text)
    return "".join(kept).strip()
