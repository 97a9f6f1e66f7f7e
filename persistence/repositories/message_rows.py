"""How messages are found in a session that is in scope, and how their rows are read."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.types import BigInteger

from persistence.access import Guard
from persistence.conversation_records import Message
from persistence.encryption import KeyRing
from persistence.identifiers import plain_uuid
from persistence.large_values import apart_if_large
from persistence.models import chat_sessions, messages
from persistence.transaction import Row

STANDS = messages.c.superseded_by.is_(None)
"""Whether no edit has taken the message out of the conversation."""


def of_session(guard: Guard, *wanted: Any) -> Select[Any]:
    """Return a selection of the messages of `session`, empty unless that is in scope."""
    return (
        select(*wanted)
        .select_from(messages)
        .join(chat_sessions, chat_sessions.c.id == messages.c.chat_session_id)
        .where(
            messages.c.chat_session_id == bindparam("session", type_=BigInteger),
            guard.owned(chat_sessions.c.user_id),
        )
    )


def read_message(key_ring: KeyRing, row: Row) -> Message:
    """Open a message.

    Raises:
        DecryptionError: Its body was not written for its place.
    """
    context = body_context(row["chat_session_id"], row["role"])
    return Message(
        id=row["id"],
        role=row["role"],
        model=row["model"],
        tokens_in=row["tokens_in"],
        tokens_out=row["tokens_out"],
        run_id=row["run_id"] and plain_uuid(row["run_id"]),
        status=row["status"],
        created_at=row["created_at"],
        superseded_by=row["superseded_by"] and plain_uuid(row["superseded_by"]),
        **key_ring.decrypt_json(row["body"], context=context),
    )


async def read_messages(key_ring: KeyRing, rows: Sequence[Row]) -> list[Message]:
    """Open messages, apart from the event loop when there is much in them.

    Raises:
        DecryptionError: A body was not written for its place.
    """
    size = sum(len(row["body"]) for row in rows)
    return await apart_if_large(size, lambda: [read_message(key_ring, row) for row in rows])


def body_context(session_row_id: int, role: str) -> str:
    """Return what binds the body of a message to its place."""
    return f"messages.body/{session_row_id}/{role}"
