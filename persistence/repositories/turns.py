"""The turns of conversations: the line of messages that led to one, copied or superseded."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.types import BigInteger, Uuid

from persistence.access import AccessScope, Guard, ScopedStatement
from persistence.conversation_records import CopiedTurn, Message, Superseded, turn_id
from persistence.encryption import KeyRing
from persistence.errors import NotFound
from persistence.identifiers import plain_uuid
from persistence.models import chat_sessions, messages
from persistence.repositories.base import Repository
from persistence.repositories.message_copies import INSERT_COPIES, copy_columns, move_bodies
from persistence.repositories.message_images import MessageImageRepository
from persistence.repositories.message_rows import STANDS, of_session, read_messages
from persistence.transaction import Row, Transaction

COPIED_AT_ONCE = 20
"""A message may hold a long text."""


def _stood_at(until: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a message stood when that one was written: nothing had taken its place by then."""
    successor = messages.alias("successor")
    return or_(
        STANDS,
        ~exists().where(
            successor.c.chat_session_id == messages.c.chat_session_id,
            successor.c.run_id == messages.c.superseded_by,
            successor.c.id <= until,
        ),
    )


_UNTIL = bindparam("until", type_=BigInteger)
_LINE = ScopedStatement(
    lambda guard: (
        of_session(guard, messages)
        .where(messages.c.id <= _UNTIL, _stood_at(_UNTIL))
        .order_by(messages.c.id.desc())
        .limit(bindparam("limit"))
    )
)
_LINE_AFTER = ScopedStatement(
    lambda guard: (
        of_session(guard, messages)
        .where(
            messages.c.id > bindparam("after"),
            messages.c.id <= _UNTIL,
            _stood_at(_UNTIL),
        )
        .order_by(messages.c.id)
        .limit(bindparam("limit"))
    )
)


def _build_question_for(guard: Guard) -> Select[Any]:
    """The question that a message that stands is or answers."""
    meant = messages.alias("meant")
    return (
        of_session(guard, messages)
        .where(
            messages.c.id <= meant.c.id,
            STANDS,
            messages.c.role == literal_column("'user'"),
        )
        .join(meant, meant.c.chat_session_id == messages.c.chat_session_id)
        .where(meant.c.id == bindparam("message"), meant.c.superseded_by.is_(None))
        .order_by(messages.c.id.desc())
        .limit(literal_column("1"))
    )


_QUESTION_FOR = ScopedStatement(_build_question_for)


def _build_supersede(guard: Guard) -> Any:
    in_scope = select(chat_sessions.c.id).where(
        chat_sessions.c.id == bindparam("session", type_=BigInteger),
        guard.owned(chat_sessions.c.user_id),
    )
    superseded = (
        update(messages)
        .where(
            messages.c.chat_session_id.in_(in_scope),
            messages.c.id >= bindparam("question"),
            STANDS,
        )
        .values(superseded_by=bindparam("run", type_=Uuid))
        .returning(messages.c.id)
        .cte("superseded")
    )
    count = select(func.count(superseded.c.id)).scalar_subquery()
    return (
        update(chat_sessions)
        .where(
            chat_sessions.c.id == bindparam("session", type_=BigInteger),
            guard.owned(chat_sessions.c.user_id),
        )
        .values(message_count=chat_sessions.c.message_count - count)
    )


_SUPERSEDE = ScopedStatement(_build_supersede)


class TurnRepository(Repository):
    """The turns of sessions in scope."""

    def __init__(
        self,
        transaction: Transaction,
        scope: AccessScope,
        key_ring: KeyRing,
        images: MessageImageRepository,
    ) -> None:
        super().__init__(transaction, scope, key_ring)
        self._images = images

    async def line(self, session_row_id: int, *, until: int, limit: int) -> Sequence[Message]:
        """Return the newest messages of the conversation that led to a message, oldest first.

        Args:
            session_row_id: The session.
            until: The message, which is the last one of them; it may have been superseded since.
            limit: How many at most.
        """
        parameters = {"session": session_row_id, "until": until, "limit": limit}
        rows = await self._all(_LINE.under(self._scope), parameters)
        return await read_messages(self._key_ring, rows[::-1])

    async def copy_line(self, session_row_id: int, *, until: int, to: int) -> Sequence[CopiedTurn]:
        """Copy the conversation that led to a message, this one included, into another session.

        Args:
            session_row_id: The session.
            until: The message.
            to: The row of a session without messages.

        Returns:
            The turns, oldest first.

        Raises:
            NotFound: The scope does not see the other session.
        """
        turns: list[CopiedTurn] = []
        parameters = {"session": session_row_id, "until": until, "limit": COPIED_AT_ONCE}
        last = 0
        while rows := await self._all(
            _LINE_AFTER.under(self._scope), {**parameters, "after": last}
        ):
            last = rows[-1]["id"]
            bodies = await asyncio.to_thread(move_bodies, self._key_ring, rows, to)
            made = await self._all(
                INSERT_COPIES.under(self._scope), copy_columns(rows, bodies, session_row_id=to)
            )
            if len(made) != len(rows):
                raise NotFound("no such session")
            copies = sorted(row["id"] for row in made)
            originals = (row["id"] for row in rows)
            await self._images.copy(
                session_row_id, dict(zip(originals, copies, strict=True)), to=to
            )
            turns += _copied_turns(rows, copies)
        return turns

    async def supersede_from(
        self, session_row_id: int, message_id: int, run_id: UUID
    ) -> Superseded:
        """Take a turn and all that came after it out of the conversation; nothing is deleted.

        The session's live run must be this one, so that nobody else adds or supersedes meanwhile.

        Args:
            session_row_id: The session.
            message_id: The question of that turn or its answer.
            run_id: The run that takes the turn's place.

        Raises:
            NotFound: The session has no such message, it was superseded already, or the session is
                not in scope.
        """
        session = {"session": session_row_id}
        asked = {**session, "message": message_id}
        row = await self._first(_QUESTION_FOR.under(self._scope), asked)
        if row is None:
            raise NotFound("no such message")
        [question] = await read_messages(self._key_ring, [row])
        await self._change(
            _SUPERSEDE.under(self._scope), {**session, "question": question.id, "run": run_id}
        )
        return Superseded(question=question, rewind_to=question.turn_id)


def _copied_turns(rows: Sequence[Row], copies: Sequence[int]) -> list[CopiedTurn]:
    return [
        CopiedTurn(
            original=turn_id(row["run_id"] and plain_uuid(row["run_id"]), row["id"]),
            copy=turn_id(None, copy),
        )
        for row, copy in zip(rows, copies, strict=True)
        if row["role"] == "user"
    ]
