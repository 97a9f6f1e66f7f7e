"""Keeps a worker at work in this process, and takes over the jobs of those that died."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import structlog
from procrastinate.exceptions import ConnectorException

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.ingest_records import LANES, Lane
from persistence.notifications import Channel, Notifications
from server.job_settings import JobSettings
from server.jobs.queue import QueueWorker, make_queue
from server.observability import describe

RESTART_SECONDS = 1.0
"""Pause before a worker is started again that could not reach the database."""
STOP_SECONDS = 5.0
"""How long a process that stops waits for its worker, which gives its files back."""
AFTER_CRASH_PRIORITY = -1
"""A file over which a process died comes after those that are innocent."""

log = structlog.get_logger(__name__)


class FileWork(Protocol):
    """What is done for a job."""

    async def work(self, file_id: UUID) -> float | None:
        """Works on a file; returns after how many seconds it is to be called again, if at all."""
        ...

    def stop(self) -> None:
        """Gives back all that is worked on, and takes nothing more."""
        ...


class JobRunner:
    """In each lane one worker at a time, over and over."""

    def __init__(
        self,
        *,
        database: Database,
        notifications: Notifications,
        files: FileWork,
        settings: JobSettings,
        places: Mapping[Lane, int],
    ) -> None:
        self._database = database
        self._files = files
        self._settings = settings
        self._places = places
        self._queue = make_queue(database.dsn, files.work)
        self._workers: dict[Lane, QueueWorker] = {}
        self._is_stopping = False
        self._unaccounted: dict[Lane, frozenset[int]] = {}
        notifications.subscribe(Channel.JOB_WAITING, lambda _: self.wake())
        notifications.on_gap(self.wake)

    def wake(self) -> None:
        """Has the queue asked for jobs."""
        for worker in self._workers.values():
            worker.wake()

    async def keep(self) -> None:
        """Works until it is stopped, whatever becomes of the database meanwhile."""
        if self._database.embedded:  # nobody else can be at work on it
            await self._attempt(self._rescue(0.0))
        async with asyncio.TaskGroup() as lanes:
            for lane in LANES:
                lanes.create_task(self._keep_lane(lane), name=f"jobs-{lane}")

    async def _keep_lane(self, lane: Lane) -> None:
        while not self._is_stopping:
            worker = self._workers[lane] = QueueWorker(
                self._queue,
                lane,
                concurrency=self._places[lane],
                poll_seconds=self._settings.poll_seconds,
                on_room=self.wake,
            )
            if not await self._attempt(worker.serve()) and not self._is_stopping:
                await asyncio.sleep(RESTART_SECONDS)

    async def care(self) -> None:
        """Says that this process is there and takes over from those that do not say so."""
        while True:
            await asyncio.sleep(self._settings.heartbeat_seconds)
            await self._attempt(self._beat())
            await self._attempt(self._rescue(self._settings.stalled_seconds))
            for lane, worker in list(self._workers.items()):
                await self._attempt(self._recall(lane, worker))
            await self._attempt(self._give_turns())

    async def stop(self, keeping: "asyncio.Task[None]") -> None:
        """Gives back what is worked on, so that others can go on with it at once."""
        self._is_stopping = True
        self._files.stop()
        for worker in self._workers.values():
            worker.leave()
        await asyncio.wait({keeping}, timeout=STOP_SECONDS)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        try:
            async with self._database.unit_of_work(AccessScope.system("jobs")) as uow:
                await uow.notify(Channel.JOB_WAITING, "")
                await uow.commit()
        except PersistenceError as exc:  # others will look by themselves
            log.warning("jobs_left_unannounced", **describe(exc))

    async def _beat(self) -> None:
        for worker in list(self._workers.values()):
            if worker.worker_id is not None:
                await self._queue.job_manager.update_heartbeat(worker.worker_id)

    async def _give_turns(self) -> None:
        async with self._database.unit_of_work(AccessScope.system("jobs")) as uow:
            await uow.ingest_turns.give_all()
            await uow.commit()

    async def _rescue(self, silent_seconds: float) -> None:
        jobs = self._queue.job_manager
        stalled = await jobs.get_stalled_jobs(seconds_since_heartbeat=silent_seconds)
        for job in stalled:
            log.warning("job_taken_over", job_id=job.id)
            # Another process may have been faster.
            await self._attempt(jobs.retry_job(job, priority=AFTER_CRASH_PRIORITY))
            self.wake()

    async def _recall(self, lane: Lane, worker: QueueWorker) -> None:
        """Puts back jobs of a worker that it does not run: how they ended was never written."""
        if worker.worker_id is None:
            return
        jobs = self._queue.job_manager
        listed = {
            job.id
            for job in await jobs.list_jobs_async(status="doing", worker_id=worker.worker_id)
            if job.id is not None and job.id not in worker.job_ids
        }
        # What has just ended is written down at this moment: only who is found twice is forgotten.
        forgotten = listed & self._unaccounted.get(lane, frozenset())
        self._unaccounted[lane] = frozenset(listed)
        for job_id in forgotten:
            log.warning("job_recalled", job_id=job_id)
            await self._attempt(jobs.retry_job_by_id_async(job_id, datetime.now(UTC)))
            self.wake()

    async def _attempt(self, work: Awaitable[object]) -> bool:
        """Does something that the database may not let happen; whether it did."""
        try:
            await work
        except ConnectorException as exc:
            log.warning("jobs_interrupted", **describe(exc))
        except Exception as exc:  # noqa: BLE001 - the entry point of a task that must go on
            log.error("jobs_interrupted", **describe(exc))
        else:
            return True
        return False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Holds the queue's connections, which are made when they are needed."""
        async with self._queue.open_async():
            yield


@asynccontextmanager
async def keep_jobs(runner: JobRunner) -> AsyncIterator[None]:
    """Works on jobs until the end."""
    async with runner.open():
        keeping = asyncio.create_task(runner.keep(), name="jobs")
        caring = asyncio.create_task(runner.care(), name="job-heartbeat")
        try:
            yield
        finally:
            caring.cancel()
            await asyncio.gather(caring, return_exceptions=True)
            await runner.stop(keeping)
