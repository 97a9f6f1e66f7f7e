"""Of each user so many files stand in the queue, so that nobody's keep the others' from it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.ingest_records import (
    BULK_RANK,
    FileClaim,
    IngestFailure,
    IngestOrder,
    IngestRun,
    NewIngestFile,
)
from tests.fixtures.rows import SYSTEM, create_user

MOST = 3


def uploads(count: int) -> list[NewIngestFile]:
    return [
        NewIngestFile(kind="upload", name=f"{n}.txt", content_hash=f"{n}") for n in range(count)
    ]


async def give(database: Database, scope: AccessScope, files: Sequence[NewIngestFile]) -> UUID:
    async with database.unit_of_work(scope) as uow:
        run = await uow.ingest_runs.create(IngestOrder(), files)
        await uow.commit()
    return run.id


async def take(database: Database, scope: AccessScope, file: NewIngestFile) -> FileClaim | None:
    async with database.unit_of_work(scope) as uow:
        taken = await uow.ingest_files.take(file.id)
        await uow.commit()
    return taken.file.claim if taken is not None else None


async def end(database: Database, scope: AccessScope, file: NewIngestFile) -> None:
    """As a worker does it, whose job is gone afterwards."""
    claim = await take(database, scope, file)
    assert claim is not None
    async with database.unit_of_work(scope) as uow:
        await uow.ingest_files.finish(claim, "indexed")
        await uow.commit()
    await run_sql(database, "DELETE FROM procrastinate_jobs WHERE args->>'file_id' = $1", file.id)


async def fail(database: Database, scope: AccessScope, file: NewIngestFile, pause: float) -> None:
    claim = await take(database, scope, file)
    assert claim is not None
    async with database.unit_of_work(scope) as uow:
        await uow.ingest_files.give_back(claim, pause_seconds=pause)
        await uow.commit()


async def run_sql(database: Database, statement: str, file_id: UUID) -> None:
    connection = await asyncpg.connect(database.dsn)
    await connection.execute(statement, str(file_id))
    await connection.close()


async def line(database: Database, *files: NewIngestFile, queue: str = "files") -> list[int]:
    """Which of the files are in the queue, in the order in which they are taken from it."""
    connection = await asyncpg.connect(database.dsn)
    rows = await connection.fetch(
        "SELECT args->>'file_id' AS id FROM procrastinate_jobs WHERE queue_name = $1 "
        "ORDER BY priority DESC, procrastinate_jobs.id",
        queue,
    )
    await connection.close()
    places = {str(file.id): place for place, file in enumerate(files)}
    return [places[row["id"]] for row in rows if row["id"] in places]


@pytest.fixture
async def other_scope(database: Database) -> AccessScope:
    return AccessScope(user_id=(await create_user(database)).id)


async def test_whoever_comes_after_a_thousand_files_has_a_turn_after_a_few(
    database: Database, scope: AccessScope, other_scope: AccessScope
) -> None:
    many, few = uploads(1000), uploads(2)
    await give(database, scope, many)
    await give(database, other_scope, few)
    files = [*few, *many]
    assert await line(database, *files) == [2, 3, 4, 0, 1]

    await end(database, scope, many[0])

    assert await line(database, *files) == [3, 4, 0, 1, 5]


async def test_files_that_end_at_once_let_one_each_into_the_queue(
    database: Database, scope: AccessScope
) -> None:
    files = uploads(20)
    await give(database, scope, files)
    await asyncio.gather(*(end(database, scope, file) for file in files[:MOST]))
    assert await line(database, *files) == [3, 4, 5]


async def test_what_somebody_waits_for_comes_before_what_was_found_in_a_folder(
    database: Database, scope: AccessScope
) -> None:
    found = [replace(file, rank=BULK_RANK) for file in uploads(10)]
    sent = uploads(1)
    await give(database, scope, found)
    await give(database, scope, sent)
    await end(database, scope, found[0])
    assert await line(database, *found, *sent) == [1, 2, 10]


async def test_a_file_that_pauses_leaves_its_turn_and_waits_for_another(
    database: Database, scope: AccessScope
) -> None:
    files = uploads(MOST + 1)
    await give(database, scope, files)
    await fail(database, scope, files[0], pause=0.0)
    assert await line(database, *files) == [0, 1, 2]  # its pause is over at once

    await fail(database, scope, files[0], pause=3600.0)
    assert await line(database, *files) == [0, 1, 2, 3]

    assert await take(database, scope, files[0]) is None  # the others are at work
    await run_sql(
        database, "DELETE FROM procrastinate_jobs WHERE args->>'file_id' = $1", files[0].id
    )
    await end(database, scope, files[1])
    assert await line(database, *files) == [2, 3, 0]
    async with database.unit_of_work(scope) as uow:
        assert (await uow.ingest_files.get(files[0].id)).failures == 2


async def test_a_cancelled_run_lets_the_next_ones_in(
    database: Database, scope: AccessScope
) -> None:
    first, second = uploads(5), uploads(2)
    run_id = await give(database, scope, first)
    await give(database, scope, second)
    async with database.unit_of_work(scope) as uow:
        await uow.ingest_runs.cancel(run_id, IngestFailure(code="INGEST_CANCELLED", message="."))
        await uow.commit()
    assert await line(database, *first, *second) == [5, 6]


async def test_recordings_wait_for_one_another_and_for_nothing_else(
    database: Database, scope: AccessScope
) -> None:
    recordings = [replace(file, lane="recordings") for file in uploads(4)]
    texts = uploads(4)
    files = [*recordings, *texts]
    await give(database, scope, files)
    assert await line(database, *files) == [4, 5, 6]
    assert await line(database, *files, queue="recordings") == [0]

    claim = await take(database, scope, texts[0])  # which is found to be a recording
    assert claim is not None
    async with database.unit_of_work(scope) as uow:
        await uow.ingest_files.move(claim, "recordings")
        await uow.commit()
    await run_sql(
        database, "DELETE FROM procrastinate_jobs WHERE args->>'file_id' = $1", texts[0].id
    )
    assert await line(database, *files) == [5, 6, 7]
    assert await line(database, *files, queue="recordings") == [0]


async def test_a_place_whose_job_is_lost_is_given_away(
    database: Database, scope: AccessScope
) -> None:
    files = uploads(MOST + 1)
    await give(database, scope, files)
    await run_sql(
        database, "DELETE FROM procrastinate_jobs WHERE args->>'file_id' = $1", files[0].id
    )
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.ingest_turns.give_all()
        await uow.commit()
    assert await line(database, *files) == [1, 2, 3]


async def test_whoever_waits_for_a_run_keeps_nobody_elses_turn_from_them(
    database: Database, scope: AccessScope
) -> None:
    search = NewIngestFile(kind="discovery", name="shelf", location="/srv/shelf")
    run_id = await give(database, scope, [search])
    async with database.unit_of_work(scope) as uow:
        run = await uow.ingest_runs.get(run_id)
    connection = await asyncpg.connect(database.dsn)
    async with connection.transaction():  # as a file of the run does that comes to its end
        await connection.execute("SELECT FROM ingest_runs WHERE id = $1 FOR NO KEY UPDATE", run_id)
        adding = asyncio.create_task(add(database, scope, run, uploads(1)))
        while not await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY "
            "(pg_blocking_pids(pid))"
        ):
            await asyncio.sleep(0.01)
        assert await connection.fetchval(
            "SELECT pg_try_advisory_xact_lock(hashtextextended('ingest_turns', $1))", scope.user_id
        )
    await connection.close()
    assert await adding == 1


async def add(
    database: Database, scope: AccessScope, run: IngestRun, files: Sequence[NewIngestFile]
) -> int:
    async with database.unit_of_work(scope) as uow:
        count = await uow.ingest_runs.add_files(run, files)
        await uow.commit()
    return count
