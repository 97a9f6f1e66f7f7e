"""Questions as the person who was asked sees and answers them."""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from persistence.database import Database
from persistence.errors import AccessDenied
from persistence.question_records import Question, QuestionAnswer, QuestionStatus
from persistence.records import Page
from persistence.unit_of_work import UnitOfWork
from server.argument_faults import faults_in
from server.audit.entry import audit_entry
from server.errors import (
    BadRequest,
    InvalidContent,
    QuestionAnswered,
    QuestionExpired,
    QuestionNotFound,
)
from server.known_runs import require_run
from server.questions.trail import describe_question
from server.security.principal import Origin, Principal
from tools.calls import ElicitationAnswer

CONTENT_MAX_CHARS = 65_536
LISTED_MAX = 1_000
"""More than a run may ever ask."""


def _now() -> datetime:
    return datetime.now(UTC)


class QuestionService:
    """Only whose run it is answers, from any client and at any replica."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = _now) -> None:
        self._database = database
        self._clock = clock

    async def list_questions(
        self,
        principal: Principal,
        *,
        run_id: UUID | None,
        status: QuestionStatus | None,
        limit: int,
        offset: int,
    ) -> Page[Question]:
        """What the principal was asked, the newest first."""
        async with self._database.unit_of_work(principal.scope) as uow:
            return await uow.questions.list(
                run_id=run_id, status=status, limit=limit, offset=offset
            )

    async def find_run(self, principal: Principal, question_ids: Collection[UUID]) -> UUID:
        """The run in which these were asked.

        Raises:
            QuestionNotFound: There is none, or not one alone, as far as the principal may know.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            run_ids = {each.run_id for each in await uow.questions.of_ids(question_ids)}
        if len(run_ids) != 1:
            raise QuestionNotFound("There is no such question, or not in one run alone.")
        return run_ids.pop()

    async def answer(
        self,
        principal: Principal,
        origin: Origin,
        run_id: UUID,
        answers: Mapping[UUID, ElicitationAnswer],
    ) -> list[Question]:
        """Takes all the answers or none; the calls that wait for them go on.

        Returns:
            What of the run is still open.

        Raises:
            RunNotFound: The principal has no such run.
            QuestionNotFound: One of them was not asked in this run.
            QuestionAnswered: One of them is over.
            QuestionExpired: Its time is.
            InvalidContent: What was filled in does not fit the form.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            asked = await self._asked(uow, run_id, answers)
        # What does not fit may take its time to be found, so nothing is locked meanwhile.
        await asyncio.to_thread(_require_all_fit, asked, answers)
        async with self._database.unit_of_work(principal.scope) as uow:
            seen = {each.id: each for each in await uow.questions.lock_of_run(run_id)}
            now = self._clock()
            asked = [_require_open(seen.get(each), each, now=now) for each in answers]
            try:
                await uow.questions.answer(run_id, _written(answers), now=now)
            except AccessDenied as exc:  # the rows were locked: its time has ended just now
                raise QuestionExpired from exc
            for question in asked:
                await uow.audit.record(
                    audit_entry(
                        "question.answer",
                        principal,
                        origin,
                        resource=("question", str(question.id)),
                        details=describe_question(question, action=answers[question.id].action),
                    )
                )
            await uow.commit()
        return [
            each
            for each in seen.values()
            if each.id not in answers and each.status == "open" and now < each.expires_at
        ]

    async def _asked(
        self, uow: UnitOfWork, run_id: UUID, question_ids: Collection[UUID]
    ) -> list[Question]:
        page = await uow.questions.list(run_id=run_id, limit=LISTED_MAX)
        if not page.items:
            await require_run(uow, run_id)
        seen, now = {each.id: each for each in page.items}, self._clock()
        return [_require_open(seen.get(each), each, now=now) for each in question_ids]


def _written(answers: Mapping[UUID, ElicitationAnswer]) -> dict[UUID, QuestionAnswer]:
    return {
        question_id: QuestionAnswer(action=answer.action, content=answer.content)
        for question_id, answer in answers.items()
    }


def _require_open(question: Question | None, question_id: UUID, *, now: datetime) -> Question:
    details = {"question_id": str(question_id)}
    if question is None:
        raise QuestionNotFound(details=details)
    if question.status not in {"open", "expired"}:
        raise QuestionAnswered(details=details)
    if question.status == "expired" or question.expires_at <= now:
        raise QuestionExpired(details=details)
    return question


def _require_all_fit(
    asked: Collection[Question], answers: Mapping[UUID, ElicitationAnswer]
) -> None:
    for question in asked:
        _require_fit(question, answers[question.id])


def _require_fit(question: Question, answer: ElicitationAnswer) -> None:
    if answer.action != "accept":
        return
    details = {"question_id": str(question.id)}
    if question.schema is None:
        if answer.content:
            raise InvalidContent("There is nothing to fill in here.", details=details)
        return
    content = answer.content or {}
    if not _is_small(content):
        raise BadRequest("The answer is too large.", details=details)
    faults = _too_many_choices(content, question.schema) or faults_in(
        content, {**question.schema, "additionalProperties": False}
    )
    if faults:
        raise InvalidContent(details={**details, "errors": faults})


def _too_many_choices(
    content: Mapping[str, object], form: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Looked at first: each choice would be compared with all that the form offers."""
    bounds = {name: field.get("maxItems") for name, field in form["properties"].items()}
    return [
        {"argument": name, "problem": f"does not fit 'maxItems': {most}"}
        for name, most in bounds.items()
        if most is not None and isinstance(given := content.get(name), list) and len(given) > most
    ]


def _is_small(content: Mapping[str, object]) -> bool:
    return len(json.dumps(content)) <= CONTENT_MAX_CHARS
