from datetime import UTC, datetime

import pytest

from tests.unit.tools.conftest import Ask, text_of
from tools.servers.datetime_ import build_datetime_server

NOON = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)


async def test_the_time_of_a_city_is_told_with_its_weekday_and_zone(ask: Ask) -> None:
    result = await ask(build_datetime_server(lambda: NOON), "now", timezone="Tokyo")

    assert text_of(result) == "Saturday, 31 January 2026, 21:00:05 (Asia/Tokyo, UTC+09:00)"
    assert result.structuredContent == {
        "timezone": "Asia/Tokyo",
        "iso": "2026-01-31T21:00:05+09:00",
        "weekday": "Saturday",
    }


async def test_without_a_place_the_time_is_utc(ask: Ask) -> None:
    result = await ask(build_datetime_server(lambda: NOON), "now")

    assert "UTC+00:00" in text_of(result)


async def test_daylight_saving_counts(ask: Ask) -> None:
    summer = datetime(2026, 7, 1, 12, tzinfo=UTC)

    result = await ask(build_datetime_server(lambda: summer), "now", timezone="Rome")

    assert "14:00:00 (Europe/Rome, UTC+02:00)" in text_of(result)


@pytest.mark.parametrize("place", ["Atlantis", "../../etc/passwd", "a" * 10_000, "Asia/Tokyo\0"])
async def test_an_unknown_place_is_an_error_for_the_model(ask: Ask, place: str) -> None:
    result = await ask(build_datetime_server(), "now", timezone=place)

    assert result.isError
    assert len(text_of(result)) < 500


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"timezone": 5}, "must be text"),
        ({"timezone": ["Tokyo"]}, "must be text"),
        ({"city": "Tokyo"}, "Unknown argument 'city'"),
    ],
)
async def test_arguments_that_do_not_fit_are_explained(
    ask: Ask, arguments: dict[str, object], reason: str
) -> None:
    result = await ask(build_datetime_server(), "now", **arguments)

    assert result.isError
    assert reason in text_of(result)


async def test_an_unknown_tool_is_an_error(ask: Ask) -> None:
    result = await ask(build_datetime_server(), "later")

    assert result.isError
    assert "'later'" in text_of(result)
