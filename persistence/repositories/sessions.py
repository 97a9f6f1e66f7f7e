"""The conversations."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.types import BigInteger

from persistence.access import Guard, ScopedStatement
from persistence.conversation_records import ChatSession, TitleOrigin
from persistence.encryption import KeyRing
from persistence.errors import AccessDenied, Conflict, NotFound
from persistence.identifiers import new_uuid7, plain_uuid
from persistence.models import chat_sessions
from persistence.records import Page
from persistence.repositories.base import Repository
from persistence.statements import Statement
from persistence.transaction import Row


def _named(guard: Guard) -> ColumnElement[bool]:
    """A client's name for a session means something only together with the user."""
    mine = guard.mine(chat_sessions.c.user_id)
    return mine & (chat_sessions.c.session_hash == bindparam("hash"))


_GET = ScopedStatement(lambda guard: select(chat_sessions).where(_named(guard)))
_GET_LOCKED = ScopedStatement(
    lambda guard: select(chat_sessions).where(_named(guard)).with_for_update()
)
_INSERT = Statement(
    insert(chat_sessions)
    .on_conflict_do_nothing(index_elements=["user_id", "session_hash"])
    .returning(chat_sessions),
    columns=("user_id", "session_hash", "session_id", "thread_id", "title", "title_by"),
)
_RENAME = ScopedStatement(
    lambda guard: (
        update(chat_sessions)
        .where(_named(guard))
        .values(title=bindparam("new_title"), title_by=literal_column("'user'"))
    )
)
# No activity of the user's, so that the session keeps its place in the list.
_IMPROVE_TITLE = ScopedStatement(
    lambda guard: (
        update(chat_sessions)
        .where(
            chat_sessions.c.id == bindparam("session"),
            chat_sessions.c.title_by == literal_column("'first_line'"),
            guard.owned(chat_sessions.c.user_id),
        )
        .values(title=bindparam("new_title"), title_by=literal_column("'model'"))
    )
)
_DELETE = ScopedStatement(
    lambda guard: delete(chat_sessions).where(
        chat_sessions.c.id == bindparam("ids", type_=ARRAY(BigInteger)).any_(),
        guard.mine(chat_sessions.c.user_id),
    )
)
_LIST = ScopedStatement(
    lambda guard: (
        select(chat_sessions)
        .where(guard.owned(chat_sessions.c.user_id))
        .order_by(chat_sessions.c.updated_at.desc(), chat_sessions.c.id.desc())
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )
)
_COUNT = ScopedStatement(
    lambda guard: (
        select(func.count()).select_from(chat_sessions).where(guard.owned(chat_sessions.c.user_id))
    )
)


def _build_after(guard: Guard) -> Select[Any]:
    return (
        select(chat_sessions)
        .where(guard.mine(chat_sessions.c.user_id), chat_sessions.c.id > bindparam("after"))
        .order_by(chat_sessions.c.id)
        .limit(bindparam("limit"))
    )


_AFTER = ScopedStatement(_build_after)
_AFTER_LOCKED = ScopedStatement(lambda guard: _build_after(guard).with_for_update())


class SessionRepository(Repository):
    """A user's conversations, found by the names that the client gave them."""

    async def open(self, session_id: str, *, title: str | None = None) -> ChatSession:
        """Return the user's session of that name, and make it if there is none.

        Args:
            session_id: The name that the client chose.
            title: For a session that is made now.

        Raises:
            AccessDenied: The scope is the system, which has no sessions.
        """
        if self._scope.sees_all:
            raise AccessDenied("the system has no sessions of its own")
        parameters = {"hash": self._hash(session_id)}
        row = await self._first(_GET.under(self._scope), parameters)
        if row is None:
            row = await self._insert(session_id, title=title, title_by="first_line")
            row = row or await self._first(
                _GET.under(self._scope), parameters
            )  # another request made it meanwhile
        if row is None:
            raise NotFound("the session was deleted while it was opened")
        return self._read(row, session_id=session_id)

    async def create(
        self, session_id: str, *, title: str | None, title_by: TitleOrigin
    ) -> ChatSession:
        """Make a session of that name.

        Raises:
            Conflict: The user has one already.
        """
        row = await self._insert(session_id, title=title, title_by=title_by)
        if row is None:
            raise Conflict("the user has a session of that name")
        return self._read(row, session_id=session_id)

    async def get(self, session_id: str, *, lock: bool = False) -> ChatSession:
        """Return the user's session of that name.

        Args:
            session_id: The name that the client chose.
            lock: Keep runs from starting in it until the unit of work ends.

        Raises:
            NotFound: The user has none of that name.
        """
        row = await self._first(
            (_GET_LOCKED if lock else _GET).under(self._scope), {"hash": self._hash(session_id)}
        )
        if row is None:
            raise NotFound("no such session")
        return self._read(row, session_id=session_id)

    async def list(self, *, limit: int = 50, offset: int = 0) -> Page[ChatSession]:
        """Return sessions, those with the latest activity first."""
        return await self._page(
            _LIST.under(self._scope),
            _COUNT.under(self._scope),
            {},
            limit=limit,
            offset=offset,
            read=self._read,
        )

    async def rename(self, session_id: str, title: str | None) -> None:
        """Give the session a title of its user's, or take it away.

        Raises:
            NotFound: The user has no session of that name.
        """
        parameters = {"hash": self._hash(session_id), "new_title": self._seal_title(title)}
        if not await self._change(_RENAME.under(self._scope), parameters):
            raise NotFound("no such session")

    async def improve_title(self, row_id: int, title: str) -> bool:
        """Put a model's title in the place of a first line; False if it is none any more."""
        parameters = {"session": row_id, "new_title": self._seal_title(title)}
        return bool(await self._change(_IMPROVE_TITLE.under(self._scope), parameters))

    async def after(self, row_id: int, *, limit: int, lock: bool = False) -> Sequence[ChatSession]:
        """Return the user's sessions that were begun after the one of that row, oldest first.

        Unlike pages with an offset, these miss no session and repeat none while others change.

        Args:
            row_id: The row of the last session that is known; 0 for none.
            limit: How many at most.
            lock: Keep runs from starting in them until the unit of work ends.
        """
        statement = _AFTER_LOCKED if lock else _AFTER
        rows = await self._all(statement.under(self._scope), {"after": row_id, "limit": limit})
        return [self._read(row) for row in rows]

    async def delete(self, row_ids: Collection[int]) -> int:
        """Delete the user's sessions of these rows, their messages and runs; return how many.

        Their checkpoints must be gone by then.
        """
        return await self._change(_DELETE.under(self._scope), {"ids": row_ids})

    async def _insert(
        self, session_id: str, *, title: str | None, title_by: TitleOrigin
    ) -> Row | None:
        """Return no row if there is one of that name."""
        context = session_id_context(self._scope.user_id)
        return await self._first(
            _INSERT,
            {
                "user_id": self._scope.user_id,
                "session_hash": self._hash(session_id),
                "session_id": self._key_ring.encrypt_json(session_id, context=context),
                "thread_id": new_uuid7(),
                "title": self._seal_title(title),
                "title_by": title_by,
            },
        )

    def _hash(self, session_id: str) -> str:
        return self._key_ring.keyed_hash(f"{session_id_context(self._scope.user_id)}/{session_id}")

    def _seal_title(self, title: str | None) -> bytes | None:
        if title is None:
            return None
        return self._key_ring.encrypt_json(title, context=_title_context(self._scope.user_id))

    def _read(self, row: Row, session_id: str | None = None) -> ChatSession:
        return read_session(self._key_ring, row, session_id=session_id)


def read_session(key_ring: KeyRing, row: Row, *, session_id: str | None = None) -> ChatSession:
    """Open a session.

    Args:
        key_ring: What its name and its title are encrypted with.
        row: Its row.
        session_id: Its name, if that is known.

    Raises:
        DecryptionError: What it holds was not written for its user.
    """
    user_id, title = row["user_id"], row["title"]
    if session_id is None:
        session_id = key_ring.decrypt_json(row["session_id"], context=session_id_context(user_id))
    if title is not None:
        title = key_ring.decrypt_json(title, context=_title_context(user_id))
    return ChatSession(
        id=row["id"],
        session_id=session_id,
        thread_id=plain_uuid(row["thread_id"]),
        user_id=user_id,
        title=title,
        title_by=row["title_by"],
        message_count=row["message_count"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def session_id_context(user_id: int) -> str:
    """Return the place to which the encrypted name of a session belongs."""
    return f"chat_sessions.session_id/{user_id}"


def _title_context(user_id: int) -> str:
    return f"chat_sessions.title/{user_id}"
