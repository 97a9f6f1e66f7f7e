"""Messages that are copied from one conversation into another, many at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, DateTime, Integer, LargeBinary, Text, TypeEngine

from persistence.access import Guard, ScopedStatement
from persistence.encryption import KeyRing
from persistence.models import chat_sessions, messages
from persistence.repositories.message_rows import body_context
from persistence.transaction import Row

_COLUMNS: Mapping[str, TypeEngine[Any]] = {
    "role": Text(),
    "body": LargeBinary(),
    "model": Text(),
    "tokens_in": Integer(),
    "tokens_out": Integer(),
    "status": Text(),
    "created_at": DateTime(timezone=True),
}


def _build_insert(guard: Guard) -> Any:
    """Insert in the order that is given, and count, if the session is in scope."""
    session = (
        update(chat_sessions)
        .where(
            chat_sessions.c.id == bindparam("session", type_=BigInteger),
            guard.owned(chat_sessions.c.user_id),
        )
        .values(message_count=chat_sessions.c.message_count + bindparam("count", type_=Integer))
        .returning(chat_sessions.c.id)
        .cte("session")
    )
    arrays = [bindparam(name, type_=ARRAY(type_)) for name, type_ in _COLUMNS.items()]
    given = (
        func.unnest(*arrays)
        .table_valued(*_COLUMNS, with_ordinality="place")
        .render_derived(name="given")
    )
    rows = select(session.c.id, *(given.c[name] for name in _COLUMNS)).order_by(given.c.place)
    return (
        insert(messages).from_select(["chat_session_id", *_COLUMNS], rows).returning(messages.c.id)
    )


INSERT_COPIES = ScopedStatement(_build_insert)


def copy_columns(
    rows: Sequence[Row], bodies: Sequence[bytes], *, session_row_id: int
) -> dict[str, Any]:
    """Return the parameters of `INSERT_COPIES`."""
    columns = {name: [row[name] for row in rows] for name in _COLUMNS}
    return {**columns, "body": bodies, "session": session_row_id, "count": len(rows)}


def move_bodies(key_ring: KeyRing, rows: Sequence[Row], session_row_id: int) -> list[bytes]:
    """Encrypt the bodies of messages anew for another session; takes a while if there are many."""
    moved = []
    for row in rows:
        context = body_context(row["chat_session_id"], row["role"])
        body = key_ring.decrypt(row["body"], context=context)
        moved.append(key_ring.encrypt(body, context=body_context(session_row_id, row["role"])))
    return moved
