"""Processes without a network."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loaders.file_access import landlock_version

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


OPEN_ALL = """
import os, sys
from loaders.limits import drop_rights
drop_rights(parent=os.getppid())
for path in sys.argv[1:]:
    try:
        open(path, "rb").close()
    except OSError as exc:
        print(type(exc).__name__)
    else:
        print("open")
"""


@pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock")
def test_a_process_without_rights_opens_no_file_but_the_code_of_parsers(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("words")
    tmp_path.chmod(0o755)
    secret.chmod(0o644)
    paths = [secret, Path("/etc/passwd"), PROJECT / "README.md", f"/proc/{os.getpid()}/environ"]
    ran = subprocess.run(
        [sys.executable, "-c", OPEN_ALL, *map(str, paths)],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.decode().split() == ["PermissionError"] * len(paths)


def test_no_process_of_the_same_user_looks_into_one_that_hides() -> None:
    script = """
import ctypes, os
from loaders.file_access import hide_memory
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
hide_memory()
parent = os.getpid()
child = os.fork()
if child == 0:
    try:
        open(f"/proc/{parent}/environ", "rb").close()
    except PermissionError:
        os._exit(7)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, check=True, timeout=60
    )
    assert ran.stdout == b"7\n"
