"""Watches over one PostgreSQL server; run as a script of its own, with the standard library alone.

It starts the server, starts it again when it dies, and stops it when its standard input ends. That
input is a pipe from the product, so the server goes down with the product whatever kills that, even
`kill -9`. If the guard itself is killed, the kernel tells the server to shut down.

Its one argument is the `Orders` in JSON.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any, TypedDict

FAST_SHUTDOWN_SECONDS = 10
IMMEDIATE_SHUTDOWN_SECONDS = 5
SHORT_LIFE_SECONDS = 5
FIRST_DELAY_SECONDS = 0.05
LONGEST_DELAY_SECONDS = 2.0
SHORT_LIVES_IN_A_ROW = 10
"""So many, and the server is given up: starting it again does not mend what is wrong."""

_LIFELINE = 0  # standard input
_PR_SET_PDEATHSIG = 1
_FAST_SHUTDOWN = signal.SIGINT
_IMMEDIATE_SHUTDOWN = signal.SIGQUIT


class Orders(TypedDict):
    """What the product asks of its guard."""

    lock: str
    """Held while a server may be running, so that two guards never start servers side by side."""
    log: str
    folder: str
    """The cluster, and the server's working folder."""
    command: list[str]
    account: dict[str, Any]
    """`user`, `group` and `extra_groups` of the server, when it is another user's."""


def main() -> int:
    """Serve until the lifeline ends; return 1 when the server is given up."""
    orders: Orders = json.loads(sys.argv[1])
    # Only the lifeline counts: an interrupt from the terminal reaches the product, which decides.
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    wake_reader, wake_writer = os.pipe()
    os.set_blocking(wake_reader, False)
    os.set_blocking(wake_writer, False)
    signal.set_wakeup_fd(wake_writer)
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    with open(orders["lock"], "ab") as lock, open(orders["log"], "ab") as log:  # noqa: PTH123
        fcntl.flock(lock, fcntl.LOCK_EX)  # an earlier guard may still be stopping its server
        return _serve(orders, log.fileno(), wake_reader)


def _serve(orders: Orders, log: int, wake: int) -> int:
    short_lives = 0
    while not _product_is_gone():
        _clear_pid_file(orders["folder"])
        born = time.monotonic()
        server = _start(orders, log)
        if _wait_for_end(server, wake):
            _stop(server)
            return 0
        short_lives = short_lives + 1 if time.monotonic() - born < SHORT_LIFE_SECONDS else 0
        if short_lives >= SHORT_LIVES_IN_A_ROW:
            return 1
        delay = min(FIRST_DELAY_SECONDS * 2**short_lives, LONGEST_DELAY_SECONDS)
        select.select([_LIFELINE], [], [], delay)
    return 0


def _start(orders: Orders, log: int) -> subprocess.Popen[bytes]:
    guard = os.getpid()
    libc = ctypes.CDLL(None)  # before the fork: the child must not look for libraries

    def die_with_guard() -> None:
        # Runs after root's rights were dropped, which would forget the request.
        for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(ignored, signal.SIG_DFL)
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, _FAST_SHUTDOWN)
        if os.getppid() != guard:
            os._exit(1)

    return subprocess.Popen(  # noqa: S603
        orders["command"],
        cwd=orders["folder"],
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        preexec_fn=die_with_guard,
        **orders["account"],
    )


def _wait_for_end(server: subprocess.Popen[bytes], wake: int) -> bool:
    """Wait for the first of two ends; return whether it is the product's."""
    while server.poll() is None:
        ready, _, _ = select.select([_LIFELINE, wake], [], [])
        if wake in ready:
            os.read(wake, 512)
        if _LIFELINE in ready and _product_is_gone():
            return True
    return False


def _product_is_gone() -> bool:
    """Whether the lifeline has ended; the product never writes to it."""
    ready, _, _ = select.select([_LIFELINE], [], [], 0)
    return bool(ready) and not os.read(_LIFELINE, 512)


def _stop(server: subprocess.Popen[bytes]) -> None:
    for how, seconds in (
        (_FAST_SHUTDOWN, FAST_SHUTDOWN_SECONDS),
        (_IMMEDIATE_SHUTDOWN, IMMEDIATE_SHUTDOWN_SECONDS),
    ):
        server.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(seconds)
            return
    server.kill()
    server.wait()


def _clear_pid_file(folder: str) -> None:
    """Remove a `postmaster.pid` whose number now belongs to a process of somebody else's.

    PostgreSQL sees a dead number itself, but takes any living process of its user for a server;
    after a restart of a container the numbers are all the same again.
    """
    path = os.path.join(folder, "postmaster.pid")  # noqa: PTH118
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123
            pid = int(file.readline())
        serves_here = os.path.samefile(f"/proc/{pid}/cwd", folder)  # noqa: PTH121
    except (OSError, ValueError):
        return  # no such file or process, or no way to know: PostgreSQL judges
    if serves_here:
        os.kill(pid, _FAST_SHUTDOWN)  # its guard was killed; it may be on its way out already
    else:
        os.unlink(path)  # noqa: PTH108


if __name__ == "__main__":
    sys.exit(main())
