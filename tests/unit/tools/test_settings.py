import pytest
from pydantic import ValidationError

from tools.catalog import limits_of
from tools.settings import McpSettings, OutboundSettings


@pytest.mark.parametrize(
    "wrong",
    [
        {"call_timeout_seconds": 0},
        {"connect_timeout_seconds": -1},
        {"result_max_chars": 1},
        {"user_sessions_max": 0},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        McpSettings.model_validate(wrong)


def test_how_many_sessions_people_have_and_how_long_is_a_setting() -> None:
    settings = McpSettings.model_validate(
        {"user_sessions_max": "7", "user_session_idle_seconds": "30"}
    )
    limits = limits_of(settings)
    assert (limits.user_sessions_max, limits.user_session_idle_seconds) == (7, 30)
    assert limits_of(McpSettings()).user_sessions_max == 100


def test_lists_are_written_with_commas() -> None:
    settings = OutboundSettings.model_validate(
        {"ports": "80, 8080", "allow_private": "10.1.0.0/16,fd00::/8", "deny_hosts": "a.example, "}
    )
    assert settings.ports == (80, 8080)
    assert list(map(str, settings.allow_private)) == ["10.1.0.0/16", "fd00::/8"]
    assert settings.deny_hosts == ("a.example",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ports": "0"},
        {"ports": "http"},
        {"allow_private": "10.0.0.1/8"},
        {"allow_private": "intranet"},
        {"proxy": "proxy.example:3128"},
        {"ca_file": "/no/such/file.pem"},
        {"total_timeout_seconds": 0},
    ],
)
def test_what_makes_no_sense_for_the_way_out_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OutboundSettings.model_validate(wrong)
