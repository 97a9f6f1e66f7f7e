"""The numbers of lists and headings in OpenDocument texts: the file says only how to count."""

from collections.abc import Callable
from dataclasses import dataclass

from loaders.formats.list_numbers import in_capitals, letters, roman
from loaders.formats.odf_styles import STYLE, TEXT
from loaders.formats.safe_xml import XmlElement, local_name

_ID = "{http://www.w3.org/XML/1998/namespace}id"
_DEEPEST = 10
_LARGEST = 1_000_000
_LONGEST_SIGN_CHARS = 20
_WRITERS: dict[str, Callable[[int], str]] = {
    "1": str,
    "a": letters,
    "A": in_capitals(letters),
    "i": roman,
    "I": in_capitals(roman),
}


@dataclass(frozen=True, kw_only=True)
class _Level:
    """How one level counts, and how it shows that."""

    form: str
    before: str
    after: str
    start: int
    shown: int
    """How many levels are shown, this one included."""


_Levels = dict[int, _Level]


@dataclass(kw_only=True)
class OpenList:
    """A list that is being read, with the ones that it is in."""

    style: str
    levels: _Levels
    counts: list[int]
    """How far each level is, from the outermost to this one."""
    goes_on: str = ""
    """What it goes on with, as long as it has no item of its own."""


class Numbering:
    """Counts the items of lists and the headings, which come in order."""

    def __init__(self, *roots: XmlElement | None) -> None:
        """Take in how to count.

        Args:
            roots: the parts that hold styles.
        """
        self._styles: dict[str, _Levels] = {}
        self._outline: _Levels = {}
        self._headings: list[int] = []
        self._ended: dict[tuple[str, int], int] = {}
        """By the name of a style or the id of a list, how far each level was when it ended."""
        for root in (each for each in roots if each is not None):
            for element in root.iter(TEXT + "list-style"):
                self._styles[element.get(STYLE + "name", "")] = _levels(element)
            for element in root.iter(TEXT + "outline-style"):
                self._outline = _levels(element)

    def open(self, element: XmlElement, outer: OpenList | None) -> OpenList:
        """Begin a list, or go on with one that was there before."""
        style = element.get(TEXT + "style-name", outer.style if outer else "")
        levels = self._styles.get(style, {})
        counts = [] if outer is None else outer.counts
        level = len(counts) + 1
        goes_on = element.get(TEXT + "continue-list") or (outer.goes_on if outer else "")
        if element.get(TEXT + "continue-numbering") == "true":
            goes_on = goes_on or style
        start = levels[level].start if level in levels else 1
        count = start - 1
        if goes_on:  # LibreOffice also names lists that are nowhere
            count = self._ended.get((goes_on, level), self._ended.get((style, level), count))
        return OpenList(style=style, levels=levels, counts=[*counts, count], goes_on=goes_on)

    def close(self, element: XmlElement, ended: OpenList) -> None:
        """End a list, which another one may go on with."""
        level = len(ended.counts)
        for name in {ended.style, element.get(_ID, ended.style)}:
            self._ended[name, level] = ended.counts[-1]

    def item(self, element: XmlElement, held: OpenList) -> str:
        """What stands before the next item of a list; empty for a bullet."""
        if len(element) and element[0].tag == TEXT + "list":  # it only holds deeper ones
            return ""
        level = len(held.counts)
        held.goes_on = ""
        held.counts[-1] = _number(element.get(TEXT + "start-value"), held.counts[-1] + 1)
        own = element.get(TEXT + "style-override", held.style)
        self._ended[own, level] = held.counts[-1]
        return _label(self._styles.get(own, held.levels), held.counts, level)

    def heading(self, element: XmlElement, level: int) -> str:
        """What stands before the next heading; empty where headings are not numbered."""
        if not self._outline or element.get(TEXT + "is-list-header") == "true":
            return ""
        counts = [*self._headings, *[0] * level][:level]
        counts[-1] += 1
        self._headings = counts
        return _label(self._outline, counts, level)


def _levels(style: XmlElement) -> _Levels:
    return {
        level: _level(element)
        for element in style
        if local_name(element) in {"list-level-style-number", "outline-level-style"}
        and 0 < (level := _number(element.get(TEXT + "level"), 0)) <= _DEEPEST
    }


def _level(element: XmlElement) -> _Level:
    return _Level(
        form=element.get(STYLE + "num-format", ""),
        before=element.get(STYLE + "num-prefix", "")[:_LONGEST_SIGN_CHARS],
        after=element.get(STYLE + "num-suffix", "")[:_LONGEST_SIGN_CHARS],
        start=_number(element.get(TEXT + "start-value"), 1),
        shown=max(_number(element.get(TEXT + "display-levels"), 1), 1),
    )


def _label(levels: _Levels, counts: list[int], level: int) -> str:
    own = levels.get(level)
    if own is None or not own.form:
        return ""
    numbers = []
    for place in range(max(level - own.shown, 0), level):
        shown = levels.get(place + 1)
        if shown is not None and shown.form:
            numbers.append(_WRITERS.get(shown.form, str)(max(counts[place], 1)))
    return f"{own.before}{'.'.join(numbers)}{own.after}".strip()


def _number(text: str | None, otherwise: int) -> int:
    return min(int(text), _LARGEST) if text and text.isdecimal() and len(text) < 10 else otherwise
