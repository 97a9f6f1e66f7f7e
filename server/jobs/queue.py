"""The queue as Procrastinate sees it: a few connections, one task, and when to try again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.jobs import Job
from procrastinate.worker import Worker
from typing_extensions import override

from persistence.ingest_records import Lane
from persistence.pool import APP_ROLE, CONNECT_TIMEOUT_SECONDS
from persistence.repositories.ingest_turns import TASK
from server.jobs.errors import TryAgain

MAX_CONNECTIONS = 2
"""The queue's own; the work on files has those of everybody else."""
STATEMENT_SECONDS = 30
SILENT_NETWORK = {
    "tcp_user_timeout": STATEMENT_SECONDS * 1000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
}
"""When a database that has gone without a word is given up: nothing else limits the waiting."""
NEVER_SECONDS = 86_400.0
"""For what Procrastinate would do from time to time and we do ourselves, or not at all."""
WAKE_MARGIN_SECONDS = 0.01
"""A job that was put off is looked for so long after its time has come."""
GRACE_SECONDS = 10.0
"""How long a worker that has lost the database waits for its jobs before it breaks them off."""

Handle = Callable[[UUID], Awaitable[float | None]]
"""Works on a file; returns after how many seconds it is to be called again, if at all."""


def make_queue(dsn: str, handle: Handle) -> App:
    """The application whose one task calls `handle`."""
    settings = f"-c role={APP_ROLE} -c statement_timeout={STATEMENT_SECONDS * 1000} -c jit=off"
    connector = PsycopgConnector(
        conninfo=dsn,
        kwargs={
            "application_name": "youworker-jobs",
            "options": settings,
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            **SILENT_NETWORK,
        },
        min_size=0,
        max_size=MAX_CONNECTIONS,
        num_workers=1,
        timeout=CONNECT_TIMEOUT_SECONDS,
    )
    app = App(connector=connector)

    @app.task(name=TASK, retry=_AsSaid())
    async def ingest_file(file_id: str) -> None:
        pause = await handle(UUID(file_id))
        if pause is not None:
            raise TryAgain(pause)

    return app


class QueueWorker(Worker):
    """Procrastinate's worker for one lane, told of new jobs by whoever listens already.

    Its own listener falls silent for good when the database cannot be reached again at once, and
    what it hears while it asks for a job is forgotten (procrastinate/worker.py, 3.10).
    """

    def __init__(
        self,
        app: App,
        lane: Lane,
        *,
        concurrency: int,
        poll_seconds: float,
        on_room: Callable[[], None],
    ) -> None:
        """Args: on_room: called when others may be taken: a job has ended, or its pause has."""
        super().__init__(
            app,
            queues=[lane],
            concurrency=concurrency,
            fetch_job_polling_interval=poll_seconds,
            abort_job_polling_interval=NEVER_SECONDS,
            update_heartbeat_interval=NEVER_SECONDS,
            shutdown_graceful_timeout=GRACE_SECONDS,
            listen_notify=False,
            install_signal_handlers=False,
            delete_jobs="always",
        )
        self._on_room = on_room
        self._is_wanted = False

    async def serve(self) -> None:
        """Works until `leave` is called.

        Raises:
            ConnectorException: The database could not be reached.
        """
        await self.run()  # type: ignore[no-untyped-call]

    def leave(self) -> None:
        """Takes no more jobs, and waits a moment for those that there are."""
        self.stop()  # type: ignore[no-untyped-call]

    def wake(self) -> None:
        """Has the queue asked for jobs, now or once more."""
        self._is_wanted = True
        self._new_job_event.set()

    @property
    def job_ids(self) -> frozenset[int]:
        """The jobs that are run at this moment."""
        ids = (context.job.id for context in self._running_jobs.values())
        return frozenset(each for each in ids if each is not None)

    @override
    async def _persist_job_status(self, *args: Any, **kwargs: Any) -> None:
        await super()._persist_job_status(*args, **kwargs)
        again: RetryDecision | None = kwargs["retry_decision"]
        pause = WAKE_MARGIN_SECONDS
        if again is not None and again.retry_at is not None:
            pause += max(0.0, (again.retry_at - datetime.now(UTC)).total_seconds())
        asyncio.get_running_loop().call_later(pause, self._on_room)

    @override
    async def _fetch_and_process_jobs(self) -> None:
        while True:
            self._is_wanted = False
            await super()._fetch_and_process_jobs()  # type: ignore[no-untyped-call]
            if not self._is_wanted:
                return


class _AsSaid(BaseRetryStrategy):
    """A job is done once more when it says so, and when it was broken off by the worker's end."""

    @override
    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        now = datetime.now(UTC)
        if isinstance(exception, TryAgain):
            return RetryDecision(retry_at=now + timedelta(seconds=exception.after_seconds))
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision(retry_at=now)
        return None
