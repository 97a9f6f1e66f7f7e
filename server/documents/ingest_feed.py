"""Follows ingest runs, wherever their files are worked on."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from uuid import UUID

from persistence.access import AccessScope
from persistence.database import Database
from persistence.ingest_records import IngestFile, IngestLook, IngestRun
from persistence.notifications import Channel, Notifications

PACE_SECONDS = 0.1
"""From one look at a run to the next, for a reader of all that happens to its files."""


@dataclass(eq=False)
class _Reader:
    """Whether somebody has reason to look."""

    news: asyncio.Event = field(default_factory=asyncio.Event)


class IngestFeed:
    """Gives any number of readers what becomes of any run."""

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._readers: dict[str, set[_Reader]] = {}
        self._is_stopped = False
        notifications.subscribe(Channel.INGEST_CHANGED, self._wake)
        notifications.on_gap(self._wake_all)

    def stop(self) -> None:
        """Ends all waiting: this server stops, and others go on with the work."""
        self._is_stopped = True
        self._wake_all()

    async def wait(self, scope: AccessScope, run_id: UUID, *, seconds: float) -> IngestRun:
        """Waits for the end of a run, or until the time is over; returns the run as it is then.

        Raises:
            NotFound: The scope sees none of that id.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        with self._reading(run_id) as reader:
            while True:
                reader.news.clear()
                async with self._database.unit_of_work(scope) as uow:
                    run = await uow.ingest_runs.get(run_id)
                if not run.is_open or self._is_stopped or loop.time() >= deadline:
                    return run
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        await reader.news.wait()

    async def follow(
        self, scope: AccessScope, run_id: UUID, *, after: int, heartbeat_seconds: float
    ) -> AsyncGenerator[IngestLook | None, None]:
        """Yields the run with the files that have changed, whenever there are any, to its end.

        After so long in silence None is yielded. A file may come twice as it is.

        Raises:
            NotFound: The scope sees none of that id, or none any more.
        """
        shown: dict[UUID, int] = {}
        with self._reading(run_id) as reader:
            while not self._is_stopped:
                reader.news.clear()
                async with aclosing(self._looks(scope, run_id, after)) as looks:
                    async for look in looks:
                        fresh = [each for each in look.files if shown.get(each.id) != each.changed]
                        shown.update((file.id, file.changed) for file in fresh)
                        if fresh or not (look.run.is_open or look.has_more):
                            yield replace(look, files=fresh)
                if not look.run.is_open:
                    return
                after = look.cursor
                while not await _comes(reader.news, heartbeat_seconds):
                    yield None
                await asyncio.sleep(PACE_SECONDS)

    async def _looks(
        self, scope: AccessScope, run_id: UUID, since: int
    ) -> AsyncGenerator[IngestLook, None]:
        """One look, some files at a time; no database connection is held in between."""
        first: IngestLook | None = None
        behind: IngestFile | None = None
        while True:
            async with self._database.unit_of_work(scope) as uow:
                look = await uow.ingest_runs.look(run_id, since=since, behind=behind)
            first = first or look  # what changes from then on comes with the next look
            yield replace(look, run=first.run, cursor=first.cursor)
            if not look.has_more:
                return
            behind = look.files[-1]

    @contextmanager
    def _reading(self, run_id: UUID) -> Iterator[_Reader]:
        reader = _Reader()
        self._readers.setdefault(str(run_id), set()).add(reader)
        try:
            yield reader
        finally:
            others = self._readers[str(run_id)]
            others.discard(reader)
            if not others:
                del self._readers[str(run_id)]

    def _wake(self, payload: str) -> None:
        for reader in self._readers.get(payload, ()):
            reader.news.set()

    def _wake_all(self) -> None:
        for reader in chain.from_iterable(self._readers.values()):
            reader.news.set()


async def _comes(news: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
    return news.is_set()


def visible(files: Iterable[IngestFile]) -> list[IngestFile]:
    """Those that people gave: a search for files is none of them unless it failed."""
    return [file for file in files if file.kind != "discovery" or not file.is_open]
