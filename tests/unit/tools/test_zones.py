from zoneinfo import ZoneInfo

import pytest

from tools.errors import ToolRefused
from tools.servers.zones import _ALSO_KNOWN, resolve_zone


@pytest.mark.parametrize(
    ("place", "zone"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
        ("asia/tokyo", "Asia/Tokyo"),
        ("Tokyo", "Asia/Tokyo"),
        ("tokyo, Japan", "Asia/Tokyo"),
        ("time in Tokyo", "Asia/Tokyo"),
        ("New York", "America/New_York"),
        ("new_york", "America/New_York"),
        ("New York City", "America/New_York"),
        ("Washington, D.C.", "America/New_York"),
        ("São Paulo", "America/Sao_Paulo"),
        ("Zürich", "Europe/Zurich"),
        ("Milano", "Europe/Rome"),
        ("Japan", "Asia/Tokyo"),
        ("Germany", "Europe/Berlin"),
        ("Mexico City", "America/Mexico_City"),
        ("CET", "CET"),
        ("", "UTC"),
        ("utc", "UTC"),
        ("UTC+2", "Etc/GMT-2"),
        ("gmt -5", "Etc/GMT+5"),
        ("UTC+02:00", "Etc/GMT-2"),
    ],
)
def test_what_people_call_a_place_leads_to_its_zone(place: str, zone: str) -> None:
    assert resolve_zone(place).key == zone


@pytest.mark.parametrize("country", ["USA", "United States", "Brazil", "Australia"])
def test_a_country_with_several_zones_is_refused_with_a_choice(country: str) -> None:
    with pytest.raises(ToolRefused, match=r"several time zones\. Choose one: .*/"):
        resolve_zone(country)


def test_a_misspelt_city_is_refused_with_near_matches() -> None:
    with pytest.raises(ToolRefused, match="Did you mean Asia/Tokyo"):
        resolve_zone("Tokio")


@pytest.mark.parametrize("place", ["UTC+99", "Middle Earth", "UTC+5:30", "\0", "١٢"])
def test_what_is_no_place_is_refused(place: str) -> None:
    with pytest.raises(ToolRefused):
        resolve_zone(place)


def test_every_other_name_leads_to_a_zone_that_exists() -> None:
    assert all(ZoneInfo(zone).key == zone for zone in _ALSO_KNOWN.values())
