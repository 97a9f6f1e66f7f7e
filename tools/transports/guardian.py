"""Ends what a server started and left behind, also when this process is killed.

A child that makes a session of its own is reached by no signal to the server's process group, and
outlives its parent. All inherit the environment, though; so each server's carries a mark, and a
shell that waits for the end of its input, which is the end of this process at the latest, kills
whatever bears it. Where there is no `/proc`, nothing does.
"""

import asyncio
import contextlib
import os
import secrets
from asyncio.subprocess import DEVNULL, PIPE, Process
from types import TracebackType

import anyio
from mcp.client.stdio import get_default_environment

MARK = "YOUWORKER_TOOL_SERVER"
SWEEP_SECONDS = 3.0

_SCRIPT = """
trap '' INT TERM HUP
cat >/dev/null
for turn in 1 2 3 4 5; do
    found=$(grep -lszxF "$1" /proc/[0-9]*/environ)
    [ -n "$found" ] || exit 0
    for file in $found; do
        process=${file#/proc/}
        kill -9 "${process%/environ}"
    done
done
"""


class Guardian:
    """Watches over the processes of one server."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(16)
        self._process: Process | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What the server and all that it starts have in their environment."""
        return {MARK: self._mark}

    async def __aenter__(self) -> "Guardian":
        # Where no shell can be started, there is nothing that watches.
        with contextlib.suppress(OSError):
            self._process = await asyncio.create_subprocess_exec(
                *("sh", "-c", _SCRIPT, "sh", f"{MARK}={self._mark}"),
                stdin=PIPE,
                stdout=DEVNULL,
                stderr=DEVNULL,
                env={"PATH": get_default_environment().get("PATH", os.defpath)},
                start_new_session=True,
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.sweep()

    async def sweep(self) -> None:
        """Kill what is left, once and for all; takes bounded time."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        with anyio.CancelScope(shield=True), anyio.move_on_after(SWEEP_SECONDS):
            await process.wait()
