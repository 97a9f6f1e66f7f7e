"""Processes without a network."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
TRY_TO_CONNECT = """
import socket, sys
from loaders.isolation import leave_network, refuse_network
{cut}
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
except OSError as exc:
    print(type(exc).__name__)
else:
    print("connected")
"""


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _outcome(cut: str, port: int) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", TRY_TO_CONNECT.format(cut=cut), str(port)],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return ran.stdout.decode().strip()


def test_an_untouched_process_reaches_the_machine(port: int) -> None:
    assert _outcome("", port) == "connected"


def test_a_process_that_refuses_the_network_reaches_nothing(port: int) -> None:
    assert _outcome("refuse_network()", port) == "PermissionError"


def test_a_process_that_left_the_network_reaches_nothing(port: int) -> None:
    outcome = _outcome("print(leave_network())", port).split()
    if outcome[0] == "False":
        pytest.skip("this system gives no network namespaces")
    assert outcome == ["True", "OSError"]
