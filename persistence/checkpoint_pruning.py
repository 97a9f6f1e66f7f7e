"""Deletes the checkpoints that nobody can need any more.

To go on with a thread, or to resume it at an interrupt, LangGraph needs the newest checkpoint of
each namespace. A delta channel is put together from what was written since its last snapshot, so
the ancestors back to that are kept as well. All that is older is history that the product reads
from its own tables.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
import structlog

from persistence.errors import PersistenceError
from persistence.transaction import Row, errors_made_ours

_UNSAVED_CHANNELS = "counters_since_delta_snapshot"
"""LangGraph's name, in the metadata, for the delta channels whose value is not in a checkpoint."""
_HEADS = """
SELECT DISTINCT ON (checkpoint_ns) checkpoint_ns, checkpoint_id, parent_checkpoint_id, metadata
FROM checkpoints WHERE thread_id = $1 ORDER BY checkpoint_ns, checkpoint_id DESC
"""
# The oldest of the newest ancestors that hold a value of each channel; null if one has none.
_OLDEST_SEED = """
WITH RECURSIVE chain AS (
    SELECT checkpoint_id, parent_checkpoint_id, checkpoint -> 'channel_versions' AS versions
    FROM checkpoints WHERE thread_id = $1 AND checkpoint_ns = $2 AND checkpoint_id = $3
    UNION ALL
    SELECT c.checkpoint_id, c.parent_checkpoint_id, c.checkpoint -> 'channel_versions'
    FROM chain JOIN checkpoints c ON c.thread_id = $1 AND c.checkpoint_ns = $2
        AND c.checkpoint_id = chain.parent_checkpoint_id
), seeds AS (
    SELECT (
        SELECT max(chain.checkpoint_id) FROM chain JOIN checkpoint_blobs b
        ON b.thread_id = $1 AND b.checkpoint_ns = $2 AND b.channel = wanted
            AND b.version = chain.versions ->> wanted
    ) AS checkpoint_id
    FROM unnest($4::text[]) AS wanted
)
SELECT CASE WHEN bool_and(checkpoint_id IS NOT NULL) THEN min(checkpoint_id) END FROM seeds
"""
# What is saved meanwhile is not seen and not deleted: its values come in the same statement.
_DELETE_OLDER = """
WITH kept AS MATERIALIZED (
    SELECT DISTINCT v.key AS channel, v.value AS version
    FROM checkpoints c CROSS JOIN LATERAL jsonb_each_text(c.checkpoint -> 'channel_versions') AS v
    WHERE c.thread_id = $1 AND c.checkpoint_ns = $2 AND c.checkpoint_id >= $3
), blobs AS (
    DELETE FROM checkpoint_blobs b WHERE b.thread_id = $1 AND b.checkpoint_ns = $2
    AND NOT EXISTS (SELECT FROM kept k WHERE k.channel = b.channel AND k.version = b.version)
), writes AS (
    DELETE FROM checkpoint_writes
    WHERE thread_id = $1 AND checkpoint_ns = $2 AND checkpoint_id < $3
), roots AS (
    UPDATE checkpoints SET parent_checkpoint_id = NULL
    WHERE thread_id = $1 AND checkpoint_ns = $2 AND checkpoint_id = $3
    AND parent_checkpoint_id IS NOT NULL
)
DELETE FROM checkpoints WHERE thread_id = $1 AND checkpoint_ns = $2 AND checkpoint_id < $3
"""
_DELETE_NAMESPACE = """
WITH blobs AS (DELETE FROM checkpoint_blobs WHERE thread_id = $1 AND checkpoint_ns = $2),
writes AS (DELETE FROM checkpoint_writes WHERE thread_id = $1 AND checkpoint_ns = $2)
DELETE FROM checkpoints WHERE thread_id = $1 AND checkpoint_ns = $2
"""

ReadMetadata = Callable[[str, dict[str, Any]], Mapping[str, Any]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Head:
    """The newest checkpoint of a namespace."""

    namespace: str
    checkpoint_id: str
    parent_id: str | None
    metadata: Mapping[str, Any]

    def was_called_before(self, checkpoint_id: str) -> bool:
        """Tell whether this is a call of a graph within the graph, from an older checkpoint.

        A graph within that keeps its state between calls has no colon in its namespace.
        """
        caller = (self.metadata.get("parents") or {}).get("")
        return ":" in self.namespace and isinstance(caller, str) and caller < checkpoint_id


def stands_alone(metadata: Mapping[str, Any]) -> bool:
    """Tell whether a checkpoint holds the values of all channels itself."""
    return not metadata.get(_UNSAVED_CHANNELS)


class CheckpointPruner:
    """Prunes at once when it is told to, or one thread after the other in the background."""

    def __init__(self, pool: "asyncpg.Pool[Row]", read_metadata: ReadMetadata) -> None:
        """Args: read_metadata: opens the metadata of a thread's checkpoint."""
        self._pool = pool
        self._read_metadata = read_metadata
        self._due: dict[str, None] = {}
        self._worker: asyncio.Task[None] | None = None

    def schedule(self, thread_id: str) -> None:
        """Prune a thread soon; that it failed is logged, and its next time makes up for it."""
        self._due[thread_id] = None
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="prune-checkpoints")

    async def settle(self) -> None:
        """Wait for what is scheduled."""
        if self._worker is not None:
            await asyncio.shield(self._worker)

    async def prune(self, thread_id: str) -> None:
        """Delete what the newest checkpoints of a thread do not need.

        A run of the thread may be going on, or waiting at an interrupt.

        Raises:
            DatabaseUnavailable: The database cannot be reached or broke off.
            DecryptionError: The metadata of a checkpoint was tampered with; nothing is deleted.
        """
        heads = await self._heads(thread_id)
        root_floor = None
        for head in heads:  # the graph itself comes first: its namespace has no name
            if root_floor and head.was_called_before(root_floor):
                await self._execute(_DELETE_NAMESPACE, thread_id, head.namespace)
                continue
            floor = await self._floor(thread_id, head)
            if floor is not None:
                await self._execute(_DELETE_OLDER, thread_id, head.namespace, floor)
            if not head.namespace:
                root_floor = floor

    async def _heads(self, thread_id: str) -> list[_Head]:
        with errors_made_ours():
            rows = await self._pool.fetch(_HEADS, thread_id)
        return [
            _Head(
                namespace=row["checkpoint_ns"],
                checkpoint_id=row["checkpoint_id"],
                parent_id=row["parent_checkpoint_id"],
                metadata=self._read_metadata(thread_id, orjson.loads(row["metadata"])),
            )
            for row in rows
        ]

    async def _floor(self, thread_id: str, head: _Head) -> str | None:
        """Return the oldest checkpoint that the newest one needs; None if that is not known."""
        if stands_alone(head.metadata):
            return head.checkpoint_id
        channels = list(head.metadata[_UNSAVED_CHANNELS])
        with errors_made_ours():
            floor: str | None = await self._pool.fetchval(
                _OLDEST_SEED, thread_id, head.namespace, head.parent_id, channels
            )
        return floor

    async def _execute(self, statement: str, *values: str) -> None:
        with errors_made_ours():
            await self._pool.execute(statement, *values)

    async def _work(self) -> None:
        try:
            while self._due:
                thread_id = next(iter(self._due))
                del self._due[thread_id]
                try:
                    await self.prune(thread_id)
                except PersistenceError as exc:
                    log.warning("checkpoints_not_pruned", reason=type(exc).__name__)
        finally:
            self._worker = None
