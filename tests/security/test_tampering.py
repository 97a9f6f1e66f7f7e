"""Stored values that somebody changed behind the product's back are refused, in every column."""

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypedDict
from uuid import UUID, uuid4

import asyncpg
import pytest
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import END, START, StateGraph

from persistence.access import AccessScope
from persistence.approval_records import ApprovalAnswer, NewApproval
from persistence.audit_chain import AuditChain
from persistence.audit_verification import verify_chain
from persistence.checkpoints import open_checkpointer
from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.errors import DecryptionError, EncryptionKeyError
from persistence.event_batches import EventBatch
from persistence.ingest_records import IngestFailure, IngestOrder, NewIngestFile
from persistence.lasting_keys import take_lasting_keys
from persistence.mcp_records import SeenTool
from persistence.question_records import NewQuestion, QuestionAnswer
from persistence.records import AuditEntry, AuditFilters
from persistence.rule_records import NewToolLimit, NewToolPolicy
from persistence.run_inputs import open_input
from persistence.run_records import NewToolRun, RunClaim
from persistence.token_columns import TOKEN_COLUMNS, TokenColumn
from persistence.tool_content_records import NewToolContent
from tests.fixtures.rows import SYSTEM, create_session, create_user, start_run

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PHRASE = "lilac elephant"
PLACE = "https://login.example.org"
"""Where the product is registered."""
UNREAD = {"chat_sessions.metadata"}
"""Columns that nothing reads yet."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A user with a row in every table."""

    database: Database
    dsn: str
    scope: AccessScope
    session: ChatSession
    run_id: UUID
    group_id: int
    server_id: int


def concatenate(state: list[str] | None, writes: list[list[str]]) -> list[str]:
    return [*(state or []), *(item for each in writes for item in each)]


class State(TypedDict):
    items: Annotated[list[str], DeltaChannel(concatenate)]
    note: str


def graph_on(saver: Any) -> Any:
    async def answer(_state: State) -> dict[str, Any]:
        return {"items": [PHRASE], "note": PHRASE}

    builder: Any = StateGraph(State)
    builder.add_node("answer", answer)
    builder.add_edge(START, "answer")
    builder.add_edge("answer", END)
    return builder.compile(checkpointer=saver)


async def fill(database: Database, dsn: str) -> Owner:
    """Make a user and put something into every column."""
    scope = AccessScope(user_id=(await create_user(database)).id)
    session = await create_session(database, scope)
    run = await start_run(database, scope, session)
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.api_keys.create(
            scope.user_id, name=PHRASE, key_hash=uuid4().hex, prefix="yw_", scopes=()
        )
        server_id = await fill_servers(uow, scope.user_id)
        await uow.commit()
    async with database.unit_of_work(scope) as uow:
        await uow.sessions.rename(session.session_id, PHRASE)
        shown = {"mime": "image/png", "data_b64": b64encode(PHRASE.encode()).decode()}
        await uow.messages.add(
            session.id, role="user", content=PHRASE, run_id=run.id, images=[shown]
        )
        call = NewToolRun(
            run_id=run.id,
            call_id="1",
            tool="a.tool",
            args={"said": PHRASE},
            result=PHRASE,
            status="end",
            latency_ms=1,
            started_at=NOW,
        )
        await uow.tool_runs.add_many([call])
        brought = NewToolContent(
            id=run.id,  # by which it is read below
            run_id=run.id,
            call_id="1",
            kind="resource",
            mime="text/plain",
            name=PHRASE,
            data=PHRASE.encode(),
        )
        claim = RunClaim(run_id=run.id, attempt=run.attempt, owner="this process")
        assert await uow.tool_contents.add(claim, brought, most=1, most_bytes=1_000)
        batch = EventBatch.of(run.id, 1, after=1, events=[("token", {"text": PHRASE})])
        await uow.run_events.append(batch)
        group = await uow.groups.create(f"{PHRASE} {uuid4()}", PHRASE)
        await uow.documents.create(
            title=PHRASE,
            filename=PHRASE,
            mime="text/plain",
            size_bytes=1,
            content_hash=uuid4().hex,
            blob=uuid4().hex,
        )
        refusal = IngestFailure(code="UNREADABLE_DOCUMENT", message=PHRASE)
        await uow.ingest_runs.create(
            IngestOrder(tags=(PHRASE,)),
            [NewIngestFile(kind="upload", name=PHRASE, refusal=refusal)],
        )
        await uow.tool_policies.create(
            NewToolPolicy(group_id=group.id, tool="a.*", verdict="deny", reason=PHRASE)
        )
        await uow.tool_limits.create(NewToolLimit(group_id=group.id, tool=PHRASE, max_seconds=1))
        asked = NewApproval(request_id="1", call_id="1", tool="a.tool", args={"said": PHRASE})
        [approval] = await uow.approvals.ask(run.id, [asked], expires_at=NOW + timedelta(1))
        refused = ApprovalAnswer(decision="refuse", reason=PHRASE)
        await uow.approvals.decide(run.id, {approval.id: refused}, now=NOW)
        wanted = NewQuestion(
            call_id="1", tool="a.tool", server="a", kind="form", message=PHRASE, schema={}
        )
        question = await uow.questions.ask(claim, wanted, expires_at=NOW + timedelta(1), most=1)
        assert question is not None
        given = QuestionAnswer(action="accept", content={"said": PHRASE})
        await uow.questions.answer(run.id, {question.id: given}, now=NOW)
        await fill_authorizations(uow, scope.user_id, server_id)
        entry = AuditEntry(action="a", resource_type="thing", actor_id=scope.user_id)
        await uow.audit.record(entry)
        await uow.commit()
    async with open_checkpointer(dsn, database.key_ring) as saver:
        config = {"configurable": {"thread_id": str(session.thread_id)}}
        await graph_on(saver).ainvoke({"items": [PHRASE]}, config)
    return Owner(
        database=database,
        dsn=dsn,
        scope=scope,
        session=session,
        run_id=run.id,
        group_id=group.id,
        server_id=server_id,
    )


async def fill_servers(uow: Any, user_id: int) -> int:
    name = f"server-{user_id}"
    entry = {"command": PHRASE}
    server = await uow.mcp_servers.create(name, source="api", config=entry, created_by=user_id)
    await uow.mcp_attempts.keep_client(server.id, PLACE, {"client_id": PHRASE})
    seen = SeenTool(name=PHRASE, fingerprint="1", definition={"description": PHRASE})
    await uow.mcp_tools.add(name, seen, held=False)
    [tool] = (await uow.mcp_tools.of_server(name)).values()
    await uow.mcp_tools.hold(tool, replace(seen, fingerprint="2"))
    return int(server.id)


async def fill_authorizations(uow: Any, user_id: int, server_id: int) -> None:
    granted = {"access_token": PHRASE}
    await uow.mcp_authorizations.keep(user_id, server_id, body=granted, expires_at=None)
    await uow.mcp_attempts.begin(
        str(user_id),
        user_id=user_id,
        server_id=server_id,
        login_id=None,
        body=granted,
        expires_at=NOW,
    )


def under_system(read: Callable[[Any, Owner], Awaitable[object]]) -> Callable[[Owner], Any]:
    async def reader(owner: Owner) -> object:
        async with owner.database.unit_of_work(SYSTEM) as uow:
            return await read(uow, owner)

    return reader


async def read_tools(uow: Any, owner: Owner) -> object:
    return await uow.mcp_tools.of_server(f"server-{owner.scope.user_id}")


def under_scope(read: Callable[[Any, Owner], Awaitable[object]]) -> Callable[[Owner], Any]:
    async def reader(owner: Owner) -> object:
        async with owner.database.unit_of_work(owner.scope) as uow:
            return await read(uow, owner)

    return reader


async def read_input(owner: Owner) -> object:
    connection = await asyncpg.connect(owner.dsn)
    token = await connection.fetchval("SELECT input FROM runs WHERE id = $1", owner.run_id)
    await connection.close()
    return open_input(owner.database.key_ring, owner.run_id, token)


async def read_images(owner: Owner) -> object:
    async with owner.database.unit_of_work(owner.scope) as uow:
        [message] = (await uow.messages.list(owner.session.id)).items
        return await uow.message_images.of_message(owner.session.id, message)


async def read_ingested_files(uow: Any, _owner: Owner) -> object:
    [run] = (await uow.ingest_runs.page()).items
    return await uow.ingest_runs.look(run.id)


async def read_thread(owner: Owner) -> object:
    config = {"configurable": {"thread_id": str(owner.session.thread_id)}}
    async with open_checkpointer(owner.dsn, owner.database.key_ring) as saver:
        return [state async for state in graph_on(saver).aget_state_history(config)]


async def read_trail(owner: Owner) -> object:
    """An entry that cannot be opened hides no others: it is shown without its body, and named."""
    async with owner.database.unit_of_work(SYSTEM) as uow:
        entries = await uow.audit.list(AuditFilters(actor_id=owner.scope.user_id))
    assert PHRASE not in str(entries)
    chain = AuditChain(owner.database, owner.database.key_ring)
    await chain.catch_up()
    report = await verify_chain(owner.database, owner.database.key_ring)
    if not report.is_whole:
        raise DecryptionError("the trail is broken")
    return entries


async def read_lasting_keys(owner: Owner) -> object:
    try:
        return await take_lasting_keys(owner.dsn, owner.database.key_ring, create=True)
    except EncryptionKeyError as exc:
        raise DecryptionError("the start is refused") from exc


READERS: dict[str, Callable[[Owner], Any]] = {
    "api_keys.name": under_scope(lambda uow, owner: uow.api_keys.list(owner.scope.user_id)),
    "groups.body": under_scope(lambda uow, owner: uow.groups.get(owner.group_id)),
    "documents.body": under_scope(lambda uow, _: uow.documents.list()),
    "ingest_runs.body": under_scope(lambda uow, _: uow.ingest_runs.page()),
    "ingest_files.body": under_scope(read_ingested_files),
    "ingest_files.error": under_scope(read_ingested_files),
    "chat_sessions.session_id": under_scope(lambda uow, _: uow.sessions.list()),
    "chat_sessions.title": under_scope(
        lambda uow, owner: uow.sessions.get(owner.session.session_id)
    ),
    "messages.body": under_scope(lambda uow, owner: uow.messages.list(owner.session.id)),
    "message_images.body": read_images,
    "runs.input": read_input,
    "run_events.body": under_scope(lambda uow, owner: uow.run_events.history(owner.run_id)),
    "tool_runs.body": under_scope(lambda uow, owner: uow.tool_runs.of_runs([owner.run_id])),
    "tool_contents.facts": under_scope(
        lambda uow, owner: uow.tool_contents.of_runs([owner.run_id])
    ),
    "tool_contents.body": under_scope(lambda uow, owner: uow.tool_contents.get(owner.run_id)),
    "tool_policies.body": under_scope(lambda uow, _: uow.tool_policies.list()),
    "tool_limits.body": under_scope(lambda uow, _: uow.tool_limits.list()),
    "mcp_servers.body": under_system(lambda uow, _: uow.mcp_servers.all()),
    "mcp_tools.body": under_system(read_tools),
    "mcp_tools.held_body": under_system(read_tools),
    "mcp_authorizations.body": under_scope(
        lambda uow, owner: uow.mcp_authorizations.of_user(owner.scope.user_id)
    ),
    # What is taken is given back where nothing is committed.
    "mcp_authorization_attempts.body": under_system(
        lambda uow, owner: uow.mcp_attempts.take(str(owner.scope.user_id))
    ),
    "mcp_clients.body": under_system(
        lambda uow, owner: uow.mcp_attempts.client(owner.server_id, PLACE)
    ),
    "approvals.body": under_scope(lambda uow, owner: uow.approvals.of_run(owner.run_id)),
    "approvals.decision": under_scope(lambda uow, owner: uow.approvals.of_run(owner.run_id)),
    "questions.body": under_scope(lambda uow, owner: uow.questions.of_runs([owner.run_id])),
    "questions.answer": under_scope(lambda uow, owner: uow.questions.of_runs([owner.run_id])),
    "audit_log.body": read_trail,
    "checkpoints.metadata": read_thread,
    "checkpoint_blobs.blob": read_thread,
    "checkpoint_writes.blob": read_thread,
    "wrapped_keys.token": read_lasting_keys,
}
PLACES = [place for place in TOKEN_COLUMNS if str(place) not in UNREAD]


@dataclass(frozen=True, kw_only=True)
class Tampering:
    """Writes to one column behind the product's back."""

    connection: Any
    place: TokenColumn

    async def tokens(self, owner: Owner) -> list[bytes]:
        """The owner's tokens in the column."""
        held = f"{self.place.column} ->> '{self.place.json_field}'"
        value = f"({held})::bytea" if self.place.json_field else self.place.column
        rows = await self.connection.fetch(
            f"SELECT {value} AS token FROM {self.place.table} WHERE {self._of(owner)}"
        )
        return [row["token"] for row in rows]

    async def write(self, owner: Owner, token: bytes) -> None:
        """Put a token into all of the owner's rows."""
        value = "jsonb_build_object('fernet', convert_from($1, 'UTF8'))"
        value = value if self.place.json_field else "$1"
        await self.connection.execute(
            f"UPDATE {self.place.table} SET {self.place.column} = {value} WHERE {self._of(owner)}",
            token,
        )

    def _of(self, owner: Owner) -> str:
        if self.place.table.startswith("checkpoint"):
            return f"thread_id = '{owner.session.thread_id}'"
        user = owner.scope.user_id
        sessions = f"(SELECT id FROM chat_sessions WHERE user_id = {user})"
        messages = f"SELECT id FROM messages WHERE chat_session_id IN {sessions}"
        conditions = {
            "documents": f"owner_id = {user}",
            "groups": f"id = {owner.group_id}",
            "tool_policies": f"group_id = {owner.group_id}",
            "tool_limits": f"group_id = {owner.group_id}",
            "mcp_servers": f"created_by = {user}",
            "mcp_clients": f"server_id = {owner.server_id}",
            "mcp_tools": f"server_name = 'server-{user}'",
            "messages": f"chat_session_id IN {sessions}",
            "message_images": f"message_id IN ({messages})",
            "runs": f"id = '{owner.run_id}'",
            "run_events": f"run_id = '{owner.run_id}'",
            "tool_runs": f"run_id = '{owner.run_id}'",
            "tool_contents": f"run_id = '{owner.run_id}'",
            "audit_log": f"actor_id = {user}",
            "wrapped_keys": "true",
        }
        return conditions.get(self.place.table, f"user_id = {user}")


@pytest.fixture
async def owner(database: Database, database_url: str) -> Owner:
    return await fill(database, database_url)


@pytest.fixture
async def neighbour(database: Database, database_url: str) -> Owner:
    return await fill(database, database_url)


@pytest.fixture(params=PLACES, ids=str)
async def tampering(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Tampering]:
    # Whoever owns the tables may do all that the product's own role may not.
    connection = await asyncpg.connect(database_url, server_settings={"youworker.new_keys": "on"})
    yield Tampering(connection=connection, place=request.param)
    await connection.close()


def test_every_column_has_its_reader() -> None:
    assert {str(place) for place in PLACES} == READERS.keys()


async def test_changed_copied_and_plain_values_are_refused(
    tampering: Tampering, owner: Owner, neighbour: Owner
) -> None:
    place = str(tampering.place)
    read = READERS[place]
    assert await read(owner) is not None
    own, foreign = await tampering.tokens(owner), await tampering.tokens(neighbour)
    assert own
    middle = len(own[0]) // 2
    flipped = own[0][:middle] + bytes([own[0][middle] ^ 1]) + own[0][middle + 1 :]
    elsewhere = owner.database.key_ring.encrypt_json(PHRASE, context="another.column/1")
    planted = {"flipped": flipped, "plain": PHRASE.encode(), "empty": b"", "moved": elsewhere}
    if tampering.place.table != "wrapped_keys":  # it is nobody's
        planted["of a neighbour"] = foreign[0]
    for kind, token in planted.items():
        await tampering.write(owner, token)
        with pytest.raises(DecryptionError) as raised:
            pytest.fail(f"{kind} was read as {await read(owner)!r}")
        assert PHRASE not in str(raised.value)
