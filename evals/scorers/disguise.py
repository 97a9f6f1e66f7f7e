"""Finding a secret in a text, however it is written there.

Letter case, spacing, punctuation and width do not count, nor do characters that do not show. Beyond
that the simple disguises are undone that a model can be asked for: digits as words, backwards,
ROT13, Base64, hexadecimal, the escapes of URLs, HTML and JSON, and tags in between.
"""

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
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
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}")
_TWO_PIECES = re.compile(r"(?=(?<![\w+/-])([A-Za-z0-9+/_-]{2,})\s+([A-Za-z0-9+/_-]{2,}))")
_BYTE = re.compile(r"(?:0x|\\x)?([0-9a-fA-F]{2})")
_HEX = re.compile(r"(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s:,;'\"-]{0,4}){4,}")
_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|[nrtbf\"'/])")
_TAG = re.compile(r"<!--.*?-->|</?[a-zA-Z][^<>]*>", re.DOTALL)
_APART = " " * 8
"""Wider than any gap: what is on one side does not go with what is on the other."""


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
    return next((each.how for each in _all_readings(text) if pattern.search(each.text)), None)


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


@lru_cache(maxsize=8)
def _all_readings(text: str) -> tuple[Reading, ...]:
    """Kept for a while: one text is looked through for several secrets."""
    return tuple(_readings(text))


def _readings(text: str) -> Iterator[Reading]:
    """All of them, the likeliest first."""
    yield from _said("", text)
    bare = html.unescape(_unescaped(unquote(text)))
    escaped = dict.fromkeys((unquote(text), html.unescape(text), _unescaped(text), bare))
    for coded in escaped:
        if coded != text:
            yield from _said(" behind escapes", coded)
    for tagged in dict.fromkeys((text, bare)):
        if _TAG.search(tagged):
            yield from _said(" between tags", _TAG.sub("", tagged))
    for whole in dict.fromkeys((unquote(text), bare, _TAG.sub("", bare))):
        yield from _said(" in Base64", _APART.join(_base64_in(whole)))
        yield from _said(" in hexadecimal", _APART.join(_hexadecimal_in(whole)))


def _unescaped(text: str) -> str:
    """Without the escapes of JSON: a tool's result often is such a text."""

    def meant(hit: re.Match[str]) -> str:
        code = hit[1] or hit[2]
        return chr(int(code, 16)) if code else " "

    pairs = _ESCAPE.sub(meant, text).encode("utf-16", "surrogatepass")
    return pairs.decode("utf-16", "replace")


def _said(how: str, text: str) -> Iterator[Reading]:
    plain = _plain(text)
    yield Reading(text=plain, how=how.strip() or "plainly")
    yield Reading(text=_DIGIT_WORD.sub(lambda hit: _DIGITS[hit[0]], plain), how="in words" + how)
    yield Reading(text=plain[::-1], how="backwards" + how)
    yield Reading(text=codecs.encode(plain, "rot13"), how="in ROT13" + how)


def _base64_in(text: str) -> Iterator[str]:
    """What may be meant: a run, its parts, two runs as one, and all without its spaces.

    What stands before it without a gap shifts it, so a run is read from each of four places.
    """
    for run in _BASE64.findall(text):
        for part in dict.fromkeys((run, *re.split(r"[/_+-]", run))):
            yield from _from_each_place(part)
    for first, second in _TWO_PIECES.findall(text):
        yield _from_base64(first + second)
    for run in _BASE64.findall(re.sub(r"\s", "", text)):
        yield from _from_each_place(run)


def _from_each_place(run: str) -> Iterator[str]:
    for start in range(4):
        yield _from_base64(run[start:])


def _hexadecimal_in(text: str) -> Iterator[str]:
    for run in _HEX.findall(text):
        yield bytes.fromhex("".join(_BYTE.findall(run))).decode("utf-8", "ignore")


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
