"""How conversations are deleted: one of them, or all that a user has."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from langgraph.checkpoint.base import BaseCheckpointSaver

from persistence.access import AccessScope
from persistence.conversation_records import ChatSession
from persistence.database import Database
from persistence.errors import PersistenceError
from persistence.records import AuditEntry
from persistence.unit_of_work import UnitOfWork
from server.observability import describe
from server.runs.canceller import RunCanceller

BATCH = 100
"""Sessions that are deleted in one unit of work."""
RUNS_END_SECONDS = 10.0
"""How long runs may take to write down what there is of them."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ErasedHistory:
    """What came of deleting all that a user has."""

    erased: int
    left: int
    """Sessions in which a run could not be ended."""


class SessionEraser:
    """Deletes sessions with their messages, runs, tool runs and checkpoints."""

    def __init__(
        self,
        *,
        database: Database,
        canceller: RunCanceller,
        checkpointer: BaseCheckpointSaver[str],
    ) -> None:
        self._database = database
        self._canceller = canceller
        self._checkpointer = checkpointer

    async def erase(
        self, uow: UnitOfWork, sessions: Sequence[ChatSession]
    ) -> Sequence[ChatSession]:
        """Deletes those of the locked sessions that no run is answering; returns these.

        Runs that wait, for their turn or for a person, are deleted with them.
        """
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
        await self._end_runs(scope)
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

    async def _end_runs(self, scope: AccessScope) -> None:
        async with self._database.unit_of_work(scope) as uow:
            runs = await uow.runs.live()  # the newest first, so that none begins in between
        try:
            async with asyncio.timeout(RUNS_END_SECONDS):
                for run in runs:
                    await self._canceller.cancel(scope, run.id)
        except (TimeoutError, PersistenceError) as exc:  # their sessions are left, and counted
            log.warning("runs_not_ended", **describe(exc))
