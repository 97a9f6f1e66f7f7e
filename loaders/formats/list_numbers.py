"""Numbers of lists as they are written: by digits, letters, or as the Romans did."""

from collections.abc import Callable

_LETTERS = 26
_MOST_REPEATED = 30
_MOST_ROMAN = 3_999
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"),
    (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip


def letters(number: int) -> str:
    """`a` to `z`, then `aa` to `zz`, as word processors count; digits where that is too long."""
    repeated, letter = divmod(number - 1, _LETTERS)
    if number < 1 or repeated >= _MOST_REPEATED:
        return str(number)
    return chr(ord("a") + letter) * (repeated + 1)


def roman(number: int) -> str:
    """Small Roman numerals; digits where there are none."""
    if not 1 <= number <= _MOST_ROMAN:
        return str(number)
    parts = []
    for value, sign in _ROMAN:
        count, number = divmod(number, value)
        parts.append(sign * count)
    return "".join(parts)


def in_capitals(write: Callable[[int], str]) -> Callable[[int], str]:
    """The same in capital letters."""
    return lambda number: write(number).upper()
