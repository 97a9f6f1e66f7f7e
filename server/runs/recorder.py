"""What came of a run, written in one unit of work."""

import asyncio
from collections.abc import Iterator

import structlog

from persistence.database import Database
from persistence.errors import DatabaseUnavailable
from persistence.records import AuditEntry, NewToolRun
from server.audit.service import audit_entry
from server.runs.run import RunOutcome, RunRequest, tool_events

ATTEMPT_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""Pauses between attempts while the database is away; an answer is worth some waiting."""

log = structlog.get_logger(__name__)


class RunRecorder:
    """Writes the end of a run: the answer, its tool calls, its figures and the audit rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, request: RunRequest, outcome: RunOutcome) -> None:
        """Commits the outcome; tries again while the database is away.

        Raises:
            DatabaseUnavailable: It stayed away; the run's lease will lapse and mark it lost.
        """
        for pause in ATTEMPT_PAUSES_SECONDS:
            try:
                await self._write(request, outcome)
            except DatabaseUnavailable:
                log.warning("run_outcome_delayed", run_id=str(request.run_id))
                await asyncio.sleep(pause)
            else:
                return
        await self._write(request, outcome)

    async def _write(self, request: RunRequest, outcome: RunOutcome) -> None:
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
            if outcome.tools:
                await uow.tool_runs.add_many(_tool_runs(request, outcome))
            for entry in _audit_entries(request, outcome):
                await uow.audit.record(entry)
            await uow.commit()


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
