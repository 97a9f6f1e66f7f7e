"""Logs say what failed and where, never what a user wrote."""

import json
import subprocess
import sys

from server.observability import describe

PHRASE = "zebra-quartz-7741"
PROGRAM = f"""
import logging, structlog
from server.observability import configure_logging
configure_logging(level="info", json=True)
try:
    raise ValueError("could not parse {PHRASE}")
except ValueError:
    structlog.get_logger("server.test").exception("it_failed", run_id="r1")
    logging.getLogger("some.library").exception("library trouble")
logging.warning("{PHRASE}")
logging.getLogger("mcp.shared").error("{PHRASE}")
logging.getLogger("some.library").info("chatter")
structlog.get_logger("server.test").debug("too_fine")
"""


def failing():
    raise ValueError(f"could not parse {PHRASE}")


def test_an_error_is_described_by_its_kind_and_place():
    try:
        failing()
    except ValueError as exc:
        described = describe(exc)
    assert described["error"] == "ValueError"
    assert described["at"][-1].endswith("failing")
    assert PHRASE not in str(described)


def test_a_traceback_in_the_log_never_quotes_the_error():
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    ours, theirs = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (ours["event"], ours["run_id"], ours["error"]) == ("it_failed", "r1", "ValueError")
    assert (theirs["event"], theirs["error"]) == ("library trouble", "ValueError")
    assert PHRASE not in ended.stderr + ended.stdout
