"""One run among those whose events a process stores."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from persistence.event_batches import EventBatch
from server.runs.stream import RunStream


class Writing:
    """What of a run's stream is on its way into the log, and who waits for it."""

    def __init__(
        self,
        run_id: UUID,
        attempt: int,
        stream: RunStream,
        on_lost: Callable[[], object],
        *,
        watched: bool,
    ) -> None:
        """Args: watched: whether somebody elsewhere follows the run."""
        self.run_id = run_id
        self.stream = stream
        self.on_lost = on_lost
        self.watched = watched
        self.is_drained = False
        """Whether somebody else stores the rest."""
        self._attempt = attempt
        self._sent: EventBatch | None = None
        self._rest: tuple[EventBatch, ...] = ()
        self._flushing: list[tuple[int, asyncio.Future[bool]]] = []

    def cut(self) -> EventBatch | None:
        """Takes what waits, to be sent; the same is sent again until it is known to be there."""
        if self.is_drained:
            return None
        if self._sent is None:
            self._sent = self.stream.cut(self.run_id, self._attempt)
        return self._sent

    def has_sent(self, batch: EventBatch) -> bool:
        """Whether the batch is on its way from here, and nobody has taken it over."""
        return self._sent is batch and not self.is_drained

    def confirm(self, batch: EventBatch) -> None:
        """Shows what has arrived."""
        self._sent = None
        self.stream.confirm(batch)
        self._answer()

    def drain(self, ending: Sequence[tuple[str, Any]]) -> tuple[EventBatch, ...]:
        """Gives what is not known to have arrived, and an ending after it.

        Raises:
            TypeError: What waits cannot be put together; asked again, this gives the rest.
        """
        if not self.is_drained:
            self.is_drained = True
            self._rest = () if self._sent is None else (self._sent,)
            self.give_up()
            if (waiting := self.stream.cut(self.run_id, self._attempt)) is not None:
                self._rest = (*self._rest, waiting)
        if not ending:
            return self._rest
        last_id = self._rest[-1].last_id if self._rest else self.stream.stored_through
        last = EventBatch.of(self.run_id, self._attempt, after=last_id, events=ending)
        return (*self._rest, last)

    async def flushed(self) -> bool:
        """Waits until all that was appended has arrived; False if it never will from here."""
        last_id = self.stream.appended_through
        if self.is_drained or self.stream.closed:
            return False
        if last_id <= self.stream.stored_through:
            return True
        arrived: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._flushing.append((last_id, arrived))
        return await arrived

    def give_up(self) -> None:
        """Tells those who wait that they wait in vain."""
        for _, arrived in self._flushing:
            if not arrived.done():
                arrived.set_result(False)

    def _answer(self) -> None:
        for last_id, arrived in self._flushing:
            if last_id <= self.stream.stored_through and not arrived.done():
                arrived.set_result(True)
        self._flushing = [each for each in self._flushing if not each[1].done()]
