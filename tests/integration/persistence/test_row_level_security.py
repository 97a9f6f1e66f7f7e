"""Row-level security by itself: what the database shows and lets change, whoever asks."""

from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest

from persistence.access import AccessScope, ScopedStatement
from persistence.approval_records import NewApproval
from persistence.database import Database
from persistence.errors import NotFound, PersistenceError
from persistence.ingest_records import IngestOrder, NewIngestFile
from persistence.mcp_records import SeenTool
from persistence.models import metadata
from persistence.pool import APP_ROLE
from persistence.question_records import NewQuestion
from persistence.records import AuditEntry
from persistence.rule_records import NewToolLimit, NewToolPolicy
from persistence.run_records import NewToolRun, RunClaim
from persistence.statements import Statement
from persistence.tool_content_records import NewToolContent
from tests.fixtures.rows import SYSTEM, create_session, start_run

TABLES = sorted(table.name for table in metadata.sorted_tables)
OWNED_TABLES = (
    "api_keys",
    "approvals",
    "chat_sessions",
    "documents",
    "group_members",
    "groups",
    "ingest_files",
    "ingest_runs",
    "message_images",
    "messages",
    "questions",
    "runs",
    "tool_limits",
    "tool_contents",
    "tool_policies",
    "tool_runs",
)


@pytest.fixture
async def app(database: Database, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the product's own role; `database` makes the tables."""
    connection = await asyncpg.connect(database_url, server_settings={"role": APP_ROLE})
    yield connection
    await connection.close()


@pytest.fixture
async def furnished(database: Database, scope: AccessScope) -> Database:
    """A database where the user `scope` has something in every table."""
    session = await create_session(database, scope)
    run = await start_run(database, scope, session)
    async with database.unit_of_work(scope) as uow:
        await uow.messages.add(
            session.id, role="user", content="mine", run_id=run.id, images=[{"data_b64": "AAAA"}]
        )
        await uow.tool_runs.add_many(
            [
                NewToolRun(
                    run_id=run.id,
                    call_id="1",
                    tool="datetime.now",
                    args={},
                    result=None,
                    status="end",
                    latency_ms=1,
                    started_at=run.started_at,
                )
            ]
        )
        await uow.tool_contents.add(
            RunClaim(run_id=run.id, attempt=run.attempt, owner="this process"),
            NewToolContent(
                id=run.id, run_id=run.id, call_id="1", kind="image", mime="", name="", data=b""
            ),
            most=1,
            most_bytes=1,
        )
        await uow.documents.create(
            title="mine",
            filename="mine",
            mime="text/plain",
            size_bytes=1,
            content_hash="1",
            blob="b",
        )
        await uow.ingest_runs.create(IngestOrder(), [NewIngestFile(kind="upload", name="mine")])
        await uow.api_keys.create(scope.user_id, name="mine", key_hash="1", prefix="yw_1")
        group = await uow.groups.create("mine", "")
        await uow.tool_policies.create(NewToolPolicy(group_id=group.id, tool="*", verdict="deny"))
        await uow.tool_limits.create(NewToolLimit(group_id=group.id, tool="*", max_seconds=1))
        await uow.approvals.ask(
            run.id,
            [NewApproval(request_id="1", call_id="1", tool="datetime.now", args={})],
            expires_at=run.started_at,
        )
        await uow.questions.ask(
            RunClaim(run_id=run.id, attempt=run.attempt, owner="this process"),
            NewQuestion(
                call_id="1", tool="odd.tool", server="odd", kind="form", message="mine", schema={}
            ),
            expires_at=run.started_at,
            most=1,
        )
        await uow.audit.record(
            AuditEntry(action="a.b", resource_type="a", actor_id=scope.user_id, resource_id="1")
        )
        await uow.commit()
    return database


async def furnish_servers(database: Database, scope: AccessScope) -> None:
    async with database.unit_of_work(scope) as uow:
        group = await uow.groups.create("those with a server", "")
        await uow.commit()
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.mcp_servers.create("odd", source="api", config={}, groups=[group.id])
        seen = SeenTool(name="tool", fingerprint="1", definition={})
        await uow.mcp_tools.add("odd", seen, held=False)
        await uow.commit()


@pytest.mark.parametrize("table", ["mcp_servers", "mcp_server_groups", "mcp_tools"])
async def test_servers_and_their_tools_are_shown_to_administrators_alone(
    database: Database, app: asyncpg.Connection, scope: AccessScope, table: str
) -> None:
    await furnish_servers(database, scope)
    root = AccessScope(user_id=scope.user_id, is_root=True)
    for who, seen in ((scope, 0), (None, 0), (root, 1), (SYSTEM, 1)):
        assert await count(app, table, who) == seen
    async with app.transaction():
        await app.execute(scope.sql_settings)
        assert await app.execute(f"DELETE FROM {table}") == "DELETE 0"


async def count(app: asyncpg.Connection, table: str, scope: AccessScope | None) -> int:
    async with app.transaction():
        if scope is not None:
            await app.execute(scope.sql_settings)
        rows: int = await app.fetchval(f"SELECT count(*) FROM {table}")
    return rows


@pytest.mark.parametrize("table", OWNED_TABLES)
async def test_the_owner_sees_the_row_and_nobody_else_does(
    furnished: Database,
    app: asyncpg.Connection,
    scope: AccessScope,
    other_scope: AccessScope,
    table: str,
) -> None:
    assert await count(app, table, scope) == 1
    assert await count(app, table, other_scope) == 0
    assert await count(app, table, None) == 0
    assert await count(app, table, SYSTEM) == 1


@pytest.mark.parametrize("table", [*OWNED_TABLES, "users", "audit_log", "login_sessions"])
async def test_without_a_principal_no_row_of_any_table_is_seen(
    furnished: Database, app: asyncpg.Connection, table: str
) -> None:
    assert await count(app, table, None) == 0


@pytest.mark.parametrize(
    "table",
    [
        "chat_sessions",
        "messages",
        "message_images",
        "runs",
        "tool_contents",
        "tool_runs",
        "documents",
        "approvals",
        "questions",
        "ingest_runs",
        "ingest_files",
    ],
)
async def test_root_has_no_look_into_what_others_said(
    furnished: Database, app: asyncpg.Connection, other_scope: AccessScope, table: str
) -> None:
    root = AccessScope(user_id=other_scope.user_id, is_root=True)
    assert await count(app, table, root) == 0


@pytest.mark.parametrize("table", TABLES)
async def test_every_table_has_row_level_security(app: asyncpg.Connection, table: str) -> None:
    assert await app.fetchval("SELECT relrowsecurity FROM pg_class WHERE relname = $1", table)


async def test_the_role_owns_nothing_and_cannot_step_round(app: asyncpg.Connection) -> None:
    owned = await app.fetchval(
        "SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = current_user"
    )
    rights = await app.fetchrow(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin "
        "FROM pg_roles WHERE rolname = current_user"
    )
    assert owned == 0
    assert rights is not None
    assert not any(rights.values())


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {table} SET {column} = {column}",
        "DELETE FROM {table}",
    ],
)
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("api_keys", "prefix"),
        ("chat_sessions", "message_count"),
        ("documents", "mime"),
        ("ingest_runs", "status"),
        ("ingest_files", "status"),
        ("messages", "model"),
        ("runs", "model"),
        ("tool_runs", "tool"),
        ("tool_policies", "verdict"),
        ("tool_limits", "body"),
        ("group_members", "role"),
        ("groups", "body"),
    ],
)
async def test_nobody_changes_the_row_of_another(
    furnished: Database,
    app: asyncpg.Connection,
    other_scope: AccessScope,
    table: str,
    column: str,
    change: str,
) -> None:
    async with app.transaction():
        await app.execute(other_scope.sql_settings)
        tag = await app.execute(change.format(table=table, column=column))
    assert tag.rpartition(" ")[2] == "0"


@pytest.mark.parametrize(
    "forgery",
    [
        """INSERT INTO chat_sessions (user_id, session_hash, session_id, thread_id)
            VALUES ({victim}, 'x', '', gen_random_uuid())""",
        """INSERT INTO documents
            (owner_id, body, tag_hashes, content_hash, mime, size_bytes, blob)
            VALUES ({victim}, '', '{{}}', 'x', 'text/plain', 1, 'x')""",
        """INSERT INTO api_keys (user_id, name, key_hash, prefix, scopes)
            VALUES ({victim}, '', 'x', 'x', '{{}}')""",
        "INSERT INTO messages (chat_session_id, role, body) VALUES ({session}, 'user', '')",
        "INSERT INTO message_images (message_id, number, body) VALUES ({message}, 2, '')",
        "UPDATE message_images SET body = ''",
        "DELETE FROM message_images",
        """INSERT INTO tool_contents (id, run_id, call_id, kind, size_bytes, facts, body)
            VALUES (gen_random_uuid(), '{run}', 'c', 'image', 0, '', '')""",
        "UPDATE tool_contents SET body = ''",
        "DELETE FROM tool_contents",
        """INSERT INTO audit_log (action, resource_type, success, actor_id, body)
            VALUES ('a', 'b', true, {victim}, '')""",
        """INSERT INTO runs (id, chat_session_id, user_id, model, lease_owner, lease_until)
            VALUES (gen_random_uuid(), {session}, {attacker}, 'm', 'x', now())""",
        """INSERT INTO login_sessions (id, user_id, api_key_id, method, scopes, expires_at)
            VALUES (gen_random_uuid(), {attacker}, {key}, 'x', '{{}}', now())""",
        "INSERT INTO group_members (group_id, user_id, role) VALUES ({group}, {attacker}, 'admin')",
        "INSERT INTO groups (name_hash, body) VALUES ('x', '')",
        "INSERT INTO users (username, username_key, is_root) VALUES ('x', 'x', true)",
        "UPDATE users SET is_root = true",
        """INSERT INTO questions
            (id, run_id, user_id, call_id, tool, server, kind, body, expires_at)
            VALUES (gen_random_uuid(), '{run}', {victim}, 'c', 't', 's', 'form', '', now())""",
        "UPDATE questions SET status = 'accepted', answer = ''",
        "UPDATE documents SET owner_id = {attacker}",
        "UPDATE documents SET owner_id = {victim} WHERE owner_id = {attacker}",
    ],
)
async def test_nobody_writes_in_the_name_of_another(
    furnished: Database,
    app: asyncpg.Connection,
    database_url: str,
    scope: AccessScope,
    other_scope: AccessScope,
    forgery: str,
) -> None:
    owner = await asyncpg.connect(database_url)
    statement = forgery.format(
        victim=scope.user_id,
        attacker=other_scope.user_id,
        session=await owner.fetchval("SELECT id FROM chat_sessions"),
        message=await owner.fetchval("SELECT id FROM messages"),
        group=await owner.fetchval("SELECT id FROM groups"),
        key=await owner.fetchval("SELECT id FROM api_keys"),
        run=await owner.fetchval("SELECT id FROM runs"),
    )
    await owner.close()
    tag = "0"
    with suppress(asyncpg.InsufficientPrivilegeError):
        async with app.transaction():
            await app.execute(other_scope.sql_settings)
            tag = await app.execute(statement)
    assert tag.rpartition(" ")[2] == "0"


@pytest.fixture
def without_access_clauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The repositories with their access clause switched off."""

    def unrestricted(statement: ScopedStatement, _: AccessScope) -> Statement:
        return statement._unrestricted

    monkeypatch.setattr(ScopedStatement, "under", unrestricted)
    monkeypatch.setattr(ScopedStatement, "administered_by", unrestricted)


@pytest.mark.usefixtures("without_access_clauses")
async def test_the_repositories_show_nothing_of_others_without_their_clauses(
    furnished: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    async with furnished.unit_of_work(scope) as uow:
        [session] = (await uow.sessions.list()).items
        [document] = (await uow.documents.list()).items
        [message] = (await uow.messages.list(session.id)).items
        assert await uow.message_images.get(session.id, message.id, 1) is not None
    async with furnished.unit_of_work(other_scope) as uow:
        assert (await uow.sessions.list()).items == []
        assert (await uow.documents.list()).items == []
        assert (await uow.messages.list(session.id)).items == []
        with pytest.raises(NotFound):
            await uow.message_images.get(session.id, message.id, 1)
        with pytest.raises(NotFound):
            await uow.message_images.add(session.id, message.id, 2, "AAAA")
        assert await uow.documents.visible([document.id]) == {}
        assert (await uow.api_keys.list(scope.user_id)).items == []
        for attempt in (
            uow.documents.get(document.id),
            uow.documents.delete(document.id),
            uow.documents.mark_indexed(document.id, 1),
            uow.users.get(scope.user_id),
        ):
            with pytest.raises(NotFound):
                await attempt
    async with furnished.unit_of_work(other_scope) as uow:
        with pytest.raises(PersistenceError):
            await uow.messages.add(session.id, role="user", content="forged")
