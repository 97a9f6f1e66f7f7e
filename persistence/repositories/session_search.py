"""The user's conversations one message after the other, the latest first, to be looked through.

What people said is encrypted, and nothing of its words is stored beside it: whoever looks for words
opens message by message.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Select, and_, bindparam, func, literal_column, select, tuple_
from sqlalchemy.types import BigInteger, DateTime

from persistence.access import Guard, ScopedStatement
from persistence.conversation_records import ChatSession, Role
from persistence.encryption import KeyRing
from persistence.models import chat_sessions, messages
from persistence.repositories.base import Repository
from persistence.repositories.message_rows import STANDS, body_context
from persistence.repositories.sessions import read_session
from persistence.transaction import Row


@dataclass(frozen=True, kw_only=True)
class SearchPosition:
    """A message among all of the user's; those of the session with the latest activity go first."""

    updated_at: datetime
    """Of its session."""
    session_row_id: int
    message_id: int
    """0 stands behind the session's messages."""


@dataclass(frozen=True, kw_only=True)
class FoundMessage:
    """A message that was opened."""

    id: int
    role: Role
    content: str = field(repr=False)
    created_at: datetime


@dataclass(frozen=True)
class SealedMessage:
    """A message and its session, both still encrypted; or a session that has no message."""

    _row: Row = field(repr=False)
    _key_ring: KeyRing

    @property
    def position(self) -> SearchPosition:
        """Where it stands."""
        row = self._row
        return SearchPosition(
            updated_at=row["updated_at"],
            session_row_id=row["id"],
            message_id=row["message_id"] or 0,
        )

    def open_session(self) -> ChatSession:
        """Decrypt the session.

        Raises:
            DecryptionError: What it holds was not written for its user.
        """
        return read_session(self._key_ring, self._row)

    def open_message(self) -> FoundMessage | None:
        """Decrypt the message, if there is one.

        Raises:
            DecryptionError: Its body was not written for its place.
        """
        row = self._row
        if row["message_id"] is None:
            return None
        context = body_context(row["id"], row["role"])
        return FoundMessage(
            id=row["message_id"],
            role=row["role"],
            content=self._key_ring.decrypt_json(row["body"], context=context)["content"],
            created_at=row["said_at"],
        )


BATCH_BYTES = 4 * 1024 * 1024
"""A message may hold a long text, and a batch of them would fill the memory."""


def _build_select(guard: Guard) -> Select[tuple[object, ...]]:
    return (
        select(
            chat_sessions,
            messages.c.id.label("message_id"),
            messages.c.role,
            messages.c.body,
            messages.c.created_at.label("said_at"),
        )
        .select_from(chat_sessions)
        .outerjoin(messages, and_(messages.c.chat_session_id == chat_sessions.c.id, STANDS))
        .where(guard.mine(chat_sessions.c.user_id))
        # The order of an index and, within a session, of another one: nothing is sorted as a whole.
        .order_by(
            chat_sessions.c.updated_at.desc(), chat_sessions.c.id.desc(), messages.c.id.desc()
        )
        .limit(bindparam("limit"))
    )


def _cut(batch: Select[tuple[object, ...]]) -> Select[tuple[object, ...]]:
    """Leave out what makes a batch too large, but for its first message."""
    rows = batch.subquery("rows")
    place = func.row_number().over().label("place")
    size = func.coalesce(func.octet_length(rows.c.body), literal_column("0"))
    # In the order in which the rows come, which is theirs already.
    total = func.sum(size).over(rows=(None, 0)).label("total")
    sized = select(rows, place, total).subquery("sized")
    return (
        select(*(sized.c[column.name] for column in rows.c))
        .where(
            (sized.c.place == literal_column("1"))
            | (sized.c.total <= literal_column(str(BATCH_BYTES)))
        )
        .order_by(sized.c.place)
    )


_LATEST = ScopedStatement(lambda guard: _cut(_build_select(guard)))


def _build_after(guard: Guard) -> Select[tuple[object, ...]]:
    session = tuple_(chat_sessions.c.updated_at, chat_sessions.c.id)
    last_session = tuple_(
        bindparam("updated_at", type_=DateTime(timezone=True)),
        bindparam("session", type_=BigInteger),
    )
    is_same = chat_sessions.c.id == bindparam("session", type_=BigInteger)
    place = func.coalesce(messages.c.id, literal_column("0"))
    return _cut(
        _build_select(guard).where(
            session <= last_session,
            ~is_same | (place < bindparam("message", type_=BigInteger)),
        )
    )


_AFTER = ScopedStatement(_build_after)


class SessionSearchRepository(Repository):
    """What the user said and was answered."""

    async def next(self, position: SearchPosition | None, *, limit: int) -> Sequence[SealedMessage]:
        """Return the messages that come after a position, or the first ones; none at the end.

        The messages of a session stand together, and a session without messages is there once.
        """
        if position is None:
            rows = await self._all(_LATEST.under(self._scope), {"limit": limit})
        else:
            parameters = {
                "updated_at": position.updated_at,
                "session": position.session_row_id,
                "message": position.message_id,
                "limit": limit,
            }
            rows = await self._all(_AFTER.under(self._scope), parameters)
        return [SealedMessage(row, self._key_ring) for row in rows]
