import pytest
from pydantic import ValidationError

from tools.settings import McpSettings


@pytest.mark.parametrize(
    "wrong", [{"call_timeout_seconds": 0}, {"connect_timeout_seconds": -1}, {"result_max_chars": 1}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        McpSettings.model_validate(wrong)
