"""How much work it is to look through a value, judged without looking through all of it."""

from collections.abc import Iterable, Mapping
from typing import Any

LIGHT_CHARS = 16_384
"""As much as can be read and compared in a millisecond or so."""
PART_CHARS = 32
"""How much text takes as long as one value."""


def is_light(*values: Any) -> bool:
    """Whether JSON values are so small that work on them holds up nobody.

    It ends as soon as they are known not to be.
    """
    left = LIGHT_CHARS
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        parts: Iterable[Any] = ()
        if isinstance(value, str | bytes):
            left -= len(value)
        elif isinstance(value, Mapping):
            left -= len(value) * PART_CHARS
            parts = value.values()
        elif isinstance(value, list | tuple):
            parts = value
        left -= PART_CHARS
        if left < 0:
            return False
        waiting.extend(parts)
        if len(waiting) * PART_CHARS > left:
            return False
    return True
