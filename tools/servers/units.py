"""Server `units`: convert between units of measurement."""

import asyncio
import math
from functools import cache
from typing import Any

from mcp.server.lowlevel import Server

from tools.errors import ToolRefused
from tools.servers.offering import Answer, Offer, Parameter, Request, build_server
from tools.servers.unit_names import resolve_units

NAME = "units"


def build_units_server() -> Server[dict[str, Any], Any]:
    """Build the server; pint is loaded at its first use."""
    offer = Offer(
        name="convert",
        description="Convert a number from one unit to another.",
        parameters={
            "value": Parameter(type="number", description="The number to convert."),
            "from_unit": Parameter(
                type="string", description="Unit of the number, for example km or celsius."
            ),
            "to_unit": Parameter(
                type="string", description="Unit to convert to, for example mile or fahrenheit."
            ),
        },
        run=_convert,
    )
    return build_server(NAME, [offer])


async def _convert(request: Request) -> Answer:
    # Loading pint takes most of a second, so it happens beside the loop.
    registry = await asyncio.to_thread(_load_registry)
    value: float = request.arguments["value"]
    from_unit: str = request.arguments["from_unit"]
    to_unit: str = request.arguments["to_unit"]
    converted = _compute(registry, value, from_unit, to_unit)
    text = f"{_plain(value)} {from_unit.strip()} = {_plain(converted)} {to_unit.strip()}"
    return Answer(
        text=text,
        structured={
            "value": value,
            "from_unit": from_unit,
            "to_unit": to_unit,
            "result": converted,
        },
    )


def _compute(registry: Any, value: float, from_unit: str, to_unit: str) -> float:
    from pint.errors import DimensionalityError, PintError

    if not math.isfinite(value):
        raise ToolRefused("The value is not a finite number.")
    try:
        source, target = resolve_units(registry, from_unit, to_unit)
        quantity = registry.Quantity(value, source)
        if source.dimensionality == {"[temperature]": 1} and quantity.to("kelvin").magnitude < 0:
            raise ToolRefused("That is below absolute zero.")
        converted = float(quantity.to(target).magnitude)
    except DimensionalityError as error:
        dimensions = " and ".join(str(d) for d in (error.dim1, error.dim2) if d)
        raise ToolRefused(
            f"{from_unit!r} and {to_unit!r} do not measure the same thing. {dimensions}".strip()
        ) from error
    # pint asserts what it takes for granted: a digit that is not ASCII fails such an assertion.
    except (PintError, ArithmeticError, AssertionError, TypeError, ValueError) as error:
        raise ToolRefused(f"{from_unit!r} cannot be converted to {to_unit!r}.") from error
    if not math.isfinite(converted):
        raise ToolRefused("The result is too large.")
    return converted


def _plain(number: float) -> str:
    return f"{number:.8g}"


@cache
def _load_registry() -> Any:
    import pint

    return pint.UnitRegistry()
