"""From what people call a unit ("square feet", "km/h", "°C") to a unit of pint.

Pint's own parser evaluates expressions, so a text such as `9**9**9` would keep it busy for ever.
Here a unit is a short product of names with one-digit powers, and only single names reach pint.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Any

from tools.errors import ToolRefused

UNIT_MAX_CHARS = 64
MAX_FACTORS = 6
NEAR_MATCHES = 3

_WORDS = r"[^\W\d]+(?: [^\W\d]+)*|°[A-Za-z]?"
_FACTOR = re.compile(rf"(?P<name>{_WORDS}|[%'\"℃℉])\s*(?P<power>\^?-?[1-9])?")
_POWER_WORDS = MappingProxyType({"square": 2, "sq": 2, "cubic": 3, "cu": 3})
_TEMPERATURES = MappingProxyType({"c": "degC", "f": "degF", "k": "kelvin", "r": "degR"})

# Names that pint lacks or reads as something that nobody means.
_ALSO_KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "%": "percent",
        "'": "foot",
        '"': "inch",
        "cc": "cm^3",
        "centigrade": "degC",
        "deg c": "degC",
        "deg f": "degF",
        "degree celsius": "degC",
        "degree centigrade": "degC",
        "degree fahrenheit": "degF",
        "degree kelvin": "kelvin",
        "degrees": "degree",
        "degrees celsius": "degC",
        "degrees centigrade": "degC",
        "degrees fahrenheit": "degF",
        "degrees kelvin": "kelvin",
        "fl oz": "fluid_ounce",
        "kmh": "kilometer_per_hour",
        "km h": "kilometer_per_hour",
        "kbps": "kilobit/second",
        "mbps": "megabit/second",
        "gbps": "gigabit/second",
        "kb": "kilobyte",
        "mb": "megabyte",
        "gb": "gigabyte",
        "tb": "terabyte",
        "kwh": "kilowatt_hour",
        "ml": "milliliter",
        "sqft": "foot^2",
        "sqm": "meter^2",
        "sqkm": "kilometer^2",
        "sqmi": "mile^2",
        "tbsp": "tablespoon",
        "℃": "degC",
        "℉": "degF",
        "°c": "degC",
        "°f": "degF",
        "°k": "kelvin",
    }
)


def resolve_units(registry: Any, *names: str) -> list[Any]:
    """Find the pint units that the names mean, each read in the light of the others.

    Raises:
        ToolRefused: A name is no unit; the message lists what may be meant.
    """
    spellings = [_spell(name) for name in names]
    # `C` and `F` are coulomb and farad to pint; beside a temperature they are degrees.
    heat = {"degC", "degF", "degR", "kelvin"}
    letters = [_TEMPERATURES.get(spelling.lower(), spelling) for spelling in spellings]
    if all(_ALSO_KNOWN.get(s.lower(), _as_temperature(s)) in heat for s in letters):
        spellings = letters
    return [_resolve(registry, spelling) for spelling in spellings]


def _as_temperature(spelling: str) -> str:
    plain = {"celsius": "degC", "fahrenheit": "degF", "rankine": "degR", "kelvins": "kelvin"}
    return plain.get(spelling.lower(), spelling)


def _spell(name: str) -> str:
    if len(name) > UNIT_MAX_CHARS:
        raise ToolRefused("That is too long for a unit.")
    text = name.replace("**", "^").replace("²", "^2").replace("³", "^3").replace("_", " ")
    text = text.replace("·", "*").replace("×", "*").replace("μ", "µ").replace("° ", "°")
    text = " ".join(text.split())
    if not text:
        raise ToolRefused("A unit is missing.")
    return text


def _resolve(registry: Any, spelling: str) -> Any:
    unit = _find(registry, spelling)
    if unit is not None:
        return unit
    product = registry.Unit("")
    for name, power in _factors(spelling):
        factor = _find(registry, name)
        if factor is None:
            raise ToolRefused(f"I know no unit {name!r}. {_suggest(registry, name)}")
        product *= factor**power
    return product


def _factors(spelling: str) -> Iterator[tuple[str, int]]:
    """Yield the names of a product with their powers: "kg*m/s^2" is kg, m and s to the -2."""
    sides = re.split(r"\s*/\s*|\s+per\s+", spelling)
    factors = [(part.strip(), i > 0) for i, side in enumerate(sides) for part in side.split("*")]
    if len(factors) > MAX_FACTORS:
        raise ToolRefused("That unit has too many parts.")
    for part, inverse in factors:
        match = _FACTOR.fullmatch(part)
        if match is None:
            raise ToolRefused(f"I cannot read the unit {spelling!r}: write it like km/h or m^2.")
        first, _, rest = match["name"].partition(" ")
        power = int((match["power"] or "1").removeprefix("^"))
        if rest and first.lower() in _POWER_WORDS:
            yield rest, _POWER_WORDS[first.lower()] * (-power if inverse else power)
        else:
            yield match["name"], -power if inverse else power


def _find(registry: Any, name: str) -> Any:
    """Return the unit of a single name, or None."""
    known = _ALSO_KNOWN.get(name.lower())
    if known is not None:
        return registry.Unit(known)
    if not re.fullmatch(_WORDS, name):
        return None
    words = name.replace(" ", "_")
    for candidate in dict.fromkeys((words, words.lower(), words.lower().replace("_", ""))):
        if candidate in registry:
            return registry.Unit(candidate)
    return None


def _suggest(registry: Any, name: str) -> str:
    near = get_close_matches(name.replace(" ", "_").lower(), _names(registry), n=NEAR_MATCHES)
    return f"Did you mean {' or '.join(near)}?" if near else "Use a name such as km, mile or kg."


@cache
def _names(registry: Any) -> tuple[str, ...]:
    return tuple(name for name in registry if len(name) > 2)
