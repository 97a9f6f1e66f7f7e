"""What was said in conversations."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, insert, literal_column, select, update
from sqlalchemy.types import BigInteger, Integer, LargeBinary, Text, TypeEngine, Uuid

from persistence.access import Guard, ScopedStatement
from persistence.errors import NotFound
from persistence.identifiers import plain_uuid
from persistence.models import chat_sessions, messages
from persistence.records import Message, Page, Role
from persistence.repositories.base import Repository
from persistence.transaction import Row


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
_IN_SESSION = messages.c.chat_session_id == bindparam("session", type_=BigInteger)
_LIST = ScopedStatement(
    lambda guard: (
        select(messages)
        .join(chat_sessions, chat_sessions.c.id == messages.c.chat_session_id)
        .where(_IN_SESSION, guard.owned(chat_sessions.c.user_id))
        .order_by(messages.c.id)
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )
)
_COUNT = ScopedStatement(
    lambda guard: (
        select(func.count(literal_column("*")))
        .select_from(messages)
        .join(chat_sessions, chat_sessions.c.id == messages.c.chat_session_id)
        .where(_IN_SESSION, guard.owned(chat_sessions.c.user_id))
    )
)

_AFTER = ScopedStatement(
    lambda guard: (
        select(messages)
        .join(chat_sessions, chat_sessions.c.id == messages.c.chat_session_id)
        .where(
            _IN_SESSION,
            messages.c.id > bindparam("after"),
            guard.owned(chat_sessions.c.user_id),
        )
        .order_by(messages.c.id)
        .limit(bindparam("limit"))
    )
)


class MessageRepository(Repository):
    """The messages of sessions in scope."""

    async def add(
        self,
        session_row_id: int,
        *,
        role: Role,
        content: str,
        run_id: UUID | None = None,
        reasoning: str | None = None,
        sources: Sequence[Mapping[str, Any]] = (),
        tool_events: Sequence[dict[str, Any]] = (),
        model: str | None = None,
        tokens_in: int = 0,
        tokens_out: int = 0,
        status: str | None = None,
    ) -> Message:
        """Append a message to a session, and count it there.

        Raises:
            NotFound: The scope sees no such session.
        """
        body: dict[str, Any] = {
            "content": content,
            "reasoning": reasoning,
            "sources": [dict(source) for source in sources],
            "tool_events": list(tool_events),
        }
        columns: dict[str, Any] = {
            "run_id": run_id,
            "role": role,
            "model": model,
            "tokens_in": tokens_in,
            "tokens_out": tokens_out,
            "status": status,
        }
        sealed = self._key_ring.encrypt_json(body, context=_context(session_row_id, role))
        parameters = {"session": session_row_id, "body": sealed, **columns}
        row = await self._first(_INSERT.under(self._scope), parameters)
        if row is None:
            raise NotFound("no such session")
        return Message(id=row["id"], created_at=row["created_at"], **columns, **body)

    async def list(self, session_row_id: int, *, limit: int = 50, offset: int = 0) -> Page[Message]:
        """Return a session's messages, oldest first; none when the session is not in scope."""
        return await self._page(
            _LIST.under(self._scope),
            _COUNT.under(self._scope),
            {"session": session_row_id},
            limit=limit,
            offset=offset,
            read=self._read,
        )

    async def after(self, session_row_id: int, message_id: int, *, limit: int) -> Sequence[Message]:
        """Return a session's messages after that one, oldest first; 0 comes before all."""
        parameters = {"session": session_row_id, "after": message_id, "limit": limit}
        return [self._read(row) for row in await self._all(_AFTER.under(self._scope), parameters)]

    def _read(self, row: Row) -> Message:
        context = _context(row["chat_session_id"], row["role"])
        return Message(
            id=row["id"],
            role=row["role"],
            model=row["model"],
            tokens_in=row["tokens_in"],
            tokens_out=row["tokens_out"],
            run_id=row["run_id"] and plain_uuid(row["run_id"]),
            status=row["status"],
            created_at=row["created_at"],
            **self._key_ring.decrypt_json(row["body"], context=context),
        )


def _context(session_row_id: int, role: str) -> str:
    return f"messages.body/{session_row_id}/{role}"
