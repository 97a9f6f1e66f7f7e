"""How conversations are deleted: one of them, or all that a user has."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from langgraph.checkpoint.base import BaseCheckpointSaver

from persistence.access import AccessScope
from persistence.database import Database
from persistence.records import AuditEntry, ChatSession
from persistence.unit_of_work import UnitOfWork
from server.runs.executor import RunExecutor

BATCH = 100
"""Sessions that are deleted in one unit of work."""
RUNS_END_SECONDS = 10.0
"""How long runs may take to write down what there is of them."""


@dataclass(frozen=True, kw_only=True)
class ErasedHistory:
    """What came of deleting all that a user has."""

    erased: int
    left: int
    """Sessions that are still being answered, here or on another server."""


class SessionEraser:
    """Deletes sessions with their messages, runs, tool runs and checkpoints."""

    def __init__(
        self,
        *,
        database: Database,
        executor: RunExecutor,
        checkpointer: BaseCheckpointSaver[str],
    ) -> None:
        self._database = database
        self._executor = executor
        self._checkpointer = checkpointer

    async def erase(
        self, uow: UnitOfWork, sessions: Sequence[ChatSession]
    ) -> Sequence[ChatSession]:
        """Deletes those of the locked sessions that no run is answering; returns these."""
        answering = await uow.runs.answering([session.id for session in sessions])
        quiet = [session for session in sessions if session.id not in answering]
        # Checkpoints go first: should the rows' deletion fail, it can be asked for again,
        # whereas checkpoints without a row would be out of everybody's reach.
        for session in quiet:
            await self._checkpointer.adelete_thread(str(session.thread_id))
        await uow.sessions.delete([session.id for session in quiet])
        return quiet

    async def erase_all(
        self, scope: AccessScope, *, entry_for: Callable[[int], AuditEntry] | None = None
    ) -> ErasedHistory:
        """Stops the user's runs and deletes the user's sessions, so many at a time.

        What was deleted before something failed stays deleted, and the rest can be asked for again.

        Args:
            scope: Whose sessions.
            entry_for: Makes the audit entry for a number of sessions that were deleted together.
        """
        await self._end_runs(scope.user_id)
        last = erased = left = 0
        while True:
            async with self._database.unit_of_work(scope) as uow:
                sessions = await uow.sessions.after(last, limit=BATCH, lock=True)
                gone = await self.erase(uow, sessions)
                if entry_for is not None and (gone or last == 0):
                    await uow.audit.record(entry_for(len(gone)))
                await uow.commit()
            erased += len(gone)
            left += len(sessions) - len(gone)
            if len(sessions) < BATCH:
                return ErasedHistory(erased=erased, left=left)
            last = sessions[-1].id

    async def _end_runs(self, user_id: int) -> None:
        runs = self._executor.live_of(user_id)
        for run in runs:
            run.cancel()
        if runs:
            await asyncio.wait([run.finishing for run in runs], timeout=RUNS_END_SECONDS)
