"""LangGraph's PostgreSQL saver with the key ring between it and its tables."""

import copy
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_serializable_checkpoint_metadata,
    writes_sort_key,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from persistence.checkpoint_fence import fence_of
from persistence.checkpoint_pruning import CheckpointPruner, stands_alone
from persistence.checkpoint_rows import CheckpointRows
from persistence.checkpoint_saves import Blob, Save, SavedCheckpoint, Write
from persistence.checkpoint_serializer import ThreadSerializer
from persistence.encryption import KeyRing
from persistence.errors import DatabaseError, DatabaseUnavailable, DecryptionError

AllowedTypes = Collection[type | tuple[str, ...]]

PRUNE_EVERY_STEPS = 50
"""How often a thread is pruned whose checkpoints are whole, and have no snapshots to go by."""
_METADATA_KEY = "fernet"


class EncryptedPostgresSaver(AsyncPostgresSaver):
    """Saves checkpoints with every value of state and metadata encrypted.

    LangGraph's own encryption leaves strings, numbers and booleans of the state in clear, and all
    of the metadata, and reads rows without a mark of encryption as they are. Here every channel
    value becomes a token in a row of its own, the metadata becomes one token, and what carries no
    mark is refused. In clear stay ids, versions and the names of channels and nodes.
    """

    def __init__(
        self,
        rows: CheckpointRows,
        connections: AsyncConnectionPool[AsyncConnection[DictRow]],
        key_ring: KeyRing,
        *,
        allowed_types: AllowedTypes = (),
    ) -> None:
        """Take two ways to one database.

        Args:
            rows: What every step of a run uses.
            connections: What LangGraph's own code uses, for all that is rare.
            key_ring: What protects the values.
            allowed_types: Classes whose objects may be built from a checkpoint.
        """
        self._rows = rows
        self._key_ring = key_ring
        self.plain_serializer = JsonPlusSerializer(
            allowed_msgpack_modules=tuple(allowed_types) or None
        )
        # Stands in where LangGraph names no thread, and opens nothing there.
        no_thread = ThreadSerializer(self.plain_serializer, key_ring, thread_id="")
        super().__init__(connections, serde=no_thread)
        self._pool = connections
        self._pruner = CheckpointPruner(rows.pool, self._open)

    def with_allowlist(
        self, extra_allowlist: Collection[tuple[str, ...]]
    ) -> "EncryptedPostgresSaver":
        """Return a saver that also builds objects of these classes."""
        clone = copy.copy(self)
        clone.plain_serializer = self.plain_serializer.with_msgpack_allowlist(extra_allowlist)
        return clone

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that `config` names, or the latest one of its thread."""
        configurable = config["configurable"]
        row = await self._rows.find(
            configurable["thread_id"],
            configurable.get("checkpoint_ns", ""),
            get_checkpoint_id(config),
        )
        return None if row is None else await self._load_checkpoint_tuple(row)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint.

        Raises:
            RunLost: The run belongs to somebody else by now; nothing was saved.
        """
        configurable = config["configurable"]
        thread_id, namespace = configurable["thread_id"], configurable["checkpoint_ns"]
        values = checkpoint["channel_values"]
        serializer = self._serializer(thread_id)
        blobs = []
        for channel, version in new_versions.items():
            if channel in values:
                kind, token = await serializer.dump(values[channel])
                blobs.append(
                    Blob(
                        thread_id=thread_id,
                        namespace=namespace,
                        channel=channel,
                        version=str(version),
                        kind=kind,
                        token=token,
                    )
                )
        # LangGraph finds the snapshots of its delta channels by these marks.
        marks = {name: True for name, value in values.items() if isinstance(value, _DeltaSnapshot)}
        saved = SavedCheckpoint(
            thread_id=thread_id,
            namespace=namespace,
            checkpoint_id=checkpoint["id"],
            parent_id=configurable.get("checkpoint_id"),
            checkpoint={**checkpoint, "channel_values": marks},
            metadata=self._seal(thread_id, get_serializable_checkpoint_metadata(config, metadata)),
        )
        await self._rows.save(Save(checkpoint=saved, blobs=blobs, fence=fence_of(config)))
        if marks or (stands_alone(metadata) and _is_due(metadata.get("step", 0))):
            self._pruner.schedule(thread_id)
        return _config(thread_id, namespace, checkpoint["id"])

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Save what a task wrote on the way to the next checkpoint.

        Raises:
            RunLost: The run belongs to somebody else by now; nothing was saved.
        """
        configurable = config["configurable"]
        serializer = self._serializer(configurable["thread_id"])
        sealed = []
        for position, (channel, value) in enumerate(writes):
            kind, token = await serializer.dump(value)
            sealed.append(
                Write(
                    thread_id=configurable["thread_id"],
                    namespace=configurable["checkpoint_ns"],
                    checkpoint_id=configurable["checkpoint_id"],
                    task_id=task_id,
                    task_path=task_path,
                    index=WRITES_IDX_MAP.get(channel, position),
                    channel=channel,
                    kind=kind,
                    token=token,
                )
            )
        save = Save(writes=sealed, fence=fence_of(config))
        if all(channel in WRITES_IDX_MAP for channel, _ in writes):
            await self._rows.replace_writes(save)
        else:
            await self._rows.save(save)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  (LangGraph's name)
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """List checkpoints, newest first; the metadata is compared after it was decrypted."""
        left = limit
        async for found in super().alist(config, before=before, limit=None if filter else limit):
            if filter and not filter.items() <= found.metadata.items():
                continue
            if left is not None:
                if left <= 0:
                    return
                left -= 1
            yield found

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Collect what was written to delta channels."""
        bound = copy.copy(self)
        bound.serde = self._serializer(config["configurable"]["thread_id"])
        return await super(EncryptedPostgresSaver, bound).aget_delta_channel_history(
            config=config, channels=channels
        )

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete threads, or what their newest checkpoints do not need, delta channels included.

        Raises:
            TypeError: `thread_ids` is one string.
            ValueError: There is no such strategy.
            DatabaseUnavailable: The threads before are pruned; doing it again does no harm.
        """
        if strategy != "keep_latest" or isinstance(thread_ids, str):
            await super().aprune(thread_ids, strategy=strategy)
            return
        for thread_id in thread_ids:
            await self._pruner.prune(thread_id)

    async def settle(self) -> None:
        """Wait for what is deleted in the background."""
        await self._pruner.settle()

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:
        """Yield a cursor on a connection of its own, so that runs do not wait for one another."""
        try:
            async with self._pool.connection() as connection:
                if pipeline:
                    async with (
                        connection.pipeline(),
                        connection.cursor(binary=True, row_factory=dict_row) as cursor,
                    ):
                        yield cursor
                else:
                    async with connection.cursor(binary=True, row_factory=dict_row) as cursor:
                        yield cursor
        except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
            raise DatabaseUnavailable(f"no checkpoint can be had ({type(exc).__name__})") from exc
        except psycopg.Error as exc:
            raise DatabaseError(f"the database refused a checkpoint ({exc.sqlstate})") from exc

    async def _load_checkpoint_tuple(self, value: DictRow) -> CheckpointTuple:
        thread_id, namespace = value["thread_id"], value["checkpoint_ns"]
        serializer = self._serializer(thread_id)
        checkpoint = value["checkpoint"]
        blobs = {
            name.decode(): await serializer.load((kind.decode(), token))
            for name, kind, token in value["channel_values"] or ()
        }
        if not checkpoint.get("channel_values", {}).keys() <= blobs.keys():
            raise DecryptionError("a checkpoint holds values that are not encrypted")
        return CheckpointTuple(
            config=_config(thread_id, namespace, value["checkpoint_id"]),
            checkpoint=cast("Checkpoint", {**checkpoint, "channel_values": blobs}),
            metadata=self._open(thread_id, value["metadata"]),
            parent_config=(
                _config(thread_id, namespace, value["parent_checkpoint_id"])
                if value["parent_checkpoint_id"]
                else None
            ),
            pending_writes=await _load_writes(serializer, value["pending_writes"]),
        )

    def _serializer(self, thread_id: str) -> ThreadSerializer:
        return ThreadSerializer(self.plain_serializer, self._key_ring, thread_id=thread_id)

    def _seal(self, thread_id: str, metadata: CheckpointMetadata) -> dict[str, str]:
        token = self._key_ring.encrypt_json(metadata, context=_metadata_context(thread_id))
        return {_METADATA_KEY: token.decode("ascii")}

    def _open(self, thread_id: str, sealed: dict[str, Any]) -> CheckpointMetadata:
        token = sealed.get(_METADATA_KEY)
        if len(sealed) != 1 or not isinstance(token, str):
            raise DecryptionError("the metadata of a checkpoint is not encrypted")
        metadata: CheckpointMetadata = self._key_ring.decrypt_json(
            token.encode("ascii", "replace"), context=_metadata_context(thread_id)
        )
        return metadata


def _is_due(step: int) -> bool:
    return step > 0 and step % PRUNE_EVERY_STEPS == 0


def _metadata_context(thread_id: str) -> str:
    return f"checkpoints.metadata/{thread_id}"


def _config(thread_id: str, namespace: str, checkpoint_id: str) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": thread_id,
            "checkpoint_ns": namespace,
            "checkpoint_id": checkpoint_id,
        }
    }


async def _load_writes(
    serializer: ThreadSerializer, rows: Sequence[Sequence[bytes]] | None
) -> list[tuple[str, str, Any]]:
    ordered = sorted(
        rows or (), key=lambda row: writes_sort_key(row[4].decode(), row[0].decode(), int(row[5]))
    )
    return [
        (task.decode(), channel.decode(), await serializer.load((kind.decode(), token)))
        for task, channel, kind, token, _path, _index in ordered
    ]
