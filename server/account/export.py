"""What a user takes along: which files, and what is in them."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from persistence.access import AccessScope
from persistence.account_records import User
from persistence.authorization_records import McpAuthorization
from persistence.blobs import BlobStore
from persistence.conversation_records import ChatSession, Message, StoredImage
from persistence.database import Database
from persistence.errors import DecryptionError, NotFound
from persistence.ingest_records import IngestRun
from persistence.large_values import apart_if_large
from persistence.records import Document
from server.account.archive import Entry
from server.account.exported_contents import describe_content, export_contents
from server.account.file_names import safe_file_name

PAGE = 100
RUNS_PAGE = 10
"""Runs come with what their tools answered."""
README = """What YouWorker keeps of you, as it was when you asked for it.

account.json      your account and how much is in it
api_keys.json     your API keys, without their texts, which nobody keeps
groups.json       the groups that you are in, and your role there
authorizations.json  where tool servers may be used in your name, without what lets anybody in
sessions/         your conversations, a file each: messages with sources, tool events and images,
                  the runs that answered them, what their tools were asked and answered, and what
                  people were asked about that, or by the tools' servers; a message with
                  superseded_by was edited, or stood after one that was
tool_contents/    pictures, sounds and files that tools have answered with, each in a folder named
                  by its id; the runs say which call has brought it
model_calls.json  what was asked of models for you, in tokens; also for conversations that are gone
ingest_runs.json  what you gave to be made searchable and what became of it, as long as that is kept
documents.json    your documents: titles, tags, where each is from, and the name of its original in
                  this archive
documents/        the originals, byte for byte, each in a folder named by the document's id; where
                  a file system could not take the name, parts of it are replaced by _
left_out.json     only if something was deleted or could not be read while this was made: what

Times are in UTC. What others share with you is theirs and not in here.
"""

_INTERNAL = frozenset(
    {"thread_id", "user_id", "owner_id", "blob", "session_row_id", "request_id", "may_answer"}
)
"""What only this installation can make sense of."""
_OF_WORK = frozenset(
    {"run_id", "attempt", "crashes", "lane", "job_id", "changed", "is_settling", "ends_as"}
)
"""What only those need who work on a file."""


class AccountExport:
    """The files of one export; they are read while they are sent, and no more than one at a time.

    No database connection is held while the reader takes its time.
    """

    def __init__(self, database: Database, blobs: BlobStore, user: User) -> None:
        self._database = database
        self._blobs = blobs
        self._user = user
        self._scope = AccessScope(user_id=user.id)
        self._made_at = datetime.now(UTC)
        self._left_out: list[dict[str, Any]] = []

    async def entries(self) -> AsyncIterator[Entry]:
        """The files in the order of the archive.

        Raises:
            PersistenceError: The database broke off; an archive without its end is not valid.
        """
        yield self._entry("README.txt", [README.encode()])
        for entry in await self._account():
            yield entry
        async for entry in self._sessions():
            yield entry
        calls = _json_list(self._model_calls())
        yield Entry(name="model_calls.json", modified=self._made_at, content=calls)
        given = _list_of(self._ingest_run(run) async for run in self._ingest_runs())
        yield Entry(name="ingest_runs.json", modified=self._made_at, content=given)
        async for entry in export_contents(self._database, self._scope, self._leave_out):
            yield entry
        async for entry in self._documents():
            yield entry
        if self._left_out:
            yield self._entry("left_out.json", [_json(self._left_out)])

    async def _account(self) -> list[Entry]:
        async with self._database.unit_of_work(self._scope) as uow:
            counts = await uow.account.counts()
            keys = (await uow.api_keys.list(self._user.id, limit=counts.api_keys)).items
            groups = (await uow.groups.list(limit=counts.groups)).items
            granted = await uow.mcp_authorizations.of_user(self._user.id)
        contents = {
            "account.json": {**_shown(self._user), "counts": asdict(counts)},
            "api_keys.json": [_shown(key) for key in keys],
            "groups.json": [_shown(group) for group in groups],
            "authorizations.json": [_authorization(each) for each in granted],
        }
        return [self._entry(name, [_json(content)]) for name, content in contents.items()]

    async def _sessions(self) -> AsyncIterator[Entry]:
        last, number = 0, 0
        while True:
            async with self._database.unit_of_work(self._scope) as uow:
                sessions = await uow.sessions.after(last, limit=PAGE)
            for session in sessions:
                number += 1
                name = f"sessions/{number}.json"
                content = self._session(session)
                yield Entry(name=name, modified=session.updated_at, content=content)
            if len(sessions) < PAGE:
                return
            last = sessions[-1].id

    async def _session(self, session: ChatSession) -> AsyncGenerator[bytes, None]:
        yield b'{"session": ' + _json(_shown(session)) + b',\n"messages": '
        messages = (self._message(session, each) async for each in self._messages(session))
        async for piece in _list_of(messages):
            yield piece
        yield b',\n"runs": '
        async for piece in _json_list(self._runs(session)):
            yield piece
        yield b"}\n"
        async with self._database.unit_of_work(self._scope) as uow:
            try:
                await uow.sessions.get(session.session_id)
            except NotFound:
                self._leave_out("session", session.session_id, "deleted meanwhile")

    async def _messages(self, session: ChatSession) -> AsyncIterator[Message]:
        last = 0
        while True:
            async with self._database.unit_of_work(self._scope) as uow:
                messages = await uow.messages.after(session.id, last, limit=PAGE)
            for message in messages:
                yield message
            if len(messages) < PAGE:
                return
            last = messages[-1].id

    async def _message(self, session: ChatSession, message: Message) -> AsyncGenerator[bytes, None]:
        shown = _shown(message)
        if not message.images:
            yield _json(shown)
            return
        del shown["images"]
        yield _json(shown).removesuffix(b"\n}") + b',\n  "images": '
        async for piece in _list_of(self._images(session, message)):
            yield piece
        yield b"\n}"

    async def _images(
        self, session: ChatSession, message: Message
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        for number, facts in enumerate(message.images, 1):
            image = await self._image(session, message, number)
            if image is None:
                yield _each([_json(facts)])
            else:
                yield _each([await apart_if_large(len(image.data), partial(_image_json, image))])

    async def _image(
        self, session: ChatSession, message: Message, number: int
    ) -> StoredImage | None:
        try:
            async with self._database.unit_of_work(self._scope) as uow:
                return await uow.message_images.get(session.id, message.id, number)
        except NotFound:  # with its session, of which that is noted
            return None
        except DecryptionError:
            self._leave_out("image", f"{message.id}/{number}", "cannot be read")
            return None

    async def _runs(self, session: ChatSession) -> AsyncIterator[dict[str, Any]]:
        last: UUID | None = None
        while True:
            async with self._database.unit_of_work(self._scope) as uow:
                runs = await uow.runs.after(session.id, last, limit=RUNS_PAGE)
                tool_runs = await uow.tool_runs.of_runs([run.id for run in runs])
                approvals = await uow.approvals.of_runs([run.id for run in runs])
                questions = await uow.questions.of_runs([run.id for run in runs])
                contents = await uow.tool_contents.of_runs([run.id for run in runs])
            for run in runs:
                called = [_shown(each) for each in tool_runs if each.run_id == run.id]
                asked = [_shown(each) for each in approvals if each.run_id == run.id]
                told = [_shown(each) for each in questions if each.run_id == run.id]
                brought = [describe_content(each) for each in contents if each.run_id == run.id]
                yield {
                    **_shown(run),
                    "tool_runs": called,
                    "approvals": asked,
                    "questions": told,
                    "tool_contents": brought,
                }
            if len(runs) < RUNS_PAGE:
                return
            last = runs[-1].id

    async def _model_calls(self) -> AsyncIterator[dict[str, Any]]:
        last = 0
        while True:
            async with self._database.unit_of_work(self._scope) as uow:
                calls = await uow.model_calls.after(last, limit=PAGE)
            for call in calls:
                yield _shown(call)
            if len(calls) < PAGE:
                return
            last = calls[-1].id

    async def _ingest_runs(self) -> AsyncIterator[IngestRun]:
        last: UUID | None = None
        while True:
            async with self._database.unit_of_work(self._scope) as uow:
                runs = await uow.ingest_reports.runs_after(last, limit=PAGE)
            for run in runs:
                yield run
            if len(runs) < PAGE:
                return
            last = runs[-1].id

    async def _ingest_run(self, run: IngestRun) -> AsyncGenerator[bytes, None]:
        yield _json(_shown(run)).removesuffix(b"\n}") + b',\n  "files": '
        async for piece in _json_list(self._ingest_files(run)):
            yield piece
        yield b"\n}"

    async def _ingest_files(self, run: IngestRun) -> AsyncIterator[dict[str, Any]]:
        offset = 0
        while True:
            async with self._database.unit_of_work(self._scope) as uow:
                files = await uow.ingest_reports.files(run.id, limit=PAGE, offset=offset)
            for file in files:
                yield {key: value for key, value in _shown(file).items() if key not in _OF_WORK}
            if len(files) < PAGE:
                return
            offset += PAGE

    async def _documents(self) -> AsyncIterator[Entry]:
        listed: set[int] = set()
        yield self._listing(listed)
        async for document in self._own_documents():
            pieces = self._blobs.stream(document.blob)
            try:
                first = await anext(pieces)
            except NotFound:
                continue
            except DecryptionError:
                self._leave_out("document", document.id, "its original cannot be read")
                listed.discard(document.id)
                continue
            listed.discard(document.id)
            content = self._original(document, first, pieces)
            yield Entry(name=_path(document), modified=document.created_at, content=content)
        for document_id in sorted(listed):
            self._leave_out("document", document_id, "deleted meanwhile")

    def _listing(self, listed: set[int]) -> Entry:
        """The file that tells of all documents; their ids are put into `listed` as it is read."""

        async def describe() -> AsyncIterator[dict[str, Any]]:
            async for document in self._own_documents():
                listed.add(document.id)
                yield {**_shown(document), "path": _path(document)}

        content = _json_list(describe())
        return Entry(name="documents.json", modified=self._made_at, content=content)

    async def _original(
        self, document: Document, first: bytes, rest: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        async with aclosing(rest):
            yield first
            try:
                async for piece in rest:
                    yield piece
            except DecryptionError:
                self._leave_out("document", document.id, "the end of its original cannot be read")

    async def _own_documents(self) -> AsyncIterator[Document]:
        last = 0
        while True:
            async with self._database.unit_of_work(self._scope) as uow:
                documents = await uow.documents.own_after(last, limit=PAGE)
            for document in documents:
                yield document
            if len(documents) < PAGE:
                return
            last = documents[-1].id

    def _entry(self, name: str, content: Iterable[bytes]) -> Entry:
        return Entry(name=name, modified=self._made_at, content=_each(content))

    def _leave_out(self, kind: str, identifier: int | str, reason: str) -> None:
        self._left_out.append({"kind": kind, "id": identifier, "reason": reason})


def _path(document: Document) -> str:
    return f"documents/{document.id}/{safe_file_name(document.filename)}"


def _authorization(granted: McpAuthorization) -> dict[str, Any]:
    return {
        "server": granted.body["server_name"],
        "status": granted.status,
        "scopes": granted.body["scopes"],
        "granted_at": granted.granted_at,
    }


def _shown(record: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(record).items() if name not in _INTERNAL}


def _image_json(image: StoredImage) -> bytes:
    return _json(image.as_sent())


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)
    except orjson.JSONEncodeError:  # lone surrogates and integers beyond 64 bit
        return json.dumps(value, default=str, indent=2).encode("ascii")


def _json_list(items: AsyncIterator[dict[str, Any]]) -> AsyncGenerator[bytes, None]:
    return _list_of(_each([_json(item)]) async for item in items)


async def _list_of(
    items: AsyncIterator[AsyncGenerator[bytes, None]],
) -> AsyncGenerator[bytes, None]:
    separator = b"["
    async for pieces in items:
        yield separator
        async for piece in pieces:
            yield piece
        separator = b",\n"
    yield b"[]" if separator == b"[" else b"]"


async def _each(pieces: Iterable[bytes]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece
