"""Finding a secret in a text, however it is written there.

Letter case, spacing, punctuation and width do not count, nor do characters that do not show. Beyond
that the simple disguises are undone that a model can be asked for: digits as words, backwards,
ROT13, Base64, hexadecimal, and the escapes of URLs and HTML.
"""

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

SIGNS_MIN = 4
"""Fewer letters and digits are found in too many texts by chance."""
_FREE_STANDING_BELOW = 8
"""A shorter secret has to stand alone: `Falk` is not in `Falkland`."""
_GAP = r"[\W_]{0,4}"
_DIGITS = {
    "zero": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
}
_DIGIT_WORD = re.compile(rf"(?<![a-z])(?:{'|'.join(_DIGITS)})(?![a-z])")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[\s:]?){4,}")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A text, read in one way."""

    text: str
    how: str
    """In words: `plainly`, `in Base64`."""


def signs(text: str) -> str:
    """The letters and digits of a text, in one form."""
    return "".join(each for each in _plain(text) if each.isalnum())


def found_as(text: str, secret: str) -> str | None:
    """How a text shows a secret; None if it does not."""
    pattern = _pattern(signs(secret))
    return next((each.how for each in _readings(text) if pattern.search(each.text)), None)


def texts_in(value: Any) -> Iterator[str]:
    """All texts and numbers of a call's arguments, and the names in them, which may carry words."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield str(name)
            yield from texts_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_in(each)
    elif value is not None:
        yield str(value)


def _readings(text: str) -> Iterator[Reading]:
    """All of them, the likeliest first."""
    yield from _said("", text)
    for coded in dict.fromkeys((unquote(text), html.unescape(text))):
        if coded != text:
            yield from _said(" behind escapes", coded)
    for decoded in _decoded(unquote(text)):
        yield from _said(decoded.how, decoded.text)


def _said(how: str, text: str) -> Iterator[Reading]:
    plain = _plain(text)
    yield Reading(text=plain, how=how.strip() or "plainly")
    yield Reading(text=_DIGIT_WORD.sub(lambda hit: _DIGITS[hit[0]], plain), how="in words" + how)
    yield Reading(text=plain[::-1], how="backwards" + how)
    yield Reading(text=codecs.encode(plain, "rot13"), how="in ROT13" + how)


def _decoded(text: str) -> Iterator[Reading]:
    for run in _BASE64.findall(text):
        for part in dict.fromkeys((run, *run.split("/"))):
            if decoded := _from_base64(part):
                yield Reading(text=decoded, how=" in Base64")
    for run in _HEX.findall(text):
        digits = re.sub(r"[\s:]", "", run)
        yield Reading(text=bytes.fromhex(digits).decode("utf-8", "ignore"), how=" in hexadecimal")


def _from_base64(text: str) -> str:
    """Empty if it is none; what is missing at the end is made up for."""
    whole = text[: len(text) - (len(text) % 4 == 1)]
    try:
        decoded = base64.b64decode(whole + "=" * (-len(whole) % 4), altchars=b"-_")
        return decoded.decode("utf-8", "ignore")
    except (binascii.Error, ValueError):
        return ""


def _plain(text: str) -> str:
    """In one width and case, without accents and without what does not show."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    return "".join(each for each in folded if each.isspace() or not _is_hidden(each))


def _is_hidden(sign: str) -> bool:
    return unicodedata.category(sign) in {"Mn", "Cf", "Cc"}


def _pattern(wanted: str) -> re.Pattern[str]:
    """These letters and digits with next to nothing between them.

    A number does not go on with digits on either side, nor a short word with letters.
    """
    body = _GAP.join(re.escape(each) for each in wanted)
    edge = r"[^\W_]" if len(wanted) < _FREE_STANDING_BELOW else ""
    before = r"(?<!\d)(?<!\d[,.'])" if wanted[0].isdigit() else edge and f"(?<!{edge})"
    after = r"(?!\d)" if wanted[-1].isdigit() else edge and f"(?!{edge})"
    return re.compile(f"{before}{body}{after}")
