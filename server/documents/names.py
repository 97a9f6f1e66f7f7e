"""What people call files: one line of text that every answer can carry."""

import unicodedata

_NOT_IN_A_LINE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of surrogate pairs (which UTF-8 does not know), line and paragraph
separators: https://www.unicode.org/reports/tr44/#General_Category_Values."""

_JOINERS = "\u200c\u200d"
"""Format characters that some scripts and emoji cannot do without."""


def is_clean(text: str) -> bool:
    """Whether all of it can stand in one line, and nothing of it hides or turns the rest."""
    return not any(unicodedata.category(each) in _NOT_IN_A_LINE or _hides(each) for each in text)


def clean_name(text: str) -> str:
    """The text with a space in the place of whatever cannot stand in one line.

    What hides or turns text is left out.
    """
    shown = "".join(each for each in text if not _hides(each))
    kept = (" " if unicodedata.category(each) in _NOT_IN_A_LINE else each for each in shown)
    name = "".join(kept).strip()
    return name if name.strip(_JOINERS + " ") else ""


def _hides(char: str) -> bool:
    return unicodedata.category(char) == "Cf" and char not in _JOINERS
