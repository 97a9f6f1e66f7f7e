"""Follows a run, wherever it is executed and whoever takes it over."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import chain
from typing import TypeVar
from uuid import UUID

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import DatabaseUnavailable, PersistenceError
from persistence.event_batches import StoredEvent, encode_data
from persistence.notifications import Channel, Notifications
from persistence.repositories.run_events import RunLook
from server.error_responses import translate
from server.observability import describe
from server.runs.log_writer import LogWriter
from server.runs.stream import RunStream
from server.runs.wire import UNNUMBERED

PAGE_BATCHES = 200
"""How much of the log is read at a time."""
PACE_SECONDS = 0.05
"""From one look at the log to the next, when a run that is executed elsewhere says much."""
RETRY_PAUSES_SECONDS = (0.1, 0.5, 1.0, 2.0, *[5.0] * 23)
"""Pauses between attempts while the database is away, two minutes in all."""
LAST_EVENT = "done"
"""The last event of a run, and of each part of it that ends with a question to a person."""
ENDED = frozenset({"success", "cancelled", "error"})

log = structlog.get_logger(__name__)

T = TypeVar("T")
Events = Sequence[StoredEvent]


class RunFeed:
    """Gives any number of readers the events of any run."""

    def __init__(self, database: Database, writer: LogWriter, notifications: Notifications) -> None:
        """Args: writer: has the streams of the runs that are executed here."""
        self._database = database
        self._writer = writer
        self._waiting: dict[str, set[_News]] = {}
        self._stopped = False
        notifications.subscribe(Channel.RUN_CHANGED, self._wake)
        notifications.on_gap(self._doubt)
        writer.on_attached(lambda run_id: self._wake(str(run_id)))

    def follow(
        self,
        scope: AccessScope,
        run_id: UUID,
        *,
        after: int = 0,
        heartbeat_seconds: float | None = None,
    ) -> AsyncGenerator[Events, None]:
        """Yields what follows event number `after`, as many events as there are at a time.

        It ends when the run has ended, and after a `done` with which the run begins to wait for an
        approval, as long as somebody has to answer. Whoever comes after that `done`, or when all is
        answered, waits for the run to go on. When the events
        cannot be had, an `error` without a number comes last.

        Args:
            scope: Who reads.
            run_id: A run that the scope may see.
            after: The last event that the reader has.
            heartbeat_seconds: After so long in silence nothing is yielded, as an empty piece.
        """
        # Now, and not when the first event is asked for: it may be over by then.
        stream = self._writer.stream(run_id)
        return self._follow(_Reader(scope, run_id, after, heartbeat_seconds), stream)

    async def _follow(
        self, reader: "_Reader", stream: RunStream | None
    ) -> AsyncGenerator[Events, None]:
        try:
            while not (reader.is_over or self._stopped):
                if stream is not None and stream.reaches(reader.position):
                    source = reader.read_stream(stream)
                else:
                    source = self._read_log(reader)
                async for events in source:
                    reader.note(events)
                    yield events
                stream = self._writer.stream(reader.run_id)
        except PersistenceError as exc:
            log.warning("feed_broken", run_id=str(reader.run_id), **describe(exc))
            error = translate(exc)
            data = encode_data({"code": error.code, "message": str(error)})
            yield [(UNNUMBERED, "error", data)]

    async def _read_log(self, reader: "_Reader") -> AsyncGenerator[Events, None]:
        """Reads what is stored and waits for more, until the end or until the run comes here."""
        news = _News()
        self._waiting.setdefault(str(reader.run_id), set()).add(news)
        try:
            while True:
                look = await self._look(reader, news)
                if look.events:
                    yield look.events
                if look.more:
                    continue
                reader.judge(look)
                if self._stopped:
                    return
                stream = self._writer.stream(reader.run_id)
                if reader.is_over or (stream is not None and stream.reaches(reader.position)):
                    return
                if look.status == "running" and news.watched_attempt != look.attempt:
                    await self._watch(reader, news, look.attempt)
                    continue
                while not await news.come(reader.heartbeat_seconds):
                    yield ()
        finally:
            others = self._waiting[str(reader.run_id)]
            others.discard(news)
            if not others:
                del self._waiting[str(reader.run_id)]

    async def _look(self, reader: "_Reader", news: "_News") -> RunLook:
        """Looks at the log; whatever comes from here on is a reason to look again."""
        news.clear()

        async def look() -> RunLook:
            async with self._database.unit_of_work(reader.scope) as uow:
                return await uow.run_events.look(
                    reader.run_id, after=reader.position, limit=PAGE_BATCHES
                )

        return await _patiently(look)

    async def _watch(self, reader: "_Reader", news: "_News", attempt: int) -> None:
        """Has the process that executes the run tell of its news, of the latest at once."""
        await _patiently(lambda: self._database.event_log.watch(reader.run_id))
        news.watched_attempt = attempt

    def stop(self) -> None:
        """Ends what follows runs that are executed elsewhere, or will be: this server stops."""
        self._stopped = True
        for news in chain.from_iterable(self._waiting.values()):
            news.set()

    def _wake(self, payload: str) -> None:
        for news in self._waiting.get(payload, ()):
            news.set()

    def _doubt(self) -> None:
        for news in chain.from_iterable(self._waiting.values()):
            news.watched_attempt = None
            news.set()


class _Reader:
    """Who reads, and how far it has come."""

    def __init__(
        self, scope: AccessScope, run_id: UUID, after: int, heartbeat_seconds: float | None
    ) -> None:
        self.scope = scope
        self.run_id = run_id
        self.position = after
        self.heartbeat_seconds = heartbeat_seconds
        self.is_over = False
        self._has_done = False

    def note(self, events: Events) -> None:
        """Remembers what the reader has got."""
        if events:
            last_id, last_name, _ = events[-1]
            self.position = max(self.position, last_id)
            self._has_done = last_name == LAST_EVENT

    def judge(self, look: RunLook) -> None:
        """Decides whether there is more to wait for, all that is stored having been read."""
        self.is_over = look.status in ENDED or (look.is_asking and self._has_done)

    async def read_stream(self, stream: RunStream) -> AsyncGenerator[Events, None]:
        """Reads what is shown here, until the stream ends or has gone too far ahead."""
        self._has_done = self._has_done and stream.closed  # a later part of the run follows
        while stream.reaches(self.position):
            if events := stream.read(self.position):
                yield events
            elif stream.closed:
                if stream.fault is not None:
                    yield [(UNNUMBERED, "error", stream.fault)]
                # Without a last event the run has gone elsewhere, or its row says why not.
                self.is_over = self._has_done or stream.fault is not None
                return
            elif not await stream.changed(self.heartbeat_seconds):
                yield ()


class _News:
    """Whether a reader of the log has reason to look again."""

    def __init__(self) -> None:
        self.watched_attempt: int | None = None
        """The attempt whose process was asked to tell of its events."""
        self._come = asyncio.Event()
        self._not_before = 0.0

    def set(self) -> None:
        """There is reason."""
        self._come.set()

    def clear(self) -> None:
        """What there was is answered by a look that begins now."""
        self._come.clear()
        self._not_before = asyncio.get_running_loop().time() + PACE_SECONDS

    async def come(self, timeout_seconds: float | None) -> bool:
        """Waits for a reason, and for the pace; False when none came in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._come.wait()
        if self._come.is_set():
            await asyncio.sleep(max(0.0, self._not_before - asyncio.get_running_loop().time()))
        return self._come.is_set()


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Asks the database, and again while it is away.

    Raises:
        DatabaseUnavailable: It stayed away.
    """
    for pause in RETRY_PAUSES_SECONDS:
        try:
            return await ask()
        except DatabaseUnavailable:
            await asyncio.sleep(pause)
    return await ask()
