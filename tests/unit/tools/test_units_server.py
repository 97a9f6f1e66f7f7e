import contextlib
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.tools.conftest import Ask, text_of
from tools.errors import ToolRefused
from tools.servers.unit_names import _ALSO_KNOWN
from tools.servers.units import _compute, _load_registry, build_units_server


def convert(value: float, from_unit: str, to_unit: str) -> float:
    return _compute(_load_registry(), value, from_unit, to_unit)


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "expected"),
    [
        (10, "km", "miles", 6.213712),
        (5, "KM", "Meters", 5000),
        (25, "C", "F", 77),
        (25, "celsius", "Fahrenheit", 77),
        (77, "°F", "°C", 25),
        (300, "K", "C", 26.85),
        (0, "degrees Celsius", "Kelvin", 273.15),
        (1, "C", "coulomb", 1),
        (60, "mph", "km/h", 96.56064),
        (60, "miles per hour", "kilometers per hour", 96.56064),
        (100, "square feet", "m2", 9.290304),
        (100, "sq ft", "square meters", 9.290304),
        (1, "m^3", "liters", 1000),
        (1, "m³", "litres", 1000),
        (1, "kg*m/s**2", "N", 1),
        (5, "lbs", "kg", 2.267962),
        (1, "GB", "MB", 1000),
        (8, "fl oz", "ml", 236.588236),
        (6, "feet", "cm", 182.88),
        (2, "hours", "minutes", 120),
        (1, "kWh", "J", 3.6e6),
        (1, "µm", "nm", 1000),
    ],
)
def test_units_are_converted_however_people_write_them(
    value: float, from_unit: str, to_unit: str, expected: float
) -> None:
    assert math.isclose(convert(value, from_unit, to_unit), expected, rel_tol=1e-6)


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "reason"),
    [
        (1, "km", "kg", "do not measure the same thing"),
        (1, "xyzzy", "m", "know no unit 'xyzzy'"),
        (1, "meteres", "feet", "Did you mean"),
        (1, "", "m", "A unit is missing"),
        (-300, "C", "F", "below absolute zero"),
        (1e308, "km", "nm", "too large"),
        (math.inf, "m", "m", "not a finite number"),
        (math.nan, "m", "m", "not a finite number"),
    ],
)
def test_what_cannot_be_converted_is_explained(
    value: float, from_unit: str, to_unit: str, reason: str
) -> None:
    with pytest.raises(ToolRefused, match=reason):
        convert(value, from_unit, to_unit)


@pytest.mark.parametrize(
    "hostile",
    [
        "9**9**9**9**9",
        "m**9999999999",
        "m^99",
        "(((((((((m)))))))))",
        "__import__('os').system('true')",
        "lambda: 0",
        "m" + "*m" * 30,
        "m " * 31,
        "1e308*1e308",
        "m\0",
        "a" * 100_000,
        "kilo" * 15 + "m",
        "m/0",
        "[length]",
        "{m}",
        "m;s",
        "٣m",
    ],
)
def test_a_hostile_unit_is_refused(hostile: str) -> None:
    with pytest.raises(ToolRefused):
        convert(1, hostile, "m")
    with pytest.raises(ToolRefused):
        convert(1, "m", hostile)


@settings(deadline=None)
@given(st.text(max_size=70), st.floats())
@example("¼", 0.0)
def test_no_text_and_no_number_break_the_conversion(unit: str, value: float) -> None:
    with contextlib.suppress(ToolRefused):
        assert math.isfinite(convert(value, unit, "m"))


def test_every_other_name_leads_to_a_unit_that_exists() -> None:
    registry = _load_registry()
    assert all(registry.Unit(unit) is not None for unit in _ALSO_KNOWN.values())


async def test_the_answer_names_both_sides(ask: Ask) -> None:
    result = await ask(build_units_server(), "convert", value="10", from_unit="km", to_unit="miles")

    assert text_of(result) == "10 km = 6.2137119 miles"


@pytest.mark.parametrize("value", [True, "ten", "1" * 100, [1], {"a": 1}, None])
async def test_a_value_that_is_no_number_is_explained(ask: Ask, value: object) -> None:
    result = await ask(build_units_server(), "convert", value=value, from_unit="m", to_unit="m")

    assert result.isError
    assert "'value'" in text_of(result)
