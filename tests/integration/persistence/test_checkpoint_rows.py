"""Saves of many runs travel together without harm to one another."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from persistence.checkpoint_rows import CheckpointRows
from persistence.checkpoint_saves import Blob, Save, SavedCheckpoint, Write
from persistence.errors import DatabaseUnavailable, InvalidValue
from persistence.pool import AGENT_ROLE, open_pool


def checkpoint(thread_id: str, *, source: str = "loop") -> Save:
    saved = SavedCheckpoint(
        thread_id=thread_id,
        namespace="",
        checkpoint_id="1",
        parent_id=None,
        checkpoint={"v": 4, "channel_versions": {"a": "1"}},
        metadata={"source": source},
    )
    blob = Blob(
        thread_id=thread_id, namespace="", channel="a", version="1", kind="bytes", token=b"1"
    )
    return Save(checkpoint=saved, blobs=[blob])


def write(token: bytes) -> Write:
    return Write(
        thread_id="thread",
        namespace="",
        checkpoint_id="1",
        task_id="task",
        task_path="",
        index=0,
        channel="a",
        kind="bytes",
        token=token,
    )


@pytest.fixture
async def rows(database_url: str) -> AsyncIterator[CheckpointRows]:
    async with open_pool(
        database_url,
        max_size=2,
        statement_timeout_seconds=30,
        application_name="tests",
        role=AGENT_ROLE,
    ) as pool:
        opened = CheckpointRows(pool)
        yield opened
        await opened.close()


async def count(rows: CheckpointRows, names: list[str]) -> int:
    found = await asyncio.gather(*(rows.find(name, "", None) for name in names))
    return sum(each is not None for each in found)


async def test_what_many_runs_save_at_once_is_all_there(rows: CheckpointRows) -> None:
    names = [f"thread {number}" for number in range(100)]
    await asyncio.gather(*(rows.save(checkpoint(name)) for name in names))
    assert await count(rows, names) == 100


async def test_one_runs_trouble_is_not_that_of_the_others(rows: CheckpointRows) -> None:
    names = ["first", "ill\0egal", "last"]
    saved = await asyncio.gather(
        *(rows.save(checkpoint(name)) for name in names), return_exceptions=True
    )
    assert [type(each) for each in saved] == [type(None), InvalidValue, type(None)]
    assert await count(rows, ["first", "last"]) == 2


async def test_a_save_that_cannot_even_be_sent_fails_and_the_others_are_stored(
    rows: CheckpointRows,
) -> None:
    whole, broken = checkpoint("whole"), checkpoint("broken")
    assert broken.checkpoint is not None
    unsendable = replace(broken.checkpoint, checkpoint={"v": object()})
    saved = await asyncio.gather(
        rows.save(whole), rows.save(replace(broken, checkpoint=unsendable)), return_exceptions=True
    )
    assert [type(each) for each in saved] == [type(None), TypeError]
    assert await count(rows, ["whole", "broken"]) == 1


async def test_of_two_saves_of_one_checkpoint_the_last_one_stands(rows: CheckpointRows) -> None:
    await asyncio.gather(
        rows.save(checkpoint("thread", source="input")), rows.save(checkpoint("thread"))
    )
    found = await rows.find("thread", "", "1")
    assert found is not None
    assert found["metadata"] == {"source": "loop"}


async def test_a_cancelled_run_does_not_hold_up_the_others(rows: CheckpointRows) -> None:
    cancelled = asyncio.create_task(rows.save(checkpoint("cancelled")))
    others = [asyncio.create_task(rows.save(checkpoint(str(number)))) for number in range(5)]
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(*others)
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert await count(rows, [str(number) for number in range(5)]) == 5


async def test_writes_stay_unless_they_are_to_be_replaced(
    rows: CheckpointRows, database_url: str
) -> None:
    await rows.save(Save(writes=[write(b"first")]))
    await rows.save(Save(writes=[write(b"second")]))
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT blob FROM checkpoint_writes") == b"first"
    await rows.replace_writes(Save(writes=[write(b"third"), write(b"fourth")]))
    assert await connection.fetchval("SELECT blob FROM checkpoint_writes") == b"fourth"
    await connection.close()


async def test_all_that_wait_hear_of_it_when_the_database_is_gone(
    rows: CheckpointRows, database_url: str
) -> None:
    await rows.save(checkpoint("before"))
    killer = await asyncpg.connect(database_url)
    await killer.execute("ALTER TABLE checkpoints RENAME TO hidden")
    saved = await asyncio.gather(
        *(rows.save(checkpoint(str(number))) for number in range(3)), return_exceptions=True
    )
    assert all(isinstance(each, Exception) for each in saved)
    await killer.execute("ALTER TABLE hidden RENAME TO checkpoints")
    await rows.save(checkpoint("after"))
    await killer.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await killer.close()
    results = await asyncio.gather(
        *(rows.save(checkpoint(f"late {number}")) for number in range(3)), return_exceptions=True
    )
    assert all(each is None or isinstance(each, DatabaseUnavailable) for each in results)
    await rows.save(checkpoint("recovered"))
    assert await count(rows, ["before", "after", "recovered"]) == 3
