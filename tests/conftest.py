"""Fixtures for all tests; each family lives in its own plugin."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# All at once, before the plugins are loaded one by one: they import each other.
pytest.register_assert_rewrite("tests.fixtures")
_FIXTURES = Path(__file__).parent / "fixtures"

pytest_plugins = [
    f"tests.fixtures.{path.stem}"
    for path in sorted(_FIXTURES.glob("*.py"))
    if path.stem != "__init__"
]

# A developer's run looks for new examples; CI tries the same ones each time, at any speed.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("developer", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "developer")

# A shell ignores Ctrl-C in what it runs behind, and children would go on doing so.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_LONGEST_BYTES_IN_A_NAME = 16


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Long bytes name no test: a file made at collection may hold the time, another each time."""
    is_long = isinstance(val, bytes) and len(val) > _LONGEST_BYTES_IN_A_NAME
    return argname if is_long else None


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """The tests that share a product go to one worker, or each of both would start one."""
    for item in items:
        if "shared_product" in item.fixturenames and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))
