"""Server `datetime`: what time it is somewhere."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from mcp.server.lowlevel import Server

from tools.servers.offering import Answer, Offer, Parameter, Request, build_server
from tools.servers.zones import resolve_zone

NAME = "datetime"


def _utc_now() -> datetime:
    return datetime.now(UTC)


def build_datetime_server(now: Callable[[], datetime] = _utc_now) -> Server[dict[str, Any], Any]:
    """Build the server; `now` is the clock and returns an aware time."""

    async def tell_time(request: Request) -> Answer:
        # The zone tables are files: the first look at each must not hold up the loop.
        zone = await asyncio.to_thread(resolve_zone, request.arguments["timezone"])
        return _describe(now().astimezone(zone), zone)

    offer = Offer(
        name="now",
        description="Get the current date and time in a city or timezone.",
        parameters={
            "timezone": Parameter(
                type="string",
                description="City or timezone, for example Tokyo, Europe/Rome or UTC.",
                default="UTC",
            )
        },
        run=tell_time,
    )
    return build_server(NAME, [offer])


def _describe(moment: datetime, zone: ZoneInfo) -> Answer:
    offset = moment.strftime("%z")
    offset = f"UTC{offset[:3]}:{offset[3:5]}"
    text = f"{moment:%A}, {moment.day} {moment:%B %Y}, {moment:%H:%M:%S} ({zone.key}, {offset})"
    return Answer(
        text=text,
        structured={
            "timezone": zone.key,
            "iso": moment.isoformat(timespec="seconds"),
            "weekday": f"{moment:%A}",
        },
    )
