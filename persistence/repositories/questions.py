"""What servers asked people during calls, and what they answered."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.types import DateTime, LargeBinary, Text, TypeEngine, Uuid

from persistence.access import Guard, ScopedStatement
from persistence.errors import AccessDenied, RunLost
from persistence.identifiers import plain_uuid
from persistence.models import questions, runs
from persistence.notifications import Channel
from persistence.question_records import NewQuestion, Question, QuestionAnswer, QuestionStatus
from persistence.records import Page
from persistence.repositories.base import Repository
from persistence.repositories.given_rows import given_rows
from persistence.run_records import RunClaim
from persistence.transaction import Row

_STATUS_OF: dict[str, QuestionStatus] = {
    "accept": "accepted",
    "decline": "declined",
    "cancel": "cancelled",
}
# A literal, not a parameter: only then can the database tell that its partial index applies.
_OPEN = questions.c.status == literal_column("'open'")
_RUN: ColumnElement[Any] = bindparam("run", type_=Uuid)
_STATUS: ColumnElement[Any] = bindparam("status", type_=Text)
_NOW: ColumnElement[Any] = bindparam("now", type_=DateTime(timezone=True))
_IDS: ColumnElement[Any] = bindparam("ids", type_=ARRAY(Uuid))
_ASKED: dict[str, TypeEngine[Any]] = {
    "id": Uuid(),
    "call_id": Text(),
    "tool": Text(),
    "server": Text(),
    "kind": Text(),
    "body": LargeBinary(),
    "expires_at": DateTime(timezone=True),
}
_DECIDED: dict[str, TypeEngine[Any]] = {"id": Uuid(), "status": Text(), "answer": LargeBinary()}


def _build_ask(guard: Guard) -> Any:
    """Insert for a run that the process has, and that has not been asked too often."""
    asked = questions.alias("asked")
    count = (
        select(func.count()).select_from(asked).where(asked.c.run_id == runs.c.id).scalar_subquery()
    )
    values = [bindparam(f"new_{name}", type_=type_) for name, type_ in _ASKED.items()]
    run = select(runs.c.id, runs.c.user_id, *values).where(
        runs.c.id == _RUN,
        runs.c.attempt == bindparam("fence_attempt"),
        runs.c.lease_owner == bindparam("fence_owner"),
        runs.c.status == literal_column("'running'"),
        guard.owned(runs.c.user_id),
        count < bindparam("most"),
    )
    return insert(questions).from_select(["run_id", "user_id", *_ASKED], run).returning(questions)


def _build_answer(guard: Guard) -> Any:
    given = given_rows(_DECIDED)
    return (
        update(questions)
        .where(
            questions.c.id == given.c.id,
            questions.c.run_id == _RUN,
            _OPEN,
            questions.c.expires_at > _NOW,
            guard.mine(questions.c.user_id),
        )
        .values(status=given.c.status, answer=given.c.answer, answered_at=_NOW)
    )


def _close(*conditions: ColumnElement[bool], status: str) -> ScopedStatement:
    return ScopedStatement(
        lambda guard: (
            update(questions)
            .where(_OPEN, *conditions, guard.owned(questions.c.user_id))
            .values(status=literal_column(f"'{status}'"), answered_at=func.clock_timestamp())
            .returning(questions.c.id)
        )
    )


def _select(*conditions: ColumnElement[bool]) -> ScopedStatement:
    return ScopedStatement(
        lambda guard: (
            select(questions)
            .where(*conditions, guard.owned(questions.c.user_id))
            .order_by(questions.c.created_at, questions.c.id)
        )
    )


_FILTERS = (
    or_(_RUN.is_(None), questions.c.run_id == _RUN),
    or_(_STATUS.is_(None), questions.c.status == _STATUS),
)
_ASK = ScopedStatement(_build_ask)
_ANSWER = ScopedStatement(_build_answer)
_OF_IDS = _select(questions.c.id == _IDS.any_())
_OF_RUNS = _select(questions.c.run_id == _IDS.any_())
_LOCK_OF_RUN = ScopedStatement(
    lambda guard: (
        select(questions)
        .where(questions.c.run_id == _RUN, guard.mine(questions.c.user_id))
        .order_by(questions.c.id)  # in one order, so that two who answer do not wait for each other
        .with_for_update()
    )
)
_LIST = ScopedStatement(
    lambda guard: (
        select(questions)
        .where(*_FILTERS, guard.mine(questions.c.user_id))
        .order_by(questions.c.created_at.desc(), questions.c.id)
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )
)
_COUNT = ScopedStatement(
    lambda guard: (
        select(func.count())
        .select_from(questions)
        .where(*_FILTERS, guard.mine(questions.c.user_id))
    )
)
_COUNT_OF_RUN = ScopedStatement(
    lambda guard: (
        select(func.count())
        .select_from(questions)
        .where(questions.c.run_id == _RUN, guard.owned(questions.c.user_id))
    )
)
_CANCEL = _close(questions.c.id == bindparam("question", type_=Uuid), status="cancelled")
_EXPIRE = _close(questions.c.id == bindparam("question", type_=Uuid), status="expired")
_CANCEL_OF_RUN = _close(questions.c.run_id == _RUN, status="cancelled")
_EXPIRE_ALL = _close(questions.c.expires_at <= _NOW, status="expired")


class QuestionRepository(Repository):
    """One sees what one was asked, and nobody else does."""

    async def ask(
        self, claim: RunClaim, question: NewQuestion, *, expires_at: datetime, most: int
    ) -> Question | None:
        """Put a question to the run's user.

        Args:
            claim: By what the process proves that the run is its own.
            question: What is asked.
            expires_at: Until when an answer is waited for.
            most: How many questions a run may ask.

        Returns:
            The question; None if the run has asked so many already.

        Raises:
            RunLost: The claim does not hold any more, or the run is out of sight.
        """
        question_id = uuid4()
        parameters = {
            "run": claim.run_id,
            "fence_attempt": claim.attempt,
            "fence_owner": claim.owner,
            "most": most,
            "new_id": question_id,
            "new_expires_at": expires_at,
            "new_body": self._seal(question_id, question),
            **{f"new_{name}": getattr(question, name) for name in _PLAIN},
        }
        row = await self._first(_ASK.under(self._scope), parameters)
        if row is not None:
            return self._read(row)
        counted = await self._first(_COUNT_OF_RUN.under(self._scope), {"run": claim.run_id})
        if counted is None or counted[0] < most:
            raise RunLost("the run is another process's now")
        return None

    async def of_ids(self, ids: Collection[UUID]) -> list[Question]:
        """Return those of the questions that the scope sees, the oldest first."""
        rows = await self._all(_OF_IDS.under(self._scope), {"ids": list(ids)})
        return [self._read(row) for row in rows]

    async def of_runs(self, run_ids: Collection[UUID]) -> list[Question]:
        """Return all questions of these runs that the scope sees, the oldest first."""
        rows = await self._all(_OF_RUNS.under(self._scope), {"ids": list(run_ids)})
        return [self._read(row) for row in rows]

    async def lock_of_run(self, run_id: UUID) -> list[Question]:
        """Return the scope's own questions of a run; until the end nobody else changes them."""
        rows = await self._all(_LOCK_OF_RUN.under(self._scope), {"run": run_id})
        return [self._read(row) for row in rows]

    async def list(
        self,
        *,
        run_id: UUID | None = None,
        status: QuestionStatus | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Page[Question]:
        """Return what the scope's user was asked, the newest first."""
        return await self._page(
            _LIST.under(self._scope),
            _COUNT.under(self._scope),
            {"run": run_id, "status": status},
            limit=limit,
            offset=offset,
            read=self._read,
        )

    async def answer(
        self, run_id: UUID, answers: Mapping[UUID, QuestionAnswer], *, now: datetime
    ) -> None:
        """Take all the answers to questions of a run, and tell whoever waits for them.

        Raises:
            AccessDenied: One of them is not open, or not the scope's user to answer; nothing of
                this unit of work may be committed then.
        """
        parameters = {
            "run": run_id,
            "now": now,
            "id": list(answers),
            "status": [_STATUS_OF[answer.action] for answer in answers.values()],
            "answer": [self._seal_answer(*each) for each in answers.items()],
        }
        if await self._change(_ANSWER.under(self._scope), parameters) != len(answers):
            raise AccessDenied("not all of the questions may be answered")
        await self._tell(list(answers))

    async def cancel(self, question_id: UUID) -> None:
        """Close a question whose answer nobody waits for any more; one that is over stays so."""
        await self._tell(await self._closed(_CANCEL, question=question_id))

    async def expire(self, question_id: UUID) -> None:
        """Close a question that was waited for long enough; one that is over stays so."""
        await self._tell(await self._closed(_EXPIRE, question=question_id))

    async def cancel_of_run(self, run_id: UUID) -> None:
        """Close what is open of a run that has ended, or whose process has."""
        await self._tell(await self._closed(_CANCEL_OF_RUN, run=run_id))

    async def expire_all(self, now: datetime) -> int:
        """Close all whose time is over; return how many there were."""
        closed = await self._closed(_EXPIRE_ALL, now=now)
        await self._tell(closed)
        return len(closed)

    async def _closed(self, statement: ScopedStatement, **values: Any) -> Sequence[UUID]:
        rows = await self._all(statement.under(self._scope), values)
        return [plain_uuid(row["id"]) for row in rows]

    async def _tell(self, ids: Sequence[UUID]) -> None:
        for question_id in ids:
            await self._notify(Channel.QUESTION_CLOSED, str(question_id))

    def _seal(self, question_id: UUID, question: NewQuestion) -> bytes:
        schema = None if question.schema is None else dict(question.schema)
        body = {"message": question.message, "schema": schema, "url": question.url}
        return self._key_ring.encrypt_json(body, context=f"questions.body/{question_id}")

    def _seal_answer(self, question_id: UUID, answer: QuestionAnswer) -> bytes:
        content = None if answer.content is None else dict(answer.content)
        return self._key_ring.encrypt_json(
            {"content": content}, context=f"questions.answer/{question_id}"
        )

    def _read(self, row: Row) -> Question:
        question_id = plain_uuid(row["id"])
        body = self._key_ring.decrypt_json(row["body"], context=f"questions.body/{question_id}")
        answer: dict[str, Any] = {"content": None}
        if row["answer"] is not None:
            answer = self._key_ring.decrypt_json(
                row["answer"], context=f"questions.answer/{question_id}"
            )
        return Question(
            id=question_id,
            run_id=plain_uuid(row["run_id"]),
            user_id=row["user_id"],
            status=row["status"],
            created_at=row["created_at"],
            expires_at=row["expires_at"],
            answered_at=row["answered_at"],
            **{name: row[name] for name in _PLAIN},
            **body,
            **answer,
        )


_PLAIN = ("call_id", "tool", "server", "kind")
"""What of a question is stored as it is."""
