"""The process that stands for the reading processes of the tests' products."""

import socket
import subprocess
import sys
from pathlib import Path

from tests.fixtures.warm_reader import NURSERY

PROJECT = Path(__file__).parents[3]
ENDS_SECONDS = 60


def test_a_fork_that_dies_neither_ends_the_process_that_forks_nor_goes_unheard(
    tmp_path: Path,
) -> None:
    address = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        nursery = subprocess.Popen(
            [sys.executable, "-m", NURSERY, str(listener.fileno())],
            pass_fds=(listener.fileno(),),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=PROJECT,
        )
    with socket.socket(socket.AF_UNIX) as dead:
        dead.connect(address)
    with socket.socket(socket.AF_UNIX) as asking, Path("/dev/null").open("rb") as no_socket:
        asking.settimeout(ENDS_SECONDS)
        asking.connect(address)
        socket.send_fds(asking, [b"."], [no_socket.fileno()])
        assert asking.recv(1) == b""
    _, said = nursery.communicate(timeout=ENDS_SECONDS)
    assert nursery.returncode == 0, said
    assert b"worker.main()" in said
