"""What tools have answered with beside text, in the store: bound to its run, and to its place."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.errors import DecryptionError, NotFound
from persistence.large_values import LARGE_BYTES
from persistence.run_records import NewToolRun, Run, RunClaim
from persistence.tool_content_records import NewToolContent
from tests.fixtures.plaintext_scan import find_in_database
from tests.fixtures.rows import SYSTEM, create_session, start_run

PHRASE = "quittegelb kranich"
PLENTY = {"most": 100, "most_bytes": 2**30}


def claim_of(run: Run) -> RunClaim:
    return RunClaim(run_id=run.id, attempt=run.attempt, owner="this process")


def content_of(run: Run, data: bytes = b"picture", **values: Any) -> NewToolContent:
    given: dict[str, Any] = {"kind": "image", "mime": "image/png", "name": "", **values}
    return NewToolContent(id=uuid4(), run_id=run.id, call_id="c", data=data, **given)


async def keep(
    database: Database,
    scope: AccessScope,
    run: Run,
    content: NewToolContent,
    *,
    claim: RunClaim | None = None,
    **limits: int,
) -> bool:
    async with database.unit_of_work(scope) as uow:
        is_kept = await uow.tool_contents.add(
            claim or claim_of(run), content, **{**PLENTY, **limits}
        )
        await uow.commit()
    return is_kept


@pytest.fixture
async def run(database: Database, scope: AccessScope, chat_session: ChatSession) -> Run:
    return await start_run(database, scope, chat_session)


async def test_it_comes_back_byte_for_byte_with_what_is_known_of_it(
    database: Database, scope: AccessScope, run: Run
) -> None:
    large = content_of(run, bytes(LARGE_BYTES + 1), kind="resource", mime="a/b", name="report.bin")
    assert await keep(database, scope, run, large)

    async with database.unit_of_work(scope) as uow:
        stored = await uow.tool_contents.get(large.id)
        [listed] = await uow.tool_contents.of_runs([run.id])
        assert await uow.tool_contents.after(UUID(int=0), limit=5) == [listed]
        assert await uow.tool_contents.after(large.id, limit=5) == []

    assert stored.data == large.data
    assert stored.facts == listed
    assert listed.as_reference() == {
        "kind": "resource",
        "mime": "a/b",
        "bytes": LARGE_BYTES + 1,
        "name": "report.bin",
    }


async def test_nobody_else_sees_it_or_puts_something_into_the_run(
    database: Database, scope: AccessScope, other_scope: AccessScope, run: Run
) -> None:
    content = content_of(run)
    assert await keep(database, scope, run, content)

    assert not await keep(database, other_scope, run, content_of(run))
    async with database.unit_of_work(other_scope) as uow:
        with pytest.raises(NotFound):
            await uow.tool_contents.get(content.id)
        assert await uow.tool_contents.of_runs([run.id]) == []
        assert await uow.tool_contents.after(UUID(int=0), limit=5) == []


async def test_a_run_keeps_so_many_and_so_much(
    database: Database, scope: AccessScope, run: Run
) -> None:
    assert await keep(database, scope, run, content_of(run, b"x" * 10), most=2, most_bytes=25)
    assert not await keep(database, scope, run, content_of(run, b"x" * 16), most=2, most_bytes=25)
    assert await keep(database, scope, run, content_of(run, b"x" * 15), most=2, most_bytes=25)
    assert not await keep(database, scope, run, content_of(run, b""), most=2)


async def test_who_has_lost_the_run_keeps_nothing_of_it(
    database: Database, scope: AccessScope, run: Run
) -> None:
    late = replace(claim_of(run), attempt=run.attempt + 1)
    assert not await keep(database, scope, run, content_of(run), claim=late)
    elsewhere = replace(claim_of(run), owner="another process")
    assert not await keep(database, scope, run, content_of(run), claim=elsewhere)


async def test_it_goes_with_its_session(
    database: Database, scope: AccessScope, chat_session: ChatSession, run: Run
) -> None:
    content = content_of(run)
    await keep(database, scope, run, content)

    async with database.unit_of_work(scope) as uow:
        await uow.runs.finish(claim_of(run), "success")
        await uow.sessions.delete([chat_session.id])
        await uow.commit()

    async with database.unit_of_work(SYSTEM) as uow:
        with pytest.raises(NotFound):
            await uow.tool_contents.get(content.id)


async def test_nothing_of_it_is_in_the_database_in_clear(
    database: Database, scope: AccessScope, run: Run, database_url: str
) -> None:
    named = content_of(run, PHRASE.encode(), mime=f"text/{PHRASE}", name=PHRASE)
    await keep(database, scope, run, named)
    assert await find_in_database(database_url, PHRASE) == []


async def test_one_that_was_put_in_the_place_of_another_is_not_read(
    database: Database, scope: AccessScope, run: Run, database_url: str
) -> None:
    first, second = content_of(run, b"first"), content_of(run, b"second")
    for each in (first, second):
        await keep(database, scope, run, each)
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        "UPDATE tool_contents SET body = (SELECT body FROM tool_contents WHERE id = $1) "
        "WHERE id = $2",
        first.id,
        second.id,
    )
    await owner.close()

    async with database.unit_of_work(scope) as uow:
        with pytest.raises(DecryptionError):
            await uow.tool_contents.get(second.id)


async def test_a_call_that_is_written_down_keeps_what_it_brought(
    database: Database, scope: AccessScope
) -> None:
    run = await start_run(database, scope, await create_session(database, scope, "another"))
    contents = ({"id": "1", "kind": "image", "url": "/v1/tool-contents/1"},)
    call = NewToolRun(
        run_id=run.id,
        call_id="c",
        tool="s.draw",
        args={},
        result="drawn",
        status="end",
        latency_ms=1,
        started_at=run.started_at,
        contents=contents,
    )
    async with database.unit_of_work(scope) as uow:
        await uow.tool_runs.put(claim_of(run), call)
        await uow.commit()
    async with database.unit_of_work(scope) as uow:
        [written] = await uow.tool_runs.of_runs([run.id])
    assert written.contents == contents
