"""Ingest runs and their files as rows: who may write of a file, and what becomes of the run."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import FileLost, NotFound
from persistence.ingest_records import (
    IngestFailure,
    IngestOrder,
    IngestRun,
    NewIngestFile,
    TakenFile,
)
from tests.fixtures.rows import create_user

REFUSED = IngestFailure(code="EMPTY_DOCUMENT", message="there is nothing in it")


@pytest.fixture
async def other_scope(database: Database) -> AccessScope:
    return AccessScope(user_id=(await create_user(database)).id)


async def give(database: Database, scope: AccessScope, *files: NewIngestFile) -> IngestRun:
    async with database.unit_of_work(scope) as uow:
        run = await uow.ingest_runs.create(IngestOrder(tags=("tag",)), files)
        await uow.commit()
    return run


def uploads(count: int) -> Sequence[NewIngestFile]:
    return [
        NewIngestFile(kind="upload", name=f"{n}.txt", content_hash=f"{n}") for n in range(count)
    ]


async def take(database: Database, scope: AccessScope, file: NewIngestFile) -> TakenFile:
    async with database.unit_of_work(scope) as uow:
        taken = await uow.ingest_files.take(file.id)
        await uow.commit()
    assert taken is not None
    return taken


async def run_of(database: Database, scope: AccessScope, run: IngestRun) -> IngestRun:
    async with database.unit_of_work(scope) as uow:
        return await uow.ingest_runs.get(run.id)


async def with_jobs(database: Database, files: Sequence[NewIngestFile]) -> list[NewIngestFile]:
    connection = await asyncpg.connect(database.dsn)
    rows = await connection.fetch("SELECT args->>'file_id' AS id FROM procrastinate_jobs")
    await connection.close()
    waiting = {row["id"] for row in rows}
    return [file for file in files if str(file.id) in waiting]


async def test_files_and_their_jobs_are_there_together_or_not_at_all(
    database: Database, scope: AccessScope
) -> None:
    files = uploads(3)
    async with database.unit_of_work(scope) as uow:
        await uow.ingest_runs.create(IngestOrder(), files)
    assert await with_jobs(database, files) == []
    await give(database, scope, *files)
    assert await with_jobs(database, files) == files


async def test_whoever_was_not_the_last_to_take_a_file_writes_nothing(
    database: Database, scope: AccessScope
) -> None:
    [file] = uploads(1)
    await give(database, scope, file)
    first = (await take(database, scope, file)).file
    second = (await take(database, scope, file)).file

    assert (second.attempt, second.crashes) == (2, 1)
    async with database.unit_of_work(scope) as uow:
        for attempt in (
            uow.ingest_files.hold(first.claim),
            uow.ingest_files.advance(first.claim, "indexing", None),
            uow.ingest_files.attach(first.claim, 1, size_bytes=1),
            uow.ingest_files.finish(first.claim, "indexed"),
            uow.ingest_files.fail(first.claim, REFUSED, user_id=scope.user_id),
        ):
            with pytest.raises(FileLost):
                await attempt
        assert not await uow.ingest_files.give_back(first.claim, pause_seconds=1.0)
        assert await uow.ingest_files.give_back(second.claim, pause_seconds=0.0)
        await uow.commit()
    third = (await take(database, scope, file)).file
    assert (third.attempt, third.crashes, third.failures) == (3, 1, 1)


@pytest.mark.parametrize(
    ("taken", "failed", "status"),
    [(2, 0, "success"), (1, 1, "partial"), (0, 2, "error")],
)
async def test_the_last_file_decides_what_has_become_of_the_run(
    database: Database, scope: AccessScope, taken: int, failed: int, status: str
) -> None:
    files = uploads(taken + failed)
    run = await give(database, scope, *files)
    assert run.status == "queued"
    for number, file in enumerate(files):
        claim = (await take(database, scope, file)).file.claim
        assert (await run_of(database, scope, run)).status == "running"
        async with database.unit_of_work(scope) as uow:
            if number < taken:
                await uow.ingest_files.finish(claim, "indexed", chunks=3)
            else:
                await uow.ingest_files.fail(claim, REFUSED, user_id=scope.user_id)
            await uow.commit()
    ended = await run_of(database, scope, run)
    assert (ended.status, ended.taken_files, ended.failed_files) == (status, taken, failed)
    assert (ended.open_files, ended.chunks) == (0, 3 * taken)
    assert ended.finished_at is not None


async def test_a_cancelled_run_ends_what_is_open_and_forgets_its_jobs(
    database: Database, scope: AccessScope
) -> None:
    files = uploads(3)
    run = await give(database, scope, *files)
    done = (await take(database, scope, files[0])).file
    begun = (await take(database, scope, files[1])).file
    async with database.unit_of_work(scope) as uow:
        await uow.ingest_files.finish(done.claim, "indexed", chunks=1)
        await uow.commit()

    async with database.unit_of_work(scope) as uow:
        ended = await uow.ingest_runs.cancel(run.id, REFUSED)
        await uow.commit()

    assert {file.id for file in ended} == {files[1].id, files[2].id}
    assert (await run_of(database, scope, run)).status == "cancelled"
    assert await with_jobs(database, files[1:]) == []
    async with database.unit_of_work(scope) as uow:
        with pytest.raises(FileLost):
            await uow.ingest_files.hold(begun.claim)
        assert await uow.ingest_files.take(files[2].id) is None


async def test_nobody_else_sees_takes_or_cancels_a_run(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    [file] = uploads(1)
    run = await give(database, scope, file)
    async with database.unit_of_work(other_scope) as uow:
        assert await uow.ingest_files.take(file.id) is None
        assert (await uow.ingest_runs.page()).items == []
        assert (await uow.ingest_runs.waiting()).files == 0
        for attempt in (
            uow.ingest_runs.get(run.id),
            uow.ingest_runs.look(run.id),
            uow.ingest_runs.cancel(run.id, REFUSED),
        ):
            with pytest.raises(NotFound):
                await attempt


async def test_a_change_that_is_committed_late_is_not_missed(
    database: Database, scope: AccessScope
) -> None:
    late, early = uploads(2)
    run = await give(database, scope, late, early)
    async with database.unit_of_work(scope) as slow:
        await slow.ingest_files.take(late.id)
        async with database.unit_of_work(scope) as uow:
            looked = await uow.ingest_runs.look(run.id)
        async with database.unit_of_work(scope) as uow:
            between = await uow.ingest_runs.look(run.id, since=looked.cursor)
        await slow.commit()
    async with database.unit_of_work(scope) as uow:
        after = await uow.ingest_runs.look(run.id, since=between.cursor)

    assert [file.id for file in after.files] == [late.id]
    assert [file.status for file in after.files] == ["reading"]


async def test_the_same_place_is_entered_once_in_a_run(
    database: Database, scope: AccessScope
) -> None:
    search = NewIngestFile(kind="discovery", name="shelf", location="/srv/shelf")
    run = await give(database, scope, search)

    def found() -> list[NewIngestFile]:
        return [NewIngestFile(kind="path", name="a", location=f"/srv/shelf/{n}") for n in range(3)]

    async with database.unit_of_work(scope) as uow:
        assert await uow.ingest_runs.add_files(run, found()[:2]) == 2
        assert await uow.ingest_runs.add_files(run, found()) == 1
        await uow.commit()
    assert (await run_of(database, scope, run)).open_files == 4


async def test_what_is_found_while_a_run_is_cancelled_is_cancelled_too(
    database: Database, scope: AccessScope
) -> None:
    search = NewIngestFile(kind="discovery", name="shelf", location="/srv/shelf")
    run = await give(database, scope, search)
    claim = (await take(database, scope, search)).file.claim

    async def cancel() -> int:
        async with database.unit_of_work(scope) as uow:
            ended = await uow.ingest_runs.cancel(run.id, REFUSED)
            await uow.commit()
        return len(ended)

    async with database.unit_of_work(scope) as uow:
        await uow.ingest_files.hold(claim)
        found = NewIngestFile(kind="path", name="a", location="/srv/shelf/a")
        await uow.ingest_runs.add_files(run, [found])
        cancelling = asyncio.create_task(cancel())
        await until_one_waits(database)
        await uow.commit()

    assert await cancelling == 2
    assert (await run_of(database, scope, run)).status == "cancelled"


async def until_one_waits(database: Database) -> None:
    connection = await asyncpg.connect(database.dsn)
    blocked = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE cardinality(pg_blocking_pids(pid)) > 0 AND datname = current_database()"
    )
    while not await connection.fetchval(blocked):
        await asyncio.sleep(0.01)
    await connection.close()
