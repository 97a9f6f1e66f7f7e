import os
import subprocess
import sys
import textwrap

import pytest

LIMIT_SECONDS = 20.0

CHILD = """
import os, sys, threading
from graph.llm.embedded.lifeline import watch_parent
gone = threading.Event()
watch_parent(int(sys.argv[1]), gone.set)
print("watching", flush=True)
gone.wait()
"""


def start_child(parent_pid: int) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(parent_pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"watching\n"
    return child


def test_the_child_ends_when_its_input_closes():
    with start_child(os.getpid()) as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(LIMIT_SECONDS) == 0


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
def test_the_child_ends_when_its_parent_dies_though_its_input_stays_open():
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with parent, start_child(parent.pid) as child:
        parent.kill()
        parent.wait(LIMIT_SECONDS)
        assert child.wait(LIMIT_SECONDS) == 0
