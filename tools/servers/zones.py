"""From what people call a place ("Tokyo", "new york", "Japan", "CET") to its time zone."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from zoneinfo import ZoneInfo

from tools.errors import ToolRefused

PLACE_MAX_CHARS = 64
NEAR_MATCHES = 5

# Large places whose zone is named after another city, and names that people use for a place.
_ALSO_KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "abu dhabi": "Asia/Dubai",
        "argentina": "America/Argentina/Buenos_Aires",
        "atlanta": "America/New_York",
        "austin": "America/Chicago",
        "bangalore": "Asia/Kolkata",
        "barcelona": "Europe/Madrid",
        "beijing": "Asia/Shanghai",
        "boston": "America/New_York",
        "california": "America/Los_Angeles",
        "cape town": "Africa/Johannesburg",
        "central time": "America/Chicago",
        "china": "Asia/Shanghai",
        "cst": "America/Chicago",
        "dallas": "America/Chicago",
        "delhi": "Asia/Kolkata",
        "eastern time": "America/New_York",
        "edinburgh": "Europe/London",
        "edt": "America/New_York",
        "england": "Europe/London",
        "est": "America/New_York",
        "florence": "Europe/Rome",
        "frankfurt": "Europe/Berlin",
        "geneva": "Europe/Zurich",
        "germany": "Europe/Berlin",
        "guangzhou": "Asia/Shanghai",
        "hamburg": "Europe/Berlin",
        "hanoi": "Asia/Bangkok",
        "hawaii": "Pacific/Honolulu",
        "here": "UTC",
        "houston": "America/Chicago",
        "hyderabad": "Asia/Kolkata",
        "ist": "Asia/Kolkata",
        "jst": "Asia/Tokyo",
        "korea": "Asia/Seoul",
        "kyoto": "Asia/Tokyo",
        "la": "America/Los_Angeles",
        "las vegas": "America/Los_Angeles",
        "local": "UTC",
        "lyon": "Europe/Paris",
        "manchester": "Europe/London",
        "marseille": "Europe/Paris",
        "miami": "America/New_York",
        "milan": "Europe/Rome",
        "milano": "Europe/Rome",
        "montreal": "America/Toronto",
        "mountain time": "America/Denver",
        "mst": "America/Denver",
        "mumbai": "Asia/Kolkata",
        "munich": "Europe/Berlin",
        "naples": "Europe/Rome",
        "new delhi": "Asia/Kolkata",
        "new york city": "America/New_York",
        "new zealand": "Pacific/Auckland",
        "nyc": "America/New_York",
        "osaka": "Asia/Tokyo",
        "ottawa": "America/Toronto",
        "pacific time": "America/Los_Angeles",
        "pdt": "America/Los_Angeles",
        "philadelphia": "America/New_York",
        "portugal": "Europe/Lisbon",
        "pst": "America/Los_Angeles",
        "rio de janeiro": "America/Sao_Paulo",
        "roma": "Europe/Rome",
        "russia": "Europe/Moscow",
        "saint petersburg": "Europe/Moscow",
        "san diego": "America/Los_Angeles",
        "san francisco": "America/Los_Angeles",
        "scotland": "Europe/London",
        "seattle": "America/Los_Angeles",
        "shenzhen": "Asia/Shanghai",
        "spain": "Europe/Madrid",
        "st petersburg": "Europe/Moscow",
        "tel aviv": "Asia/Jerusalem",
        "texas": "America/Chicago",
        "torino": "Europe/Rome",
        "turin": "Europe/Rome",
        "uk": "Europe/London",
        "ukraine": "Europe/Kyiv",
        "united kingdom": "Europe/London",
        "venice": "Europe/Rome",
        "washington dc": "America/New_York",
        "washington": "America/New_York",
        "z": "UTC",
        "zulu": "UTC",
    }
)
_COUNTRY_ALSO_KNOWN = MappingProxyType(
    {"america": "united states", "us": "united states", "usa": "united states"}
)
_OFFSET = re.compile(r"(?:utc|gmt)\s*([+-])\s*(\d{1,2})(?::?00)?")


@dataclass(frozen=True, kw_only=True)
class _Gazetteer:
    zones: Mapping[str, str]
    """Plain name of a zone, a city or a country with one zone → IANA name."""
    countries: Mapping[str, tuple[str, ...]]
    """Plain name of a country with several zones → their IANA names."""


def resolve_zone(place: str) -> ZoneInfo:
    """Find the time zone of a city, a country with one zone, a zone name or a whole-hour offset.

    Raises:
        ToolRefused: No place of that name is known, or it lies in several zones; the message
            lists what may be meant.
    """
    if len(place) > PLACE_MAX_CHARS:
        raise ToolRefused("That is too long for the name of a city or a timezone.")
    wanted = _plain(place) or "utc"
    gazetteer = _load_gazetteer()
    for name in dict.fromkeys((wanted, *_shorter(place))):
        key = gazetteer.zones.get(name) or _fixed_offset(name)
        if key:
            return ZoneInfo(key)
        country = _COUNTRY_ALSO_KNOWN.get(name, name)
        if country in gazetteer.countries:
            cities = ", ".join(gazetteer.countries[country][:12])
            raise ToolRefused(f"{place.strip()!r} has several time zones. Choose one: {cities}.")
    near = get_close_matches(wanted, gazetteer.zones, n=NEAR_MATCHES, cutoff=0.6)
    meant = dict.fromkeys(gazetteer.zones[name] for name in near)
    hint = f"Did you mean {' or '.join(meant)}?" if meant else "Use a large city near it."
    raise ToolRefused(f"I know no city or timezone {place.strip()!r}. {hint}")


def _shorter(place: str) -> Iterator[str]:
    """Yield "tokyo" for "Tokyo, Japan" and for "time in Tokyo"."""
    first = _plain(place.split(",", maxsplit=1)[0])
    yield first
    yield first.removesuffix(" city").removesuffix(" time").removesuffix(" timezone")
    yield first.rpartition(" in ")[2]


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name)
    letters = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(letters.replace("_", " ").replace(".", "").casefold().split())


def _fixed_offset(name: str) -> str | None:
    match = _OFFSET.fullmatch(name)
    if match is None:
        return None
    hours = int(match[2])
    if hours == 0:
        return "UTC"
    # POSIX counts west of Greenwich as positive, people count east.
    sign, limit = ("-", 14) if match[1] == "+" else ("+", 12)
    return f"Etc/GMT{sign}{hours}" if hours <= limit else None


@cache
def _load_gazetteer() -> _Gazetteer:
    root = files("tzdata")
    keys = root.joinpath("zones").read_text(encoding="utf-8").split()
    zones: dict[str, str] = {}
    for key in sorted(keys, key=lambda key: key.count("/")):
        zones[_plain(key)] = key
    for key in keys:
        zones.setdefault(_plain(key.rpartition("/")[2]), key)
    by_country: dict[str, list[str]] = {}
    tables = root.joinpath("zoneinfo")
    for row in _rows(tables.joinpath("zone.tab").read_text(encoding="utf-8")):
        by_country.setdefault(row[0], []).append(row[2])
        # The table's city wins over an old link of the same name.
        zones[_plain(row[2].rpartition("/")[2])] = row[2]
    zones.update(_ALSO_KNOWN)
    countries: dict[str, tuple[str, ...]] = {}
    for row in _rows(tables.joinpath("iso3166.tab").read_text(encoding="utf-8")):
        name, found = _plain(row[1]), by_country.get(row[0], [])
        if len(found) == 1 and "/" not in zones.get(name, ""):
            zones[name] = found[0]
        elif found and name not in zones:
            countries[name] = tuple(found)
    return _Gazetteer(zones=zones, countries=countries)


def _rows(table: str) -> Iterator[list[str]]:
    for line in table.splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")
