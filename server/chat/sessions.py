"""Sessions: listed, read, searched, renamed, forked and deleted."""

import asyncio
import re
from dataclasses import dataclass
from uuid import uuid4

from persistence.conversation_records import ChatSession, Message, StoredImage
from persistence.database import Database
from persistence.errors import Conflict, NotFound
from persistence.records import Page
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry
from server.chat.search import SearchResult, SessionSearch
from server.erasure.sessions import SessionEraser
from server.errors import (
    ImageNotFound,
    MessageNotFound,
    RunConflict,
    SessionExists,
    SessionNotFound,
)
from server.runs.memory import SessionMemory
from server.security.principal import Origin, Principal

_NUMBERED = re.compile(r"(?s)(.*) \((\d{1,4})\)")


@dataclass(frozen=True, kw_only=True)
class HistoryPage:
    """Which part of a session's messages to read."""

    limit: int
    offset: int = 0
    newest_first: bool = False
    before: int | None = None
    """The message before which the page begins."""
    superseded_too: bool = False
    """Whether messages are shown that an edit has taken out of the conversation."""


@dataclass(frozen=True, kw_only=True)
class SessionHistory:
    """A session and a page of its messages."""

    session: ChatSession
    messages: Page[Message]


class SessionService:
    """Sessions, for one principal at a time."""

    def __init__(self, *, database: Database, eraser: SessionEraser, memory: SessionMemory) -> None:
        self._database = database
        self._eraser = eraser
        self._memory = memory
        self._search = SessionSearch(database)

    async def list(self, principal: Principal, *, limit: int, offset: int) -> Page[ChatSession]:
        """The principal's sessions, the newest first."""
        async with self._database.unit_of_work(principal.scope) as uow:
            return await uow.sessions.list(limit=limit, offset=offset)

    async def search(
        self, principal: Principal, query: str, *, limit: int, cursor: str | None
    ) -> SearchResult:
        """The principal's sessions in which all words of the query are said, the newest first.

        Raises:
            BadRequest: There is no word in the query, or the cursor is none.
            Unavailable: Too many others are searching.
        """
        return await self._search.find(principal, query, limit=limit, cursor=cursor)

    async def read(
        self, principal: Principal, session_id: str, page: HistoryPage
    ) -> SessionHistory:
        """A session with a page of its messages.

        Raises:
            SessionNotFound: It does not exist for this principal.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            session = await _find(uow, session_id)
            messages = await uow.messages.list(
                session.id,
                limit=page.limit,
                offset=page.offset,
                newest_first=page.newest_first,
                before=page.before,
                superseded_too=page.superseded_too,
            )
        return SessionHistory(session=session, messages=messages)

    async def read_image(
        self, principal: Principal, session_id: str, message_id: int, number: int
    ) -> StoredImage:
        """An image of a message; the first one is number 1.

        Raises:
            SessionNotFound, MessageNotFound, ImageNotFound: It does not exist for this principal.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            session = await _find(uow, session_id)
            try:
                image = await uow.message_images.get(session.id, message_id, number)
            except NotFound as exc:
                raise MessageNotFound from exc
        if image is None:
            raise ImageNotFound
        return image

    async def rename(
        self, principal: Principal, origin: Origin, session_id: str, title: str
    ) -> ChatSession:
        """Gives a session another title.

        Raises:
            SessionNotFound: It does not exist for this principal.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                await uow.sessions.rename(session_id, title)
            except NotFound as exc:
                raise SessionNotFound from exc
            session = await _find(uow, session_id)
            resource = ("session", str(session.thread_id))
            await uow.audit.record(
                audit_entry("session.rename", principal, origin, resource=resource)
            )
            await uow.commit()
        return session

    async def delete(self, principal: Principal, origin: Origin, session_id: str) -> None:
        """Removes a session with its messages, runs, tool runs and checkpoints.

        Raises:
            SessionNotFound: It does not exist for this principal.
            RunConflict: It is answering a message.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            session = await _find(uow, session_id, lock=True)
            if not await self._eraser.erase(uow, [session]):
                raise RunConflict
            resource = ("session", str(session.thread_id))
            await uow.audit.record(
                audit_entry("session.delete", principal, origin, resource=resource)
            )
            await uow.commit()

    async def fork(
        self,
        principal: Principal,
        origin: Origin,
        session_id: str,
        *,
        message_id: int,
        fork_id: str | None = None,
    ) -> ChatSession:
        """Makes a session of what was said up to a message, this one included.

        The two have nothing in common: what becomes of one is nothing to the other.

        Args:
            principal: Who asks.
            origin: Where the request came from.
            session_id: The session, which may be answering a message meanwhile.
            message_id: The message; one that was superseded forks the conversation that it was in.
            fork_id: The name of the new session, made here if there is none.

        Raises:
            SessionNotFound: It does not exist for this principal.
            MessageNotFound: It is not one of the session's.
            SessionExists: The principal has one of the new name.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            session = await _find(uow, session_id)
            await _find_message(uow, session, message_id)
            try:
                fork = await uow.sessions.create(
                    fork_id or uuid4().hex,
                    title=session.title and _number(session.title),
                    title_by="user" if session.title_by == "user" else "model",
                )
            except Conflict as exc:
                raise SessionExists from exc
            await uow.commit()
        # The row is there before its checkpoints: these are never out of everybody's reach.
        try:
            return await self._fill(principal, origin, session, fork, message_id)
        except BaseException:
            await asyncio.shield(self._discard(principal, fork))
            raise

    async def _fill(
        self,
        principal: Principal,
        origin: Origin,
        session: ChatSession,
        fork: ChatSession,
        message_id: int,
    ) -> ChatSession:
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                turns = await uow.turns.copy_line(session.id, until=message_id, to=fork.id)
                await self._memory.carry_over(uow, session, fork, until=message_id, turns=turns)
                # The original may have been deleted while it was read.
                await _find_message(uow, session, message_id)
                filled = await uow.sessions.get(fork.session_id)
            except NotFound as exc:
                raise SessionNotFound from exc
            resource = ("session", str(fork.thread_id))
            await uow.audit.record(
                audit_entry(
                    "session.fork",
                    principal,
                    origin,
                    resource=resource,
                    details={"original": str(session.thread_id), "message_id": message_id},
                )
            )
            await uow.commit()
        return filled

    async def _discard(self, principal: Principal, fork: ChatSession) -> None:
        async with self._database.unit_of_work(principal.scope) as uow:
            await self._eraser.erase(uow, [fork])
            await uow.commit()


async def _find(uow: UnitOfWork, session_id: str, *, lock: bool = False) -> ChatSession:
    try:
        return await uow.sessions.get(session_id, lock=lock)
    except NotFound as exc:
        raise SessionNotFound from exc


async def _find_message(uow: UnitOfWork, session: ChatSession, message_id: int) -> Message:
    try:
        return await uow.messages.get(session.id, message_id)
    except NotFound as exc:
        raise MessageNotFound from exc


def _number(title: str) -> str:
    """The title of a fork, which tells it from the original in a list."""
    numbered = _NUMBERED.fullmatch(title)
    if numbered is None:
        return f"{title} (2)"
    return f"{numbered[1]} ({int(numbered[2]) + 1})"
