"""The names of time zones that a message may mean, for tools that want IANA's names."""

import re
from functools import cache
from zoneinfo import available_timezones

from graph.llm.embedded.tool_schema import ToolParameter

_REGIONS = (
    "Africa/",
    "America/",
    "Asia/",
    "Atlantic/",
    "Australia/",
    "Europe/",
    "Indian/",
    "Pacific/",
)


def is_zone_parameter(parameter: ToolParameter) -> bool:
    """Whether only an IANA name will do; a tool that also takes cities does not say IANA."""
    return parameter.kind == "string" and "iana" in parameter.description.casefold()


def zones_for(message: str) -> list[str]:
    """The zones whose city the message names, or all of them."""
    plain = message.casefold()
    named = [
        zone for city, zone in _cities() if re.search(rf"\b{re.escape(city)}\b", plain) is not None
    ]
    return named or [zone for _, zone in _cities()]


@cache
def _cities() -> tuple[tuple[str, str], ...]:
    zones = sorted(zone for zone in available_timezones() if zone.startswith(_REGIONS))
    cities = [(zone.rpartition("/")[2].replace("_", " ").casefold(), zone) for zone in zones]
    return (*cities, ("utc", "UTC"))
