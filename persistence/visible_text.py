"""Text as it shows: without what is there and cannot be seen.

Zero-width characters, direction marks, tag characters, variation selectors and control codes hide
orders from people and words from a search.
"""

import re
import unicodedata
from collections.abc import Callable

_BLANKS = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0"
"""Characters that are drawn as nothing, although Unicode takes them for letters or marks."""
_SHOWN_FORMATS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
"""Number signs that are drawn, although Unicode takes them for format characters."""
_LINE_ENDS = "\r\u0085\u2028\u2029\x0b\x0c"
_UNPLAIN = re.compile(r"[^\t\n\x20-\x7e]")


class CharacterTable(dict[int, int | str | None]):
    """A table for `str.translate` that works out a character when it comes for the first time."""

    def __init__(self, work_out: Callable[[str], str | None]) -> None:
        super().__init__()
        self._work_out = work_out

    def __missing__(self, code: int) -> str | None:
        made = self._work_out(chr(code))
        self[code] = made
        return made


def show(text: str) -> str:
    """The text with nothing but what shows; line ends and blanks are plain ones."""
    if _UNPLAIN.search(text) is None:
        return text
    return text.replace("\r\n", "\n").translate(_SHOWN)


def _show(char: str) -> str | None:
    """The character as it is, or a plain one in its place, or None if there is nothing to see."""
    if char in "\t\n":
        return char
    if char in _LINE_ENDS:
        return "\n"
    if char in _BLANKS or 0xFE00 <= ord(char) <= 0xFE0F or 0xE0000 <= ord(char) <= 0xE0FFF:
        return None
    category = unicodedata.category(char)
    if category in {"Cc", "Cs", "Cn"} or (category == "Cf" and char not in _SHOWN_FORMATS):
        return None
    return " " if category == "Zs" else char


_SHOWN = CharacterTable(_show)
