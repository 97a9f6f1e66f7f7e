"""Requests that meet in the same moment, and outcomes that are hard to write down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from graph.approvals import ApprovalRequest, ProposedCall
from graph.context import AgentContext
from persistence.access import AccessScope
from persistence.blobs import BlobStore
from persistence.checkpoints import open_checkpointer
from persistence.database import Database
from persistence.errors import DatabaseUnavailable, InvalidValue, NotFound, RunLost
from persistence.ingest_records import IngestOrder, NewIngestFile
from persistence.run_records import RunClaim, RunInput
from persistence.unit_of_work import UnitOfWork
from server.erasure.documents import DocumentEraser
from server.erasure.ingestion import ABANDONED_AFTER, IngestEraser
from server.runs.journal import RunJournal
from server.runs.log_writer import LogWriter
from server.runs.recorder import RunRecorder
from server.runs.run import RunOutcome, RunRequest
from server.runs.stream import RunStream
from server.security.principal import Origin, Principal
from tests.fixtures.product import Product, new_secrets, open_product, settings_for
from tests.fixtures.rows import create_session, create_user, start_run

OWNER = "this process"
RACES = 30
ORPHANS = """
SELECT count(*) FROM checkpoints
WHERE thread_id NOT IN (SELECT thread_id::text FROM chat_sessions)
"""
NOTE = b"The vacation policy grants thirty one days of leave."


@pytest.fixture
async def principal(database):
    user = await create_user(database)
    return Principal(user=user, scope=AccessScope(user_id=user.id))


@pytest.fixture
async def request_of_a_run(database, principal):
    """A run that was begun and waits for its outcome."""
    session = await create_session(database, principal.scope)
    run = await start_run(database, principal.scope, session, lease_owner=OWNER)
    return RunRequest(
        claim=RunClaim(run_id=run.id, attempt=run.attempt, owner=OWNER),
        session_row_id=session.id,
        input=RunInput(session_id=session.session_id, thread_id=session.thread_id, text="hello"),
        model="scripted",
        context=AgentContext(),
        principal=principal,
        origin=Origin(ip=None, user_agent=None, correlation_id="a correlation"),
    )


def recorder_of(database, checkpointer=None):
    """A recorder of runs whose events nobody follows."""
    writer = LogWriter(database.event_log, owner=OWNER)
    return RunRecorder(database, writer, checkpointer=checkpointer)


def outcome(**values):
    given = {"status": "success", "content": "an answer", "model": "scripted", "latency_ms": 1}
    return RunOutcome(**{**given, **values})


async def read_back(database, request):
    async with database.unit_of_work(request.principal.scope) as uow:
        run = await uow.runs.get(request.run_id)
        messages = await uow.messages.list(request.session_row_id)
    return (run.status, run.error_code), [message.content for message in messages.items]


async def test_a_session_deleted_while_messages_arrive_loses_none_and_leaves_no_memory(
    product: Product, database_url: str
):
    for _ in range(RACES):
        product.model.reply("an answer")
        sent, deleted = await asyncio.gather(
            product.client.post("/v1/chat", json={"text_input": "hi", "session_id": "raced"}),
            product.client.delete("/v1/chat/sessions/raced"),
        )
        assert sent.status_code in {200, 409}, sent.text
        assert deleted.status_code in {204, 404, 409}, deleted.text
        if sent.status_code == 200:
            assert sent.json()["status"] == "success"

    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval(ORPHANS) == 0
    await connection.close()


async def test_an_outcome_whose_commit_went_unanswered_is_not_written_twice(
    database, request_of_a_run
):
    recorder = recorder_of(database)
    await recorder.record(request_of_a_run, outcome())

    await recorder.record(request_of_a_run, outcome())

    assert await read_back(database, request_of_a_run) == (("success", None), ["an answer"])
    with pytest.raises(RunLost):
        await recorder.record(request_of_a_run, outcome(status="cancelled"))


async def test_a_run_whose_figures_cannot_be_written_ends_with_an_error_and_its_answer(
    database, request_of_a_run
):
    with pytest.raises(InvalidValue):
        await recorder_of(database).record(request_of_a_run, outcome(tokens_in=2**40))

    ended = await read_back(database, request_of_a_run)
    assert ended == (("error", "DATABASE_ERROR"), ["an answer"])


async def test_a_run_whose_answer_cannot_be_written_ends_with_an_error(
    database, database_url, request_of_a_run
):
    connection = await asyncpg.connect(database_url)
    heard: set[str] = set()
    await connection.add_listener("youworker_run_waiting", lambda *about: heard.add(about[-1]))
    with pytest.raises(TypeError):
        await recorder_of(database).record(request_of_a_run, outcome(content=object()))

    assert await read_back(database, request_of_a_run) == (("error", "DATABASE_ERROR"), [])
    # Its session was not locked: who was about to wait behind it must not be missed.
    async with asyncio.timeout(10):
        while str(request_of_a_run.run_id) not in heard:
            await asyncio.sleep(0)
    await connection.close()


async def test_a_run_of_which_events_cannot_be_put_together_ends_with_an_error_and_its_answer(
    database, request_of_a_run
):
    request = request_of_a_run
    writer, stream = LogWriter(database.event_log, owner=OWNER), RunStream(last_id=1)
    writer.attach(request.run_id, 1, stream, lambda: None)
    stream.append("token", {"text": ["no text"]})

    with pytest.raises(TypeError):
        await RunRecorder(database, writer).record(request, outcome())

    ended = await read_back(database, request)
    assert ended == (("error", "DATABASE_ERROR"), ["an answer"])
    assert [name for _, name, _ in stream.read(1)] == ["error", "done"]


async def test_a_run_that_outlived_its_session_takes_its_memory_along(
    database, database_url: str, key_ring, request_of_a_run
):
    thread = str(request_of_a_run.thread_id)
    connection = await asyncpg.connect(database_url)
    async with open_checkpointer(database.dsn, key_ring) as checkpointer:
        await connection.execute(
            "INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint) VALUES ($1, 'x', '{}')",
            thread,
        )
        async with database.unit_of_work(request_of_a_run.principal.scope) as uow:
            await uow.sessions.delete([request_of_a_run.session_row_id])
            await uow.commit()
        with pytest.raises(NotFound):
            await recorder_of(database, checkpointer).record(request_of_a_run, outcome())
    assert await connection.fetchval(ORPHANS) == 0
    await connection.close()


async def test_a_document_that_two_requests_delete_is_gone_for_one_of_them(product: Product):
    [taken] = (await product.upload("note.txt", NOTE))["files"]
    address = f"/v1/documents/{taken['document_id']}"

    answers = await asyncio.gather(*(product.client.delete(address) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [204, 404, 404, 404]
    assert {a.json()["error"]["code"] for a in answers if a.status_code == 404} == {
        "DOCUMENT_NOT_FOUND"
    }


async def test_a_document_whose_passages_are_too_many_is_refused_alone(
    tmp_path, database_url, scripted_model
):
    settings = settings_for(tmp_path, database_url, scripted_model)
    ingest = settings.ingest.model_copy(update={"max_passages": 2})
    settings = settings.model_copy(update={"ingest": ingest})
    async with open_product(settings, new_secrets(), scripted_model) as product:
        taken = await product.upload("long.txt", b"A sentence of a long story. " * 2_000)
        [refused] = taken["errors"]
        assert refused["code"] == "LOADER_LIMIT"
        assert "2 passages" in refused["message"]
        assert (await product.client.get("/v1/documents")).json()["total"] == 0


async def test_a_start_clears_away_what_an_upload_left_half_done_long_ago(
    tmp_path, database_url, scripted_model
):
    settings = settings_for(tmp_path, database_url, scripted_model)
    secrets = new_secrets()
    async with open_product(settings, secrets, scripted_model) as product:
        owner = (await product.client.get("/v1/users")).json()["users"][0]["id"]
        service = product.resources.documents
        blobs: BlobStore = service._blobs
        left = {}
        for age in (ABANDONED_AFTER * 2, timedelta()):
            blob = await blobs.put(NOTE)
            async with service._database.unit_of_work(AccessScope(user_id=owner)) as uow:
                document = await uow.documents.create(
                    title="note",
                    filename="note.txt",
                    mime="text/plain",
                    size_bytes=len(NOTE),
                    content_hash=blob,
                    blob=blob,
                    tags=(),
                )
                await uow.commit()
            left[document.id] = (blob, datetime.now(UTC) - age)
    connection = await asyncpg.connect(database_url)
    for document_id, (_, created_at) in left.items():
        await connection.execute(
            "UPDATE documents SET created_at = $2 WHERE id = $1", document_id, created_at
        )
    await connection.close()
    (_, (abandoned_blob, _)), (recent, (recent_blob, _)) = left.items()

    async with open_product(settings, secrets, scripted_model):
        assert await document_ids(database_url) == [recent]
        assert await blobs.get(recent_blob) == NOTE
        with pytest.raises(NotFound):
            await blobs.get(abandoned_blob)


async def document_ids(database_url: str) -> list[int]:
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT id FROM documents ORDER BY id")
    await connection.close()
    return [row["id"] for row in rows]


async def test_who_begins_to_wait_while_the_databases_answer_is_lost_shows_what_the_log_has(
    database, request_of_a_run
):
    request = request_of_a_run
    asks = [
        ApprovalRequest(id=f"r{n}", call_id=f"c{n}", tool="files.delete", args={"n": n})
        for n in (2, 1)
    ]
    waiting = outcome(status="awaiting_approval", content="", requests=tuple(asks))
    outcomes, shown = [], []
    for _ in range(2):
        writer, stream = LogWriter(database.event_log, owner=OWNER), RunStream(last_id=1)
        writer.attach(request.run_id, 1, stream, lambda: None)
        outcomes.append(await RunRecorder(database, writer).record(request, waiting))
        shown.append(list(stream.read(1)))

    first, again = outcomes
    assert again.approvals == first.approvals
    assert [approval["call_id"] for approval in again.approvals] == ["c2", "c1"]
    async with database.unit_of_work(request.principal.scope) as uow:
        stored = (await uow.run_events.history(request.run_id)).events[1:]
    assert shown == [stored, stored]


async def test_what_a_model_call_cost_that_is_cut_off_at_the_end_goes_with_the_run(
    database, database_url, request_of_a_run
):
    request = request_of_a_run
    writer, stream = LogWriter(database.event_log, owner=OWNER), RunStream(last_id=1)
    writer.attach(request.run_id, 1, stream, lambda: None)
    call = {"model": "m", "purpose": "answer", "tokens_in": 5, "tokens_out": 2}
    stream.note_usage({"call": {**call, "estimated": True, "latency_ms": 1}})

    await RunRecorder(database, writer).hand_over(request)

    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT tokens_in, tokens_out, estimated FROM model_calls")
    await connection.close()
    assert [tuple(row) for row in rows] == [(5, 2, True)]


async def test_a_tool_call_is_audited_once_although_the_databases_answer_was_lost(
    database, database_url, request_of_a_run
):
    request = request_of_a_run
    lossy = LossyDatabase(database)
    journal = RunJournal(lossy, request.claim, principal=request.principal, origin=request.origin)
    await journal.begin(
        ProposedCall(call_id="c", tool="t.t", args={}, read_only=False, repeatable=False)
    )
    lossy.answers_to_lose = 1
    await journal.end("c", text="done", is_error=False, sources=(), contents=(), latency_ms=1)

    assert lossy.answers_to_lose == 0
    connection = await asyncpg.connect(database_url)
    audited = "SELECT count(*) FROM audit_log WHERE action = 'tool.call'"
    assert await connection.fetchval(audited) == 1
    await connection.close()


async def test_a_file_that_could_not_be_cancelled_still_has_its_original(
    database, scope, key_ring, tmp_path
):
    blobs = BlobStore(tmp_path / "blobs", key_ring)
    file = NewIngestFile(kind="upload", name="a.txt", blob=await blobs.put(NOTE))
    async with database.unit_of_work(scope) as uow:
        run = await uow.ingest_runs.create(IngestOrder(), [file])
        await uow.commit()

    def eraser(on):
        documents = DocumentEraser(database=on, blobs=blobs, retriever=None)
        return IngestEraser(database=on, blobs=blobs, retriever=None, documents=documents)

    with pytest.raises(DatabaseUnavailable):
        await eraser(RefusingDatabase(database)).cancel(scope, run.id)
    assert await blobs.get(file.blob) == NOTE

    await eraser(database).cancel(scope, run.id)
    with pytest.raises(NotFound):
        await blobs.get(file.blob)
    async with database.unit_of_work(scope) as uow:
        assert await uow.ingest_leftovers.all() == []


class RefusingDatabase:
    """A database that breaks off at every commit."""

    def __init__(self, steady: Database) -> None:
        self._steady = steady

    @asynccontextmanager
    async def unit_of_work(self, scope: AccessScope) -> AsyncIterator[UnitOfWork]:
        async with self._steady.unit_of_work(scope) as uow:
            uow.commit = self._break_off
            yield uow

    async def _break_off(self) -> None:
        raise DatabaseUnavailable("it broke off")


class LossyDatabase:
    """A database of which the answers to some commits are lost."""

    def __init__(self, steady: Database) -> None:
        self._steady = steady
        self.answers_to_lose = 0

    @asynccontextmanager
    async def unit_of_work(self, scope: AccessScope) -> AsyncIterator[UnitOfWork]:
        async with self._steady.unit_of_work(scope) as uow:
            yield uow
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            raise DatabaseUnavailable("the answer was lost")
