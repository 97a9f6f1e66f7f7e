"""Questions as runs write them down: opened, looked up and closed."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog

from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.question_records import NewQuestion, Question
from server.audit.entry import audit_entry
from server.observability import describe
from server.questions.asker import ASKED_ENOUGH, QUESTIONS_MAX, Asker
from server.questions.trail import describe_question
from tools.errors import RequestDeclined

log = structlog.get_logger(__name__)


class QuestionRegister:
    """Writes for the runs that ask, as the people whose runs they are."""

    def __init__(self, database: Database, *, seconds: float) -> None:
        """Args: seconds: how long a question is open."""
        self._database = database
        self._seconds = seconds

    async def open(self, asker: Asker, new: NewQuestion) -> Question:
        """Opens a question; when that is cancelled none is left open.

        Raises:
            RequestDeclined: The run has asked too often, or it cannot be written down.
        """
        async with asker.turn:
            asker.require_more()
            opening = asyncio.create_task(self._write(asker, new))
            try:
                return await asyncio.shield(opening)
            except asyncio.CancelledError:
                await asyncio.wait({opening})
                if not opening.cancelled() and opening.exception() is None:
                    await self.close(asker, opening.result(), "cancelled")
                raise

    async def _write(self, asker: Asker, new: NewQuestion) -> Question:
        try:
            async with self._database.unit_of_work(asker.principal.scope) as uow:
                question = await uow.questions.ask(
                    asker.claim,
                    new,
                    expires_at=datetime.now(UTC) + timedelta(seconds=self._seconds),
                    most=QUESTIONS_MAX,
                )
                if question is None:
                    asker.has_asked_enough = True
                    raise RequestDeclined(ASKED_ENOUGH)
                await uow.audit.record(
                    audit_entry(
                        "question.ask",
                        asker.principal,
                        asker.origin,
                        resource=("question", str(question.id)),
                        details=describe_question(question),
                    )
                )
                await uow.commit()
        except PersistenceError as exc:
            log.warning("question_not_asked", run_id=str(asker.claim.run_id), **describe(exc))
            raise RequestDeclined("Nobody can be asked just now.") from exc
        return question

    async def read(self, asker: Asker, question: Question) -> Question | None:
        """A question as it stands; None if the database does not say."""
        try:
            async with self._database.unit_of_work(asker.principal.scope) as uow:
                found = await uow.questions.of_ids([question.id])
        except PersistenceError as exc:
            log.warning("question_unread", **describe(exc))
            return None
        # Deleted with its session: then nobody will answer it.
        return found[0] if found else replace(question, status="cancelled")

    async def close(
        self, asker: Asker, question: Question, status: Literal["expired", "cancelled"]
    ) -> Question:
        """Closes a question unless it is over, and says how it stands then."""
        try:
            async with self._database.unit_of_work(asker.principal.scope) as uow:
                if status == "expired":
                    await uow.questions.expire(question.id)
                else:
                    await uow.questions.cancel(question.id)
                found = await uow.questions.of_ids([question.id])
                await uow.commit()
        except PersistenceError as exc:  # it is closed when its time is over
            log.warning("question_not_closed", **describe(exc))
            found = []
        return found[0] if found else replace(question, status=status)
