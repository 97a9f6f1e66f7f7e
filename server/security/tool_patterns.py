"""The patterns that rules about tool calls are made of.

A pattern is text in which `*` stands for any characters, also for none; there is nothing else to
know. Letter case, white space around it and other forms of the same characters (`＠` for `@`, what
does not show at all) do not count. No pattern takes longer than reading the text once for each of
its `*`: regular expressions could stand still over a text that somebody has thought out.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ANY = "*"
_DOES_NOT_SHOW = "Cf"
"""Unicode's category of what joins, parts or turns other characters."""
_PLACE_DIGITS = 9


@dataclass(frozen=True)
class Glob:
    """A pattern, cut at its `*`."""

    as_written: tuple[str, ...]
    plain: tuple[str, ...]

    @classmethod
    def parse(cls, pattern: str) -> "Glob":
        """Reads a pattern; every text is one."""
        return cls(
            as_written=tuple(piece.casefold() for piece in pattern.split(ANY)),
            plain=tuple(map(_in_plain, pattern.strip().split(ANY))),
        )

    def fits(self, text: str) -> bool:
        """Whether the whole text has this form, or looks as if it had."""
        return _fits(self.plain, _in_plain(text.strip()).strip()) or self.fits_as_written(text)

    def fits_as_written(self, text: str) -> bool:
        """Whether the whole text has this form, but for letter case: not only by its looks."""
        return _fits(self.as_written, text.casefold())


def texts_at(args: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yields what stands at a path of the arguments, each value as text.

    The path is a name, or names and positions with dots between them; `*` in one's place means each
    of them (`to`, `recipients.*.email`, `range.0`). An object or a list that the path ends at
    stands for all the values in it, and never for the names in it: no pattern sees those. A name
    that has dots itself is found as well.
    """
    values = list(_below(args, path.split(".")))
    while values:
        value = values.pop()
        if isinstance(value, Mapping) and value:
            values += value.values()
        elif isinstance(value, list | tuple) and value:
            values += value
        else:
            yield as_text(value)


def as_text(value: Any) -> str:
    """A single value as patterns see it: `true`, `null`, and 5 for 5.0."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, Mapping | list | tuple):
        return "null" if value is None else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _below(value: Any, steps: Sequence[str]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    step, further = steps[0], steps[1:]
    if step == ANY and isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _below(each, further)
    if isinstance(value, Mapping):
        for taken in range(1, len(steps) + 1):
            name = ".".join(steps[:taken])
            if name in value and name != ANY:
                yield from _below(value[name], steps[taken:])
    elif isinstance(value, list | tuple) and _is_place(step) and int(step) < len(value):
        yield from _below(value[int(step)], further)


def _is_place(step: str) -> bool:
    return step.isascii() and step.isdecimal() and len(step) <= _PLACE_DIGITS


def _fits(pieces: Sequence[str], text: str) -> bool:
    if len(pieces) == 1:
        return text == pieces[0]
    first, *middle, last = pieces
    place, end = len(first), len(text) - len(last)
    if place > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for piece in middle:
        found = text.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def _in_plain(text: str) -> str:
    """The text in the form in which all texts that look the same are the same, mostly."""
    if text.isascii():
        return text.casefold()
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(sign for sign in text if unicodedata.category(sign) != _DOES_NOT_SHOW)
