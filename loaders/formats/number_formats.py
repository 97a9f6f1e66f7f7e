"""A spreadsheet's numbers as people see them.

Dates are written as ISO 8601 whatever their format, since `03/04/25` says two days; figures keep
their decimals, percent signs, currencies, thousands and leading zeros.
"""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel

Show = Callable[[float], str]
"""Gives the text that a cell shows for a number."""

_MOST_DECIMALS = 30
_LARGEST = 1e15
_HALF_A_SECOND = dt.timedelta(microseconds=500_000)
_LOCALE = re.compile(r"\[\$([^\]-]*)[^\]]*\]")
_BRACKETS = re.compile(r"\[[^\]]*\]")
_LITERAL = re.compile(r'"([^"]*)"|\\(.)|_.|\*.')
_PLACEHOLDERS = re.compile(r"[#0?][#0?,. ]*")
_UNFORMATTED = re.compile(r"general|@|e[+-]|/", re.I)
_DURATION = re.compile(r"\[(h+|m+|s+)\]", re.I)
_MOMENT = re.compile(r"[ymdhs]", re.I)
_MARK = "\x00"
_EPOCHS = {False: CALENDAR_WINDOWS_1900, True: CALENDAR_MAC_1904}


def show_general(value: float) -> str:
    """A number without a format."""
    if abs(value) < _LARGEST and value == int(value):
        return str(int(value))
    return f"{value:.15g}"


def show_as(code: str, *, is_1904: bool = False) -> Show:
    """How numbers are shown that have this format code."""
    sections = _sections(code)
    if _is_moment(sections[0]):
        return _show_moments(is_duration=_DURATION.search(code) is not None, is_1904=is_1904)
    shows = [_show_section(section) for section in sections[:3]]
    if len(shows) == 1:
        return shows[0]
    # The section for negative numbers says itself how they are told from others.
    negative, zero = shows[1], shows[-1] if len(shows) > 2 else shows[0]
    return lambda value: (shows[0] if value > 0 else negative if value < 0 else zero)(
        abs(value) if value < 0 else value
    )


def show_date(moment: dt.datetime | dt.date | dt.time | dt.timedelta) -> str:
    """A moment without the parts that say nothing."""
    if isinstance(moment, dt.timedelta):
        seconds = round(moment.total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if isinstance(moment, dt.datetime):
        moment = (moment + _HALF_A_SECOND).replace(microsecond=0)
        if moment.time() == dt.time():
            return moment.date().isoformat()
        return moment.isoformat(" ").removesuffix(":00")
    if isinstance(moment, dt.time):
        return moment.replace(microsecond=0).isoformat().removesuffix(":00")
    return moment.isoformat()


def _show_moments(*, is_duration: bool, is_1904: bool) -> Show:
    def show(value: float) -> str:
        try:
            moment = from_excel(value, _EPOCHS[is_1904], timedelta=is_duration)
        except (ValueError, OverflowError):
            return show_general(value)
        return show_general(value) if moment is None else show_date(moment)

    return show


def _sections(code: str) -> list[str]:
    """The sections of a format, its literals marked so that what they hold is no sign."""
    parts: list[str] = [""]
    position = 0
    while position < len(code):
        literal = _LITERAL.match(code, position)
        if literal:
            kept = literal[1] if literal[1] is not None else literal[2]
            parts[-1] += f"{_MARK}{kept}{_MARK}" if kept else " " if literal[0][0] == "_" else ""
            position = literal.end()
        elif code[position] == ";":
            parts.append("")
            position += 1
        else:
            parts[-1] += code[position]
            position += 1
    return parts


def _plain(section: str) -> str:
    """A section without literals, currencies, colours and conditions."""
    return _BRACKETS.sub("", "".join(section.split(_MARK)[0::2]))


def _is_moment(section: str) -> bool:
    if _DURATION.search(section):
        return True
    plain = _plain(section)
    return _MOMENT.search(re.sub("general", "", plain, flags=re.I)) is not None


def _show_section(section: str) -> Show:
    plain = _plain(section)
    if _UNFORMATTED.search(plain):
        return show_general
    section = _BRACKETS.sub("", _LOCALE.sub(r"\1", section))
    picture = _picture(section, percents=plain.count("%"))
    if picture is None:
        literal = section.replace(_MARK, "").strip()
        return lambda _: literal
    return picture.show


def _picture(section: str, *, percents: int) -> "_Picture | None":
    """None for a section that shows no number."""
    found = _PLACEHOLDERS.search(section)
    if found is None:
        return None
    figures = found[0].rstrip(" ")
    whole, _, fraction = figures.partition(".")
    scaled_down = len(figures) - len(figures.rstrip(","))
    most_decimals = min(len(fraction.strip(", ")), _MOST_DECIMALS)
    return _Picture(
        before=section[: found.start()].replace(_MARK, ""),
        after=(" " * (len(found[0]) - len(figures)) + section[found.end() :]).replace(_MARK, ""),
        unit=Decimal(1).scaleb(-most_decimals),
        decimals=min(fraction.count("0"), _MOST_DECIMALS),
        digits=min(whole.count("0"), _MOST_DECIMALS),
        has_thousands="," in whole.rstrip(","),
        scale=2 * percents - 3 * scaled_down,
    )


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """One section of a number format, taken apart."""

    before: str
    after: str
    unit: Decimal
    """What numbers are rounded to."""
    decimals: int
    """Decimals that are shown even when they are zero."""
    digits: int
    has_thousands: bool
    scale: int
    """The power of ten that the number is multiplied by."""

    def show(self, value: float) -> str:
        """The number with what stands around it."""
        if not abs(value) < _LARGEST:
            return show_general(value)
        number = Decimal(repr(value))
        if self.scale:
            number = number.scaleb(self.scale)
        rounded = abs(number).quantize(self.unit, ROUND_HALF_UP)
        sign = "-" if value < 0 and rounded else ""
        return f"{sign}{self.before}{self._figures(rounded)}{self.after}".strip()

    def _figures(self, rounded: Decimal) -> str:
        whole, _, fraction = f"{rounded:,f}".partition(".")
        if not self.has_thousands:
            whole = whole.replace(",", "").zfill(self.digits)
        if len(fraction) > self.decimals:
            fraction = fraction[: self.decimals] + fraction[self.decimals :].rstrip("0")
        return f"{whole}.{fraction}" if fraction else whole
