"""Stores what the runs of this process have to show: all of them together, in few statements."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import structlog

from persistence.errors import Conflict, DatabaseUnavailable, PersistenceError
from persistence.event_batches import EventBatch
from persistence.event_log import Appended, EventLog
from persistence.notifications import Channel, Notifications
from server.error_responses import translate
from server.observability import describe
from server.runs.stream import RunStream
from server.runs.writing import Writing

PACE_SECONDS = 0.01
"""From one statement to the next; what comes meanwhile goes together. The first goes at once."""
LOCKED_SECONDS = 0.05
"""After so long the events of a run are sent again whose row was locked."""
RETRY_PAUSES_SECONDS = (0.1, 0.5, 1.0, 2.0, *[5.0] * 23)
"""Pauses between attempts while the database is away, two minutes in all."""
_REMEMBERED_WATCHES = 1_024

log = structlog.get_logger(__name__)


class LogWriter:
    """Takes what waits in the streams of runs to the log, and shows it then."""

    def __init__(
        self,
        event_log: EventLog,
        *,
        owner: str,
        retry_pauses_seconds: Sequence[float] = RETRY_PAUSES_SECONDS,
    ) -> None:
        """Args: owner: under whose lease the runs are."""
        self._log = event_log
        self._owner = owner
        self._retry_pauses_seconds = retry_pauses_seconds
        self._writing: dict[UUID, Writing] = {}
        self._dirty: dict[UUID, None] = {}
        self._pokes: dict[UUID, None] = {}
        # Of runs that are not here, or not yet: a run may be watched before it is attached.
        self._watches: OrderedDict[UUID, None] = OrderedDict()
        self._wanted = asyncio.Event()
        self._urgent = asyncio.Event()
        self._on_attached: Callable[[UUID], None] | None = None

    def attach(
        self, run_id: UUID, attempt: int, stream: RunStream, on_lost: Callable[[], object]
    ) -> None:
        """Stores what is appended to the stream from now on, until it is drained or closed.

        Args:
            run_id: The run.
            attempt: The attempt at which this process holds it.
            stream: Where its events come.
            on_lost: Called once, after the stream was closed, when this process does not hold the
                run any more or its events cannot be stored: it must not be worked on here.
        """
        writing = Writing(run_id, attempt, stream, on_lost, watched=run_id in self._watches)
        self._writing[run_id] = writing

        def forget() -> None:
            if self._writing.get(run_id) is writing:
                del self._writing[run_id]
            writing.give_up()

        stream.tell(waiting=lambda: self._note_waiting(writing), closed=forget)
        if self._on_attached is not None:
            self._on_attached(run_id)

    def stream(self, run_id: UUID) -> RunStream | None:
        """The stream of a run that is executed here, until it is closed."""
        writing = self._writing.get(run_id)
        return writing.stream if writing is not None else None

    async def flush(self, run_id: UUID) -> bool:
        """Waits until all that was appended is stored; False if it never will be from here."""
        writing = self._writing.get(run_id)
        if writing is None:
            return False
        self._urgent.set()
        return await writing.flushed()

    def drain(self, run_id: UUID, ending: Sequence[tuple[str, Any]] = ()) -> tuple[EventBatch, ...]:
        """Hands over what is not known to be stored, and stores nothing more of the run.

        Whoever takes it stores it in a transaction that has locked the run's row first, and then
        calls `confirm` and `close` of the stream. Asked again, it gives the same with another
        ending.

        Args:
            run_id: The run; of one that is not attached there is nothing.
            ending: Events that come after all others, each by its name and data.

        Raises:
            TypeError: What waits cannot be put together; asked again, this gives the rest.
        """
        writing = self._writing.get(run_id)
        return writing.drain(ending) if writing is not None else ()

    def on_attached(self, callback: Callable[[UUID], None]) -> None:
        """Says whom to call with the id of each run that is attached."""
        self._on_attached = callback

    def hear_watch(self, payload: str) -> None:
        """Tells of a run's news from now on, for somebody elsewhere follows it."""
        with suppress(ValueError):
            run_id = UUID(payload)
            self._watches[run_id] = None
            self._watches.move_to_end(run_id)
            if len(self._watches) > _REMEMBERED_WATCHES:
                self._watches.popitem(last=False)
            if run_id in self._writing:
                self._watch(self._writing[run_id])

    def doubt(self) -> None:
        """Takes every run for watched, because word of it may have been missed."""
        for writing in self._writing.values():
            self._watch(writing)

    async def keep_writing(self) -> None:
        """Stores what waits, as soon as it does; goes on until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._urgent.clear()
            not_before = loop.time() + PACE_SECONDS
            dirty, self._dirty = self._dirty, {}
            pokes, self._pokes = self._pokes, {}
            await self._write(self._cut(dirty), pokes)
            # A statement that took long has left its time to the others that share the loop.
            await self._rest(not_before - loop.time())

    def _note_waiting(self, writing: Writing) -> None:
        if self._writing.get(writing.run_id) is writing:
            self._dirty[writing.run_id] = None
            self._wanted.set()

    def _watch(self, writing: Writing) -> None:
        writing.watched = True
        self._poke_later([writing.run_id])  # what was stored before nobody was told of

    async def _rest(self, seconds: float) -> None:
        if seconds > 0 and not self._urgent.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._urgent.wait()

    async def _write(self, batches: Sequence[EventBatch], pokes: Collection[UUID]) -> None:
        """Sends batches, and again while the database is away, until their fate is known.

        What cannot be stored breaks off its own run, and no other.
        """
        error: PersistenceError | None = None
        for pause in (0.0, *self._retry_pauses_seconds):
            if error is not None:
                log.warning("events_delayed", runs=len(batches), **describe(error))
                await asyncio.sleep(pause)
            batches = [batch for batch in batches if self._is_ours(batch)]
            if not batches and not pokes:
                return
            try:
                await self._send(batches, pokes)
            except (DatabaseUnavailable, Conflict) as exc:
                error = exc
            except Exception as exc:  # noqa: BLE001 - the entry point of a task that must go on
                log.warning("events_not_written", runs=len(batches), **describe(exc))
                if batches:  # else it is they that cannot be sent
                    self._poke_later(pokes)
                pokes = ()
                error = await self._write_apart(batches)
            else:
                error = None
            if error is None:
                return
        for batch in filter(self._is_ours, batches):
            self._break_off(batch.run_id, error or DatabaseUnavailable())

    async def _write_apart(self, batches: Sequence[EventBatch]) -> PersistenceError | None:
        """Sends batches one by one, to find the one that is at fault.

        Returns:
            What to wait for with the rest together: alone each would keep the others waiting.
        """
        for batch in filter(self._is_ours, batches):
            try:
                await self._send([batch], ())
            except (DatabaseUnavailable, Conflict) as exc:
                return exc
            except Exception as exc:  # noqa: BLE001 - the entry point of a task that must go on
                self._break_off(batch.run_id, exc)
        return None

    def _poke_later(self, run_ids: Collection[UUID]) -> None:
        if run_ids:
            self._pokes |= dict.fromkeys(run_ids)
            self._wanted.set()

    def _cut(self, run_ids: Collection[UUID]) -> list[EventBatch]:
        batches = []
        for writing in [self._writing[run_id] for run_id in run_ids if run_id in self._writing]:
            try:
                batch = writing.cut()
            except Exception as exc:  # noqa: BLE001 - the entry point of a task that must go on
                self._break_off(writing.run_id, exc)
            else:
                batches += [] if batch is None else [batch]
        return batches

    async def _send(self, batches: Sequence[EventBatch], pokes: Collection[UUID]) -> None:
        watched = [b.run_id for b in batches if self._writing[b.run_id].watched]
        appended = await self._log.append(
            self._owner, batches, watched=dict.fromkeys((*watched, *pokes))
        )
        for batch in batches:
            if self._is_ours(batch):  # nobody has drained it meanwhile
                self._settle(self._writing[batch.run_id], batch, appended)

    def _is_ours(self, batch: EventBatch) -> bool:
        writing = self._writing.get(batch.run_id)
        return writing is not None and writing.has_sent(batch)

    def _settle(self, writing: Writing, batch: EventBatch, appended: Appended) -> None:
        if batch.run_id in appended.stored:
            writing.confirm(batch)
            if writing.stream.has_waiting:
                self._note_waiting(writing)
        elif batch.run_id in appended.locked:
            loop = asyncio.get_running_loop()
            loop.call_later(LOCKED_SECONDS, self._note_waiting, writing)
        else:
            log.info("run_taken_over", run_id=str(writing.run_id))
            writing.stream.close()
            writing.on_lost()

    def _break_off(self, run_id: UUID, error: Exception) -> None:
        writing = self._writing.get(run_id)
        if writing is not None and not writing.is_drained:
            shown = translate(error)
            log.error("events_lost", run_id=str(run_id), **describe(error))
            writing.stream.break_off(code=shown.code, message=str(shown))
            writing.on_lost()


@asynccontextmanager
async def open_log_writer(
    event_log: EventLog, notifications: Notifications, *, owner: str
) -> AsyncIterator[LogWriter]:
    """Stores events until the end; runs should have ended or been handed over by then."""
    writer = LogWriter(event_log, owner=owner)
    notifications.subscribe(Channel.RUN_WATCHED, writer.hear_watch)
    notifications.on_gap(writer.doubt)
    writing = asyncio.create_task(writer.keep_writing(), name="event-log")
    try:
        yield writer
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
