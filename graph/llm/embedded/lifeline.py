"""Ends this process when its parent is gone, however the parent went.

Standard input is a pipe that the parent holds: it closes when the parent stops this process or
dies. Another process could have inherited the parent's end, so the parent itself is watched too.
"""

import os
import select
import threading
from collections.abc import Callable


def watch_parent(parent_pid: int, on_gone: Callable[[], None]) -> None:
    """Call `on_gone`, once and from a thread of its own, when the parent lets go or is gone."""
    threading.Thread(
        target=_watch, args=(parent_pid, on_gone), name="lifeline", daemon=True
    ).start()


def _watch(parent_pid: int, on_gone: Callable[[], None]) -> None:
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    if hasattr(os, "pidfd_open"):
        try:
            poll.register(os.pidfd_open(parent_pid), select.POLLIN)
        except ProcessLookupError:
            on_gone()
            return
    while True:
        for handle, _ in poll.poll():
            if handle != 0 or not os.read(0, 4096):
                on_gone()
                return
