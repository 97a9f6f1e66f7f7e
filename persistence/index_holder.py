"""Asking the process that holds the embedded vector index for work that only it can do.

It is asked by a notification, says from time to time how far it is, and at last what came of it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import structlog

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.notifications import Channel, Notifications, open_notifications
from persistence.vectors.errors import IndexInUse

SIGN_OF_LIFE_SECONDS = 60
"""How long whoever asked waits from one notification to the next."""
REPORT_SECONDS = 10
REASON_CHARS = 500
_SCOPE = AccessScope.system("vector index")

Order = dict[str, Any]
Report = dict[str, Any]
Work = Callable[[Order, Report], Awaitable[None]]
"""Does what an order asks for, and keeps the report up to date."""

log = structlog.get_logger(__name__)


async def ask_holder(
    database: Database,
    channel: Channel,
    make_order: Callable[[str], Order],
    *,
    tell: Callable[[Report], None],
    advice: str,
) -> Report:
    """Have the process that holds the embedded index do something.

    Args:
        database: Which both have open.
        channel: What it is.
        make_order: Makes the order, given the request's id.
        tell: Given each report.
        advice: What to do if nobody answers.

    Returns:
        The last report.

    Raises:
        IndexInUse: It does not answer, or it failed.
        DatabaseUnavailable: The database went away.
    """
    request = str(uuid4())
    answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def hear(payload: str) -> None:
        answer = json.loads(payload)
        if answer.get("answers") == request:
            answers.put_nowait(answer)

    async with open_notifications(database.dsn) as notifications:
        notifications.subscribe(channel, hear)
        await _say(database, channel, {"asks": request, "order": make_order(request)})
        while True:
            try:
                async with asyncio.timeout(SIGN_OF_LIFE_SECONDS):
                    answer = await answers.get()
            except TimeoutError as exc:
                raise IndexInUse(
                    "the vector index is in use by a process that does not answer: " + advice
                ) from exc
            if answer["failure"]:
                raise IndexInUse(f"the server says: {answer['failure']}")
            tell(answer["report"])
            if answer["is_done"]:
                return dict(answer["report"])


@dataclass(kw_only=True)
class _Job:
    """One order, for all who have asked for just that."""

    order: Order
    requests: list[str]


@asynccontextmanager
async def serve_holder(
    database: Database, notifications: Notifications, channel: Channel, work: Work
) -> AsyncIterator[None]:
    """Do what is asked for, one after the other, in the process that holds the embedded index.

    Whoever asks for what is being done already, as somebody does who was interrupted and asks
    again, is told of that.
    """
    jobs: list[_Job] = []
    asked: asyncio.Queue[_Job] = asyncio.Queue()

    def hear(payload: str) -> None:
        said = json.loads(payload)
        if "asks" not in said:
            return
        same = next((job for job in jobs if job.order == said["order"]), None)
        if same is not None:
            same.requests.append(said["asks"])
            return
        jobs.append(_Job(order=said["order"], requests=[said["asks"]]))
        asked.put_nowait(jobs[-1])

    async def serve() -> None:
        while True:
            job, report = await asked.get(), Report()
            try:
                try:
                    failure = await _work_for(job, report, jobs, database, channel, work)
                finally:
                    jobs.remove(job)  # whoever asks from now on asks for it once more
                await _answer(job, report, database, channel, is_done=True, failure=failure)
            except PersistenceError as exc:
                log.warning("index_work_failed", channel=channel, reason=type(exc).__name__)

    notifications.subscribe(channel, hear)
    serving = asyncio.create_task(serve(), name=channel)
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def _work_for(
    job: _Job,
    report: Report,
    jobs: Sequence[_Job],
    database: Database,
    channel: Channel,
    work: Work,
) -> str:
    """Work, with signs of life; returns why it failed, if it did."""
    working = asyncio.ensure_future(work(job.order, report))
    try:
        while not working.done():
            for each in jobs:  # those behind hear that somebody is there
                await _answer(each, report if each is job else {}, database, channel)
            await asyncio.wait([working], timeout=REPORT_SECONDS)
        failed = working.exception()
        if failed is None:
            return ""
        log.warning("index_work_failed", channel=channel, reason=type(failed).__name__)
        return _describe(failed)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _answer(
    job: _Job,
    report: Report,
    database: Database,
    channel: Channel,
    *,
    is_done: bool = False,
    failure: str = "",
) -> None:
    told = {"report": report, "is_done": is_done, "failure": failure}
    async with database.unit_of_work(_SCOPE) as uow:
        for request in job.requests:
            await uow.notify(channel, json.dumps({"answers": request, **told}))
        await uow.commit()


def _describe(failed: BaseException) -> str:
    reason = str(failed) if isinstance(failed, PersistenceError) else ""
    return reason[:REASON_CHARS] or type(failed).__name__


async def _say(database: Database, channel: Channel, what: dict[str, Any]) -> None:
    async with database.unit_of_work(_SCOPE) as uow:
        await uow.notify(channel, json.dumps(what))
        await uow.commit()
