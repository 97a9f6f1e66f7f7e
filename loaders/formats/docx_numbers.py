"""The numbers before the paragraphs of a Word document: the file says only how to count."""

from collections.abc import Callable
from dataclasses import dataclass, field

from loaders.formats.docx_styles import W
from loaders.formats.list_numbers import in_capitals, letters, roman
from loaders.formats.safe_xml import XmlElement

_LEVELS = 9
_LONGEST_PICTURE_CHARS = 50
_LARGEST = 1_000_000
_NEVER = 0
_UNNUMBERED = frozenset({"bullet", "none"})
_WRITERS: dict[str, Callable[[int], str]] = {
    "lowerLetter": letters,
    "upperLetter": in_capitals(letters),
    "lowerRoman": roman,
    "upperRoman": in_capitals(roman),
    "decimalZero": lambda number: f"{number:02}",
}
"""What is not here is told in digits."""


@dataclass(frozen=True, kw_only=True)
class _Level:
    """How one level of a list counts and shows it."""

    start: int = 1
    form: str = "decimal"
    picture: str = ""
    """What is shown: `%1` stands for the number of the first level."""
    restarts_after: int | None = None
    """The level, counted from 1, after which it begins anew; None for any above it."""
    is_legal: bool = False
    """Whether the numbers of all levels are shown in digits."""
    style: str | None = None
    """The style whose paragraphs are of this level."""


_PLAIN = _Level()


@dataclass(kw_only=True)
class _List:
    """What all paragraphs count together that are of one list."""

    levels: dict[int, _Level]
    counts: list[int | None] = field(default_factory=lambda: [None] * _LEVELS)


class Numbering:
    """Counts on with each paragraph it is asked for, so they come in order."""

    def __init__(self, root: XmlElement | None) -> None:
        self._lists: dict[str, _List] = {}
        self._by_number: dict[str, tuple[str, XmlElement]] = {}
        self._begun: set[str] = set()
        if root is None:
            return
        definitions = {
            each.get(W + "abstractNumId", ""): each for each in root.iter(W + "abstractNum")
        }
        by_style = {_value(each, "styleLink"): each for each in definitions.values()}
        for name, element in definitions.items():
            shared = by_style.get(_value(element, "numStyleLink") or "")
            self._lists[name] = _List(levels=_levels(element if shared is None else shared))
        for element in root.iterchildren(W + "num"):
            held = _value(element, "abstractNumId") or ""
            self._by_number[element.get(W + "numId", "")] = held, element

    def next(self, number_id: str, level: int | None, *, style: str) -> str:
        """What stands before the next paragraph of a list; empty for a bullet.

        Args:
            number_id: which list.
            level: counted from 0; None where only the style tells it.
            style: the paragraph's.
        """
        name, element = self._by_number.get(number_id, ("", None))
        held = self._lists.get(name)
        if held is None or element is None:
            return ""
        if number_id not in self._begun:
            self._begun.add(number_id)
            _override(held, element)
        if level is None:
            named = (place for place, each in held.levels.items() if each.style == style)
            level = next(named, 0)
        if not 0 <= level < _LEVELS:
            return ""
        _count(held, level)
        return _label(held, level)


def _levels(definition: XmlElement) -> dict[int, _Level]:
    return {
        place: _level(element)
        for element in definition.iterchildren(W + "lvl")
        if (place := _number(element.get(W + "ilvl"), -1)) in range(_LEVELS)
    }


def _level(element: XmlElement) -> _Level:
    restart = _value(element, "lvlRestart")
    is_legal = element.find(W + "isLgl")
    return _Level(
        start=_number(_value(element, "start"), 1),
        form=_value(element, "numFmt") or "decimal",
        picture=(_value(element, "lvlText") or "")[:_LONGEST_PICTURE_CHARS],
        restarts_after=None if restart is None else _number(restart, _NEVER),
        is_legal=is_legal is not None and is_legal.get(W + "val", "true") not in {"0", "false"},
        style=_value(element, "pStyle"),
    )


def _override(held: _List, element: XmlElement) -> None:
    """Let a list that goes on with another's counts begin where it says itself."""
    for override in element.iterchildren(W + "lvlOverride"):
        place = _number(override.get(W + "ilvl"), -1)
        if place not in range(_LEVELS):
            continue
        own = override.find(W + "lvl")
        if own is not None:
            held.levels[place] = _level(own)
        start = _value(override, "startOverride")
        if start is not None:
            held.counts[place] = _number(start, 1) - 1


def _count(held: _List, level: int) -> None:
    before = held.counts[level]
    first = held.levels.get(level, _PLAIN).start
    held.counts[level] = first if before is None else min(before + 1, _LARGEST)
    for deeper in range(level + 1, _LEVELS):
        after = held.levels.get(deeper, _PLAIN).restarts_after
        if after is None or (after != _NEVER and level < after):
            held.counts[deeper] = None


def _label(held: _List, level: int) -> str:
    shown = held.levels.get(level, _PLAIN)
    if shown.form in _UNNUMBERED:
        return ""
    label = shown.picture
    for place in range(level + 1):
        other = held.levels.get(place, _PLAIN)
        count = held.counts[place]
        write = _WRITERS.get("decimal" if shown.is_legal else other.form, str)
        label = label.replace(f"%{place + 1}", write(other.start if count is None else count))
    return " ".join(label.split())


def _value(element: XmlElement, name: str) -> str | None:
    found = element.find(W + name)
    return None if found is None else found.get(W + "val")


def _number(text: str | None, otherwise: int) -> int:
    return min(int(text), _LARGEST) if text and text.isdecimal() and len(text) < 10 else otherwise
