"""What servers ask during calls, put together: who listens, who asks people, who takes answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from persistence.database import Database
from persistence.notifications import Notifications
from server.questions.desk import QuestionDesk
from server.questions.hearing import RunHearing
from server.questions.service import QuestionService
from server.runs.executor import RunExecutor
from tools.catalog import ToolCatalog
from tools.settings import McpSettings


@dataclass(frozen=True, kw_only=True)
class QuestionParts:
    """What the rest of the product needs of it."""

    hearing: RunHearing
    service: QuestionService


@asynccontextmanager
async def open_questions(
    settings: McpSettings,
    database: Database,
    notifications: Notifications,
    *,
    executor: RunExecutor,
    catalog: ToolCatalog,
) -> AsyncIterator[QuestionParts]:
    """Ask people until the end; what is open then is closed."""
    desk = QuestionDesk(
        database,
        notifications,
        seconds=settings.question_seconds,
        pausing=executor.pausing,
    )
    executor.on_stopping(desk.stop)
    hearing = RunHearing(
        desk,
        sampling_of=catalog.sampling_of,
        max_calls=settings.sampling_max_calls,
        max_tokens=settings.sampling_max_tokens,
    )
    try:
        yield QuestionParts(hearing=hearing, service=QuestionService(database))
    finally:
        desk.stop()
        await desk.settle()
