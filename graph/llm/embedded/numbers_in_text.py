"""Finds the numbers that a person wrote."""

import re
from decimal import Decimal, InvalidOperation

# Not inside a word or a code ("X200", "T9"), and not a part of a date or version ("1.2.3").
_NUMBER = re.compile(
    r"(?<![\w.,:/-])(-?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?))"
    r"(?=(?:[a-zA-Z°µ%'\"]{1,6})?(?:[/^²³]\w*)?(?:[\s,;:!?)]|\.(?:\s|$)|$))"
)
_NUMBER_WORD = re.compile(
    r"\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|"
    r"thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|half|dozen|"
    r"an?\s+(?:\w+\s+)?(?:in|to|into|as))\b",
    re.IGNORECASE,
)


def find_numbers(text: str) -> list[str]:
    """The numbers written in digits, as JSON writes them, each once and in order."""
    found = []
    for match in _NUMBER.finditer(text):
        number = _as_json(match[1].replace(",", ""))
        if number is not None:
            found.append(number)
    return list(dict.fromkeys(found))


def mentions_number(text: str) -> bool:
    """Whether the text names a quantity, in digits or words."""
    return bool(find_numbers(text)) or _NUMBER_WORD.search(text) is not None


def _as_json(digits: str) -> str | None:
    try:
        value = Decimal(digits)
    except InvalidOperation:
        return None
    if value == value.to_integral_value():
        return str(int(value))
    return format(value.normalize(), "f")
