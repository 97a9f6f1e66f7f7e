"""What was said in conversations."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.types import Boolean, Integer, LargeBinary, Text, TypeEngine, Uuid

from persistence.access import AccessScope, Guard, ScopedStatement
from persistence.conversation_records import Message, Role
from persistence.encryption import KeyRing
from persistence.errors import NotFound
from persistence.large_values import apart_if_large
from persistence.models import chat_sessions, messages
from persistence.records import Page
from persistence.repositories.base import Repository
from persistence.repositories.message_images import MessageImageRepository
from persistence.repositories.message_rows import (
    STANDS,
    body_context,
    of_session,
    read_messages,
)
from persistence.transaction import Transaction

_AFTER_ALL = 2**63 - 1


def _build_insert(guard: Guard) -> Any:
    """Guard, count and insert in one round trip; no row comes back without a session in scope."""
    session = (
        update(chat_sessions)
        .where(chat_sessions.c.id == bindparam("session"), guard.owned(chat_sessions.c.user_id))
        .values(message_count=chat_sessions.c.message_count + 1, updated_at=func.now())
        .returning(chat_sessions.c.id)
        .cte("session")
    )
    columns: dict[str, TypeEngine[Any]] = {
        "run_id": Uuid(),
        "role": Text(),
        "body": LargeBinary(),
        "model": Text(),
        "tokens_in": Integer(),
        "tokens_out": Integer(),
        "status": Text(),
    }
    values = [bindparam(name, type_=type_) for name, type_ in columns.items()]
    return (
        insert(messages)
        .from_select(["chat_session_id", *columns], select(session.c.id, *values))
        .returning(messages.c.id, messages.c.created_at)
    )


_INSERT = ScopedStatement(_build_insert)
_SHOWN = or_(STANDS, bindparam("superseded_too", type_=Boolean))


def _build_list(guard: Guard, order: ColumnElement[Any]) -> Select[Any]:
    return (
        of_session(guard, messages)
        .where(_SHOWN, messages.c.id < bindparam("before"))
        .order_by(order)
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )


_LIST = ScopedStatement(lambda guard: _build_list(guard, messages.c.id.asc()))
_LIST_BACKWARDS = ScopedStatement(lambda guard: _build_list(guard, messages.c.id.desc()))
_COUNT = ScopedStatement(
    lambda guard: of_session(guard, func.count(literal_column("*"))).where(_SHOWN)
)
_AFTER = ScopedStatement(
    lambda guard: (
        of_session(guard, messages)
        .where(messages.c.id > bindparam("after"))
        .order_by(messages.c.id)
        .limit(bindparam("limit"))
    )
)


_GET = ScopedStatement(
    lambda guard: of_session(guard, messages).where(messages.c.id == bindparam("message"))
)
_QUESTION_OF_RUN = ScopedStatement(
    lambda guard: of_session(guard, messages).where(
        messages.c.run_id == bindparam("run"), messages.c.role == literal_column("'user'")
    )
)


_ANSWER_OF_RUN = ScopedStatement(
    lambda guard: of_session(guard, messages).where(
        messages.c.run_id == bindparam("run"), messages.c.role == literal_column("'assistant'")
    )
)


class MessageRepository(Repository):
    """The messages of sessions in scope."""

    def __init__(
        self,
        transaction: Transaction,
        scope: AccessScope,
        key_ring: KeyRing,
        images: MessageImageRepository,
    ) -> None:
        super().__init__(transaction, scope, key_ring)
        self._images = images

    async def add(
        self,
        session_row_id: int,
        *,
        role: Role,
        content: str,
        run_id: UUID | None = None,
        reasoning: str | None = None,
        sources: Sequence[Mapping[str, Any]] = (),
        citations: Mapping[str, list[str]] | None = None,
        tool_events: Sequence[dict[str, Any]] = (),
        images: Sequence[Mapping[str, Any]] = (),
        audio: Mapping[str, Any] | None = None,
        model: str | None = None,
        tokens_in: int = 0,
        tokens_out: int = 0,
        status: str | None = None,
    ) -> Message:
        """Append a message to a session, and count it there.

        The images are given as they were sent, each with its `data_b64`.

        Raises:
            NotFound: The scope sees no such session.
        """
        body: dict[str, Any] = {
            "content": content,
            "reasoning": reasoning,
            "sources": [dict(source) for source in sources],
            "tool_events": list(tool_events),
        }
        if images:
            body["images"] = [_facts(image) for image in images]
        if audio is not None:
            body["audio"] = dict(audio)
        if citations and any(citations.values()):
            body["citations"] = dict(citations)
        columns: dict[str, Any] = {
            "run_id": run_id,
            "role": role,
            "model": model,
            "tokens_in": tokens_in,
            "tokens_out": tokens_out,
            "status": status,
        }
        sealed = await apart_if_large(
            len(content),
            lambda: self._key_ring.encrypt_json(body, context=body_context(session_row_id, role)),
        )
        parameters = {"session": session_row_id, "body": sealed, **columns}
        row = await self._first(_INSERT.under(self._scope), parameters)
        if row is None:
            raise NotFound("no such session")
        for number, image in enumerate(images, 1):
            await self._images.add(session_row_id, row["id"], number, image["data_b64"])
        return Message(id=row["id"], created_at=row["created_at"], **columns, **body)

    async def list(
        self,
        session_row_id: int,
        *,
        limit: int = 50,
        offset: int = 0,
        newest_first: bool = False,
        before: int | None = None,
        superseded_too: bool = False,
    ) -> Page[Message]:
        """Return a session's messages; none when the session is not in scope.

        Args:
            session_row_id: The session.
            limit: How many at most.
            offset: How many to leave out at the beginning.
            newest_first: The order; the oldest come first otherwise.
            before: Return those that were written before the message of this id alone.
            superseded_too: Return and count those that an edit has taken out of the conversation.
        """
        statement = (_LIST_BACKWARDS if newest_first else _LIST).under(self._scope)
        count = _COUNT.under(self._scope)
        values = {
            "session": session_row_id,
            "superseded_too": superseded_too,
            "before": _AFTER_ALL if before is None else before,
        }
        if before is None:
            page = await self._page(
                statement, count, values, limit=limit, offset=offset, read=lambda row: row
            )
            return Page(
                items=await read_messages(self._key_ring, page.items),
                total=page.total,
                limit=limit,
                offset=offset,
            )
        rows = await self._all(statement, {**values, "limit": limit, "offset": offset})
        counted = await self._first(count, values)
        return Page(
            items=await read_messages(self._key_ring, rows),
            total=counted[0] if counted is not None else 0,
            limit=limit,
            offset=offset,
        )

    async def after(self, session_row_id: int, message_id: int, *, limit: int) -> Sequence[Message]:
        """Return a session's messages after that one, oldest first; 0 comes before all.

        Those that an edit has taken out of the conversation are among them.
        """
        parameters = {"session": session_row_id, "after": message_id, "limit": limit}
        rows = await self._all(_AFTER.under(self._scope), parameters)
        return await read_messages(self._key_ring, rows)

    async def get(self, session_row_id: int, message_id: int) -> Message:
        """Return a message, also one that an edit has taken out of the conversation.

        Raises:
            NotFound: The session has none of that id, or is not in scope.
        """
        return await self._one(_GET, {"session": session_row_id, "message": message_id})

    async def question_of(self, session_row_id: int, run_id: UUID) -> Message:
        """Return the message that a run answers.

        Raises:
            NotFound: There is none, or the session is not in scope.
        """
        return await self._one(_QUESTION_OF_RUN, {"session": session_row_id, "run": run_id})

    async def answer_of(self, session_row_id: int, run_id: UUID) -> Message:
        """Return the message that a run has written.

        Raises:
            NotFound: There is none, or the session is not in scope.
        """
        return await self._one(_ANSWER_OF_RUN, {"session": session_row_id, "run": run_id})

    async def _one(self, statement: ScopedStatement, values: Mapping[str, Any]) -> Message:
        row = await self._first(statement.under(self._scope), values)
        if row is None:
            raise NotFound("no such message")
        [message] = await read_messages(self._key_ring, [row])
        return message


def _facts(image: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an image with its message."""
    return {name: value for name, value in image.items() if name != "data_b64"}
