"""The patterns that rules about tool calls are made of.

A pattern is text in which `*` stands for any characters, also for none; there is nothing else to
know, and letter case does not count. No pattern takes longer than reading the text once for each
of its `*`: regular expressions could stand still over a text that somebody has thought out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ANY = "*"


@dataclass(frozen=True)
class Glob:
    """A pattern, cut at its `*`."""

    pieces: tuple[str, ...]

    @classmethod
    def parse(cls, pattern: str) -> "Glob":
        """Reads a pattern; every text is one."""
        return cls(tuple(pattern.casefold().split(ANY)))

    def fits(self, text: str) -> bool:
        """Whether the whole text has this form."""
        text = text.casefold()
        if len(self.pieces) == 1:
            return text == self.pieces[0]
        first, *middle, last = self.pieces
        place, end = len(first), len(text) - len(last)
        if place > end or not (text.startswith(first) and text.endswith(last)):
            return False
        for piece in middle:
            found = text.find(piece, place, end)
            if found < 0:
                return False
            place = found + len(piece)
        return True


def texts_at(args: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yields what stands at a path of the arguments, each value as text.

    The path is a name, or names and positions with dots between them; `*` in one's place means each
    of them (`to`, `recipients.*.email`, `range.0`). An object or a list that the path ends at
    stands for all the values in it.
    """
    values: list[Any] = [args]
    for step in path.split("."):
        values = [below for value in values for below in _below(value, step)]
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


def _below(value: Any, step: str) -> Iterator[Any]:
    if isinstance(value, Mapping):
        if step == ANY:
            yield from value.values()
        elif step in value:
            yield value[step]
    elif isinstance(value, list | tuple):
        if step == ANY:
            yield from value
        elif step.isascii() and step.isdecimal() and int(step) < len(value):
            yield value[int(step)]
