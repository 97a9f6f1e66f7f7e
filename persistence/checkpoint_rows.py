"""The rows of LangGraph's checkpoint tables, found and saved by asyncpg.

LangGraph's saver sends several messages for each of the half a dozen times that a turn saves, and
wakes up for each answer. Here whatever is to be saved while an earlier save is on its way, by any
number of runs, goes out together, in one statement.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
from langgraph.checkpoint.postgres.base import SELECT_SQL

from persistence.errors import DatabaseUnavailable, PersistenceError
from persistence.transaction import Row, errors_made_ours

ATTEMPT_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses between attempts while the database is away; a run is worth some waiting."""

_ONE = f"{SELECT_SQL} WHERE thread_id = $1 AND checkpoint_ns = $2 AND checkpoint_id = $3"
_LATEST = (
    f"{SELECT_SQL} WHERE thread_id = $1 AND checkpoint_ns = $2 ORDER BY checkpoint_id DESC LIMIT 1"
)
_SAVE = """
WITH blobs AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[])
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
), writes AS (
    INSERT INTO checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
    SELECT * FROM unnest($7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
        $12::int[], $13::text[], $14::text[], $15::bytea[])
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO NOTHING
)
INSERT INTO checkpoints
    (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
SELECT * FROM unnest($16::text[], $17::text[], $18::text[], $19::text[], $20::jsonb[], $21::jsonb[])
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
DO UPDATE SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata
"""
_REPLACE_WRITES = """
INSERT INTO checkpoint_writes
    (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
    $6::int[], $7::text[], $8::text[], $9::bytea[])
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
DO UPDATE SET channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob
"""


@dataclass(frozen=True, kw_only=True)
class Blob:
    """The value of one channel."""

    thread_id: str
    namespace: str
    """Empty for the graph itself, the path of a graph within a graph otherwise."""
    channel: str
    version: str
    kind: str
    """The serializer's word for how the value was written."""
    token: bytes


@dataclass(frozen=True, kw_only=True)
class Write:
    """What a task wrote to one channel."""

    thread_id: str
    namespace: str
    checkpoint_id: str
    task_id: str
    task_path: str
    index: int
    channel: str
    kind: str
    token: bytes


@dataclass(frozen=True, kw_only=True)
class SavedCheckpoint:
    """A checkpoint, but for its values."""

    thread_id: str
    namespace: str
    checkpoint_id: str
    parent_id: str | None
    checkpoint: dict[str, Any]
    metadata: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Save:
    """What is to be saved at one time by one run."""

    checkpoint: SavedCheckpoint | None = None
    blobs: Sequence[Blob] = ()
    writes: Sequence[Write] = ()


class CheckpointRows:
    """Finds checkpoints, and saves those that are encrypted already."""

    def __init__(self, pool: "asyncpg.Pool[Row]") -> None:
        self.pool = pool
        self._waiting: list[tuple[Save, asyncio.Future[None]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def find(
        self, thread_id: str, namespace: str, checkpoint_id: str | None
    ) -> dict[str, Any] | None:
        """Return one checkpoint's row, or the latest one's.

        Raises:
            DatabaseUnavailable: The database cannot be reached or broke off.
        """
        with errors_made_ours():
            if checkpoint_id:
                row = await self.pool.fetchrow(_ONE, thread_id, namespace, checkpoint_id)
            else:
                row = await self.pool.fetchrow(_LATEST, thread_id, namespace)
        if row is None:
            return None
        return {
            **row,
            "checkpoint": orjson.loads(row["checkpoint"]),
            "metadata": orjson.loads(row["metadata"]),
        }

    async def save(self, save: Save) -> None:
        """Save, together with what other runs save; return when it is stored.

        Raises:
            DatabaseUnavailable: The database cannot be reached or broke off.
        """
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((save, stored))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_waiting(), name="save-checkpoints")
        await stored

    async def replace_writes(self, writes: Sequence[Write]) -> None:
        """Save writes that stand instead of earlier ones of the same task and index.

        Raises:
            DatabaseUnavailable: The database cannot be reached or broke off.
        """
        last = {(write.task_id, write.index): write for write in writes}
        with errors_made_ours():
            await self.pool.execute(_REPLACE_WRITES, *_write_columns(list(last.values())))

    async def close(self) -> None:
        """Wait for what is being saved."""
        if self._sender is not None:
            await self._sender

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._send(batch)
        finally:
            self._sender = None
            for _, stored in self._waiting:
                stored.cancel()

    async def _execute(self, saves: Sequence[Save]) -> None:
        """Save, and try again while the database is away: saving twice changes nothing."""
        for pause in ATTEMPT_PAUSES_SECONDS:
            try:
                with errors_made_ours():
                    await self.pool.execute(_SAVE, *_columns(saves))
            except DatabaseUnavailable:
                await asyncio.sleep(pause)
            else:
                return
        with errors_made_ours():
            await self.pool.execute(_SAVE, *_columns(saves))

    async def _send(self, batch: list[tuple[Save, asyncio.Future[None]]]) -> None:
        try:
            await self._execute([save for save, _ in batch])
        except PersistenceError as exc:
            if len(batch) > 1 and not isinstance(exc, DatabaseUnavailable):
                for each in batch:  # one run's trouble must not become that of all
                    await self._send([each])
                return
            for _, stored in batch:
                if not stored.done():
                    stored.set_exception(exc)
        except asyncio.CancelledError:
            for _, stored in batch:
                stored.cancel()
            raise
        else:
            for _, stored in batch:
                if not stored.done():
                    stored.set_result(None)


def _columns(saves: Sequence[Save]) -> list[list[Any]]:
    """Turn saves into the columns of `_SAVE`."""
    blobs = [blob for save in saves for blob in save.blobs]
    writes = [write for save in saves for write in save.writes]
    # A row can be saved once in a statement; the last one stands.
    checkpoints = {
        (each.thread_id, each.namespace, each.checkpoint_id): each
        for save in saves
        if (each := save.checkpoint) is not None
    }.values()
    return [
        [blob.thread_id for blob in blobs],
        [blob.namespace for blob in blobs],
        [blob.channel for blob in blobs],
        [blob.version for blob in blobs],
        [blob.kind for blob in blobs],
        [blob.token for blob in blobs],
        *_write_columns(writes),
        [each.thread_id for each in checkpoints],
        [each.namespace for each in checkpoints],
        [each.checkpoint_id for each in checkpoints],
        [each.parent_id for each in checkpoints],
        [orjson.dumps(each.checkpoint).decode() for each in checkpoints],
        [orjson.dumps(each.metadata).decode() for each in checkpoints],
    ]


def _write_columns(writes: Sequence[Write]) -> list[list[Any]]:
    return [
        [write.thread_id for write in writes],
        [write.namespace for write in writes],
        [write.checkpoint_id for write in writes],
        [write.task_id for write in writes],
        [write.task_path for write in writes],
        [write.index for write in writes],
        [write.channel for write in writes],
        [write.kind for write in writes],
        [write.token for write in writes],
    ]
