"""What is saved of checkpoints, and the statements that do it, many saves in one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from persistence.run_records import RunClaim

HELD_RUNS = "youworker_held_runs(uuid[], integer[], text[])"
"""The function by which the agent's role asks which runs are still held."""
_HELD = "SELECT fence, is_free FROM youworker_held_runs($1::uuid[], $2::int[], $3::text[])"
_NO_FENCES = (
    "SELECT fence, false AS is_free FROM unnest($1::uuid[], $2::int[], $3::text[], '{}'::int[]) "
    "AS nobody (run_id, attempt, owner, fence)"
)
"""Of a database without runs, which has no such function, nothing more is asked."""
_STANDS = "fence = 0 OR fence IN (SELECT held.fence FROM held WHERE held.is_free)"


def _write_statement(first: int) -> str:
    kinds = ("int", "text", "text", "text", "text", "text", "int", "text", "text", "bytea")
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, first))
    return f"""
    INSERT INTO checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
    SELECT thread_id, ns, checkpoint_id, task_id, task_path, idx, channel, type, blob
    FROM unnest({arrays}) AS g (fence, thread_id, ns, checkpoint_id, task_id, task_path,
        idx, channel, type, blob)
    WHERE {_STANDS}
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
    """  # noqa: S608 - our own words


def _save(held: str) -> str:
    return f"""
WITH held AS MATERIALIZED ({held}), blobs AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    SELECT thread_id, ns, channel, version, type, blob
    FROM unnest($4::int[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
        $10::bytea[]) AS g (fence, thread_id, ns, channel, version, type, blob)
    WHERE {_STANDS}
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
), writes AS ({_write_statement(11)} DO NOTHING), saved AS (
    INSERT INTO checkpoints
        (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
    SELECT thread_id, ns, checkpoint_id, parent_id, checkpoint, metadata
    FROM unnest($21::int[], $22::text[], $23::text[], $24::text[], $25::text[], $26::jsonb[],
        $27::jsonb[]) AS g (fence, thread_id, ns, checkpoint_id, parent_id, checkpoint, metadata)
    WHERE {_STANDS}
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
    DO UPDATE SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata
)
SELECT fence, is_free FROM held
"""  # noqa: S608 - our own words


def _replace_writes(held: str) -> str:
    return f"""
WITH held AS MATERIALIZED ({held}), writes AS ({_write_statement(4)}
    DO UPDATE SET channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob
)
SELECT fence, is_free FROM held
"""  # noqa: S608 - our own words


_SAVE, _SAVE_UNFENCED = _save(_HELD), _save(_NO_FENCES)
_REPLACE, _REPLACE_UNFENCED = _replace_writes(_HELD), _replace_writes(_NO_FENCES)


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
    fence: RunClaim | None = None
    """Nothing is saved when this claim holds no more."""


class SaveBatch:
    """Saves that go out in one statement."""

    def __init__(self, saves: Sequence[Save]) -> None:
        self._saves = saves
        claims = dict.fromkeys(save.fence for save in saves if save.fence is not None)
        self._fences = {claim: number for number, claim in enumerate(claims, start=1)}

    def place_of(self, save: Save) -> int:
        """Return the number under which the statements tell of a save's fence; 0 for none."""
        return 0 if save.fence is None else self._fences[save.fence]

    def saving(self) -> tuple[str, list[list[Any]]]:
        """Return the statement that saves, and its parameters."""
        blobs = [(self.place_of(save), blob) for save in self._saves for blob in save.blobs]
        # A row can be saved once in a statement; the last one stands.
        checkpoints = {
            (each.thread_id, each.namespace, each.checkpoint_id): (self.place_of(save), each)
            for save in self._saves
            if (each := save.checkpoint) is not None
        }.values()
        return (_SAVE if self._fences else _SAVE_UNFENCED), [
            *self._fence_columns(),
            [place for place, _ in blobs],
            [blob.thread_id for _, blob in blobs],
            [blob.namespace for _, blob in blobs],
            [blob.channel for _, blob in blobs],
            [blob.version for _, blob in blobs],
            [blob.kind for _, blob in blobs],
            [blob.token for _, blob in blobs],
            *_write_columns(self._writes()),
            [place for place, _ in checkpoints],
            [each.thread_id for _, each in checkpoints],
            [each.namespace for _, each in checkpoints],
            [each.checkpoint_id for _, each in checkpoints],
            [each.parent_id for _, each in checkpoints],
            [orjson.dumps(each.checkpoint).decode() for _, each in checkpoints],
            [orjson.dumps(each.metadata).decode() for _, each in checkpoints],
        ]

    def replacing(self) -> tuple[str, list[list[Any]]]:
        """Return the statement that puts writes in the place of earlier ones."""
        last = {(write.task_id, write.index): (place, write) for place, write in self._writes()}
        columns = _write_columns(list(last.values()))
        return (_REPLACE if self._fences else _REPLACE_UNFENCED), [*self._fence_columns(), *columns]

    def _writes(self) -> list[tuple[int, Write]]:
        return [(self.place_of(save), write) for save in self._saves for write in save.writes]

    def _fence_columns(self) -> list[list[Any]]:
        return [
            [claim.run_id for claim in self._fences],
            [claim.attempt for claim in self._fences],
            [claim.owner for claim in self._fences],
        ]


def _write_columns(writes: Sequence[tuple[int, Write]]) -> list[list[Any]]:
    return [
        [place for place, _ in writes],
        [write.thread_id for _, write in writes],
        [write.namespace for _, write in writes],
        [write.checkpoint_id for _, write in writes],
        [write.task_id for _, write in writes],
        [write.task_path for _, write in writes],
        [write.index for _, write in writes],
        [write.channel for _, write in writes],
        [write.kind for _, write in writes],
        [write.token for _, write in writes],
    ]
