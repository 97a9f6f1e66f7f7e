"""What came of a run, written in one unit of work."""

import asyncio
from collections.abc import Iterator

import structlog
from langgraph.checkpoint.base import BaseCheckpointSaver

from persistence.database import Database
from persistence.errors import DatabaseUnavailable, NotFound, PersistenceError
from persistence.records import AuditEntry, NewToolRun
from persistence.records import RunStatus as StoredStatus
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry
from server.observability import describe
from server.runs.run import RunOutcome, RunRequest, tool_events

ATTEMPT_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Pauses between attempts while the database is away; an answer is worth some waiting."""
UNWRITABLE = (PersistenceError, ValueError, TypeError, RecursionError)
"""What an outcome that cannot be written as it is may raise; encoding it comes before writing."""
DATABASE_ERROR = "DATABASE_ERROR"
"""The error code of a run whose outcome could not be written as it was."""

log = structlog.get_logger(__name__)


class RunRecorder:
    """Writes the end of a run: the answer, its tool calls, its figures and the audit rows."""

    def __init__(
        self, database: Database, checkpointer: BaseCheckpointSaver[str] | None = None
    ) -> None:
        self._database = database
        self._checkpointer = checkpointer

    async def record(self, request: RunRequest, outcome: RunOutcome) -> None:
        """Commits the outcome; tries again while the database is away.

        Raises:
            DatabaseUnavailable: It stayed away; the run's lease will lapse and mark it lost.
            NotFound: The session was deleted; what the run left in the agent's memory is, too.
            PersistenceError, ValueError, TypeError, RecursionError: The outcome cannot be written
                as it is; the run has ended with an error instead.
        """
        try:
            await self._write_in_time(request, outcome)
        except DatabaseUnavailable:
            raise
        except NotFound:
            if self._checkpointer is not None and await self._status(request) is None:
                await self._checkpointer.adelete_thread(str(request.thread_id))
            raise
        except UNWRITABLE:
            await self._write_failure(request, outcome)
            raise

    async def _write_failure(self, request: RunRequest, outcome: RunOutcome) -> None:
        """Ends the run with the least that there is to say, with its answer if that can be kept."""
        failure = RunOutcome(
            status="error",
            content=outcome.content,
            model=request.model,
            latency_ms=outcome.latency_ms,
            error_code=DATABASE_ERROR,
        )
        try:
            await self._write_in_time(request, failure)
        except (DatabaseUnavailable, NotFound):
            raise
        except UNWRITABLE as exc:
            log.warning("answer_unwritable", run_id=str(request.run_id), **describe(exc))
            await self._write_in_time(request, failure, with_answer=False)

    async def _write_in_time(
        self, request: RunRequest, outcome: RunOutcome, *, with_answer: bool = True
    ) -> None:
        for pause in ATTEMPT_PAUSES_SECONDS:
            try:
                return await self._write_once(request, outcome, with_answer=with_answer)
            except DatabaseUnavailable:
                log.warning("run_outcome_delayed", run_id=str(request.run_id))
                await asyncio.sleep(pause)
        return await self._write_once(request, outcome, with_answer=with_answer)

    async def _write_once(
        self, request: RunRequest, outcome: RunOutcome, *, with_answer: bool
    ) -> None:
        try:
            await self._write(request, outcome, with_answer=with_answer)
        except NotFound:
            # An attempt may have been committed although its answer was lost on the way.
            if await self._status(request) != outcome.status:
                raise

    async def _status(self, request: RunRequest) -> StoredStatus | None:
        async with self._database.unit_of_work(request.principal.scope) as uow:
            try:
                return (await uow.runs.get(request.run_id)).status
            except NotFound:
                return None

    async def _write(self, request: RunRequest, outcome: RunOutcome, *, with_answer: bool) -> None:
        async with self._database.unit_of_work(request.principal.scope) as uow:
            await uow.runs.finish(
                request.run_id,
                status=outcome.status,
                error_code=outcome.error_code,
                iterations=outcome.iterations,
                tool_calls=outcome.tool_calls,
                tokens_in=outcome.tokens_in,
                tokens_out=outcome.tokens_out,
            )
            if with_answer:
                await _add_answer(uow, request, outcome)
            if outcome.tools:
                await uow.tool_runs.add_many(_tool_runs(request, outcome))
            for entry in _audit_entries(request, outcome):
                await uow.audit.record(entry)
            await uow.commit()


async def _add_answer(uow: UnitOfWork, request: RunRequest, outcome: RunOutcome) -> None:
    await uow.messages.add(
        request.session_row_id,
        role="assistant",
        content=outcome.content,
        run_id=request.run_id,
        reasoning=outcome.reasoning,
        sources=outcome.sources,
        tool_events=tool_events(outcome),
        model=outcome.model,
        tokens_in=outcome.tokens_in,
        tokens_out=outcome.tokens_out,
        status=outcome.status,
    )


def _tool_runs(request: RunRequest, outcome: RunOutcome) -> list[NewToolRun]:
    return [
        NewToolRun(
            run_id=request.run_id,
            call_id=tool.call_id,
            tool=tool.tool,
            args=tool.args,
            result=tool.result,
            status=tool.status,
            latency_ms=tool.latency_ms,
            started_at=tool.started_at,
        )
        for tool in outcome.tools
    ]


def _audit_entries(request: RunRequest, outcome: RunOutcome) -> Iterator[AuditEntry]:
    yield audit_entry(
        "run.finish",
        request.principal,
        request.origin,
        resource=("run", str(request.run_id)),
        success=outcome.status == "success",
    )
    for tool in outcome.tools:
        yield audit_entry(
            "tool.call",
            request.principal,
            request.origin,
            resource=("tool", tool.tool),
            success=tool.status == "end",
            details={"run_id": str(request.run_id), "call_id": tool.call_id},
        )
