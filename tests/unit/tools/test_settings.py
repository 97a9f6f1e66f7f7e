import pytest
from pydantic import ValidationError

from tools.settings import McpSettings, OutboundSettings


@pytest.mark.parametrize(
    "wrong", [{"call_timeout_seconds": 0}, {"connect_timeout_seconds": -1}, {"result_max_chars": 1}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        McpSettings.model_validate(wrong)


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
