"""After a turn, nothing that anybody typed can be found in the database."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.approval_records import ApprovalAnswer, NewApproval
from persistence.database import Database
from persistence.mcp_records import SeenTool
from persistence.question_records import NewQuestion, QuestionAnswer
from persistence.records import AuditEntry
from persistence.rule_records import NewToolLimit, NewToolPolicy
from persistence.run_records import NewToolRun, RunClaim
from tests.fixtures.plaintext_scan import find_in_database
from tests.fixtures.rows import SYSTEM, create_session, start_run

PHRASE = "flieder-elefant perché"


@pytest.fixture
async def written_database(database: Database, scope: AccessScope) -> Database:
    """A database with the phrase in every place that a person can write to."""
    session = await create_session(database, scope, f"session {PHRASE}")
    run = await start_run(database, scope, session)
    async with database.unit_of_work(scope) as uow:
        await uow.sessions.rename(session.session_id, f"title {PHRASE}")
        await uow.messages.add(
            session.id,
            role="user",
            content=PHRASE,
            reasoning=PHRASE,
            sources=[{"snippet": PHRASE}],
            tool_events=[{"result": PHRASE}],
            images=[{"mime": PHRASE, "data_b64": b64encode(PHRASE.encode()).decode()}],
        )
        await uow.tool_runs.add_many(
            [
                NewToolRun(
                    run_id=run.id,
                    call_id="1",
                    tool="web.search",
                    args={PHRASE: PHRASE},
                    result=PHRASE,
                    status="end",
                    latency_ms=1,
                    started_at=datetime.now(UTC),
                )
            ]
        )
        [approval] = await uow.approvals.ask(
            run.id,
            [
                NewApproval(
                    request_id="1",
                    call_id="1",
                    tool="web.search",
                    args={PHRASE: PHRASE},
                    reason=PHRASE,
                )
            ],
            expires_at=datetime.now(UTC) + timedelta(hours=1),
        )
        answer = ApprovalAnswer(decision="edit", args={PHRASE: PHRASE}, reason=PHRASE)
        await uow.approvals.decide(run.id, {approval.id: answer}, now=datetime.now(UTC))
        claim = RunClaim(run_id=run.id, attempt=run.attempt, owner="this process")
        until = datetime.now(UTC) + timedelta(hours=1)
        wanted = NewQuestion(
            call_id="1",
            tool="web.search",
            server="web",
            kind="form",
            message=PHRASE,
            schema={"properties": {PHRASE: {"type": "string"}}},
            url=PHRASE,
        )
        question = await uow.questions.ask(claim, wanted, expires_at=until, most=1)
        assert question is not None
        given = QuestionAnswer(action="accept", content={PHRASE: PHRASE})
        await uow.questions.answer(run.id, {question.id: given}, now=datetime.now(UTC))
        group = await uow.groups.create(PHRASE, PHRASE)
        await uow.tool_policies.create(
            NewToolPolicy(
                group_id=group.id,
                tool=PHRASE,
                arguments={PHRASE: PHRASE},
                verdict="deny",
                reason=PHRASE,
            )
        )
        await uow.tool_limits.create(
            NewToolLimit(group_id=group.id, tool=PHRASE, max_calls_per_run=1)
        )
        await uow.documents.create(
            title=PHRASE,
            filename=f"{PHRASE}.pdf",
            mime="application/pdf",
            size_bytes=1,
            content_hash=PHRASE,
            blob="0",
            tags=[PHRASE],
        )
        await uow.api_keys.create(scope.user_id, name=PHRASE, key_hash="1", prefix="yw_1")
        await uow.audit.record(
            AuditEntry(
                action="session.deleted",
                actor_id=scope.user_id,
                resource_type="session",
                resource_id=PHRASE,
                user_agent=PHRASE,
                correlation_id=PHRASE,
                details={"before": {"title": PHRASE}},
            )
        )
        await uow.commit()
    async with database.unit_of_work(SYSTEM) as uow:
        config = {"command": PHRASE, "env": {PHRASE: PHRASE}}
        await uow.mcp_servers.create("odd", source="api", config=config)
        seen = SeenTool(name=PHRASE, fingerprint="1", definition={"description": PHRASE})
        await uow.mcp_tools.add("odd", seen, held=True)
        await uow.commit()
    return database


async def test_nothing_that_was_typed_is_stored_in_clear(written_database: Database) -> None:
    assert await find_in_database(written_database.dsn, PHRASE) == []


async def test_the_search_would_find_it(database: Database) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.users.create(PHRASE)  # usernames are stored in clear
        await uow.commit()
    assert "public.users.username (utf-8)" in await find_in_database(database.dsn, PHRASE)


async def test_equal_texts_cannot_be_told_by_their_hashes_across_users(
    database: Database, database_url: str, scope: AccessScope, other_scope: AccessScope
) -> None:
    await create_session(database, scope, PHRASE)
    await create_session(database, other_scope, PHRASE)
    connection = await asyncpg.connect(database_url)
    hashes = await connection.fetch("SELECT DISTINCT session_hash FROM chat_sessions")
    await connection.close()
    assert len(hashes) == 2
