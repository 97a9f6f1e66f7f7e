"""A run that is being executed here."""

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from server.runs.run import RunOutcome, RunRequest
from server.runs.stream import RunStream
from server.runs.work_limit import WorkLimit

StopReason = Literal["cancelled", "timeout", "handed_over", "lost"]
"""Why the answering was stopped: somebody wished it, its time was over, the server stops and others
go on with it, or others have it already."""


@dataclass(kw_only=True, eq=False)
class LiveRun:
    """One attempt at a run: asked for here, and written down here unless others have it then."""

    request: RunRequest
    stream: RunStream
    answering: "asyncio.Task[RunOutcome]"
    """Asks the agent; the part of a run that can be cancelled."""
    finishing: "asyncio.Task[RunOutcome | None]" = field(init=False)
    """Waits for the answer and writes it down; nobody cancels it."""
    limit: WorkLimit | None = None
    """Ends the answering after some time at work; one that only writes down what there is has none.
    """
    stopped: StopReason | None = None

    def cancel(self) -> None:
        """Stops the answering; what there is of the answer is written down and the stream ends."""
        self.stop("cancelled")

    def stop(self, reason: StopReason) -> None:
        """Stops the answering; of several reasons the first counts, but for being lost."""
        if self.stopped is None or reason == "lost":
            self.stopped = reason
        self.answering.cancel()

    async def outcome(self) -> RunOutcome | None:
        """Waits for the end; None if it does not come here, because others have the run.

        A waiter that is cancelled leaves the run alone.
        """
        return await asyncio.shield(self.finishing)
