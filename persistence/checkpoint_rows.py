"""The rows of LangGraph's checkpoint tables, found and saved by asyncpg.

LangGraph's saver sends several messages for each of the half a dozen times that a turn saves, and
wakes up for each answer. Here whatever is to be saved while an earlier save is on its way, by any
number of runs, goes out together, in one statement.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import asyncpg
import orjson
from langgraph.checkpoint.postgres.base import SELECT_SQL

from persistence.checkpoint_saves import Save, SaveBatch
from persistence.errors import DatabaseUnavailable, RunLost
from persistence.transaction import Row, errors_made_ours

ATTEMPT_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses between attempts while the database is away; a run is worth some waiting."""
LOCKED_PAUSE_SECONDS = 0.005
"""Between attempts while somebody changes a run's row, as whoever renews its lease does."""
LOCKED_SECONDS = 30.0
"""How long that may take."""

_ONE = f"{SELECT_SQL} WHERE thread_id = $1 AND checkpoint_ns = $2 AND checkpoint_id = $3"
_LATEST = (
    f"{SELECT_SQL} WHERE thread_id = $1 AND checkpoint_ns = $2 ORDER BY checkpoint_id DESC LIMIT 1"
)
_Waiting = tuple[Save, "asyncio.Future[bool]"]


class CheckpointRows:
    """Finds checkpoints, and saves those that are encrypted already."""

    def __init__(self, pool: "asyncpg.Pool[Row]") -> None:
        self.pool = pool
        self._waiting: list[_Waiting] = []
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
            RunLost: The save's fence does not hold any more; nothing was stored.
            DatabaseUnavailable: The database cannot be reached or broke off.
        """
        await _until_stored(lambda: self._store(save))

    async def replace_writes(self, save: Save) -> None:
        """Save writes that stand instead of earlier ones of the same task and index.

        Raises:
            RunLost: The save's fence does not hold any more; nothing was stored.
            DatabaseUnavailable: The database cannot be reached or broke off.
        """

        async def replace() -> bool:
            batch = SaveBatch([save])
            found = await self._run(*batch.replacing())
            return _is_stored(batch.place_of(save), found)

        await _until_stored(replace)

    async def close(self) -> None:
        """Wait for what is being saved."""
        if self._sender is not None:
            await self._sender

    async def _store(self, save: Save) -> bool:
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((save, stored))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_waiting(), name="save-checkpoints")
        return await stored

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._send(batch)
        finally:
            self._sender = None
            for _, stored in self._waiting:
                stored.cancel()

    async def _execute(self, batch: SaveBatch) -> Mapping[int, bool]:
        """Save, and try again while the database is away: saving twice changes nothing."""
        for pause in ATTEMPT_PAUSES_SECONDS:
            try:
                return await self._run(*batch.saving())
            except DatabaseUnavailable:
                await asyncio.sleep(pause)
        return await self._run(*batch.saving())

    async def _run(self, statement: str, columns: Sequence[Any]) -> Mapping[int, bool]:
        """Return the fences that hold, and whether nobody has locked their runs."""
        with errors_made_ours():
            rows = await self.pool.fetch(statement, *columns)
        return {row["fence"]: row["is_free"] for row in rows}

    async def _send(self, waiting: Sequence[_Waiting]) -> None:
        try:
            batch = SaveBatch([save for save, _ in waiting])
            found = await self._execute(batch)
        except asyncio.CancelledError:
            for _, stored in waiting:
                stored.cancel()
            raise
        except Exception as exc:  # noqa: BLE001 - a task's entry point: who waits must hear of it
            if len(waiting) > 1 and not isinstance(exc, DatabaseUnavailable):
                for each in waiting:  # one run's trouble must not become that of all
                    await self._send([each])
                return
            for _, stored in waiting:
                if not stored.done():
                    stored.set_exception(exc)
        else:
            for save, stored in waiting:
                if not stored.done():
                    _settle(stored, batch.place_of(save), found)


def _settle(stored: "asyncio.Future[bool]", fence: int, found: Mapping[int, bool]) -> None:
    try:
        stored.set_result(_is_stored(fence, found))
    except RunLost as exc:
        stored.set_exception(exc)


def _is_stored(fence: int, found: Mapping[int, bool]) -> bool:
    """Tell whether a save came through; not yet if the run's row was locked at that moment."""
    if fence == 0:
        return True
    if fence not in found:
        raise RunLost("the run of a checkpoint belongs to somebody else")
    return found[fence]


async def _until_stored(store: Callable[[], Awaitable[bool]]) -> None:
    loop = asyncio.get_running_loop()
    last = loop.time() + LOCKED_SECONDS
    while not await store():
        if loop.time() > last:
            raise DatabaseUnavailable("the run of a checkpoint was locked for too long")
        await asyncio.sleep(LOCKED_PAUSE_SECONDS)
