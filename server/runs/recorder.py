"""What came of a run, written in one unit of work together with its last events."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

import structlog
from langgraph.checkpoint.base import BaseCheckpointSaver

from persistence.database import Database
from persistence.errors import (
    DatabaseUnavailable,
    DecryptionError,
    NotFound,
    PersistenceError,
    RunLost,
)
from persistence.event_batches import EventBatch
from persistence.notifications import Channel
from persistence.run_records import ModelCall, NewToolRun, Run
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry
from server.errors import DatabaseFailed
from server.observability import describe
from server.runs.asking import approval_event, ask_people, asked_before
from server.runs.citations import FoundSource, may_cite_earlier, resolve_citations
from server.runs.journal import tool_audit_entry
from server.runs.log_writer import LogWriter
from server.runs.run import RunOutcome, RunRequest, last_events, tool_events

ATTEMPT_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Pauses between attempts while the database is away; an answer is worth some waiting."""
SESSION_ANSWERS = 200
"""How many messages are looked through for what an answer cites of earlier ones."""
UNWRITABLE = (PersistenceError, ValueError, TypeError, RecursionError)
"""What an outcome that cannot be written as it is may raise; encoding it comes before writing."""

log = structlog.get_logger(__name__)


class RunRecorder:
    """Writes the end of a run, or that it waits: answer, tool calls, figures, events, audit."""

    def __init__(
        self,
        database: Database,
        log_writer: LogWriter,
        *,
        checkpointer: BaseCheckpointSaver[str] | None = None,
        approval_seconds: float = 86_400,
    ) -> None:
        """Args: log_writer: has what of the runs' events is not stored yet."""
        self._database = database
        self._log_writer = log_writer
        self._checkpointer = checkpointer
        self._approval_time = timedelta(seconds=approval_seconds)

    async def record(self, request: RunRequest, outcome: RunOutcome) -> RunOutcome:
        """Commits the outcome and shows the last events; tries again while the database is away.

        Returns:
            The outcome, with the approvals that it waits for.

        Raises:
            DatabaseUnavailable: It stayed away; the run's lease will lapse, and it is gone on with.
            RunLost: Another process has the run now: nothing was written.
            NotFound: The session was deleted; what the run left in the agent's memory is, too.
            PersistenceError, ValueError, TypeError, RecursionError: The outcome cannot be written
                as it is; the run has ended with an error instead.
        """
        try:
            return await self._write_in_time(request, outcome)
        except (DatabaseUnavailable, RunLost):
            raise
        except NotFound:
            await self.forget_deleted(request)
            raise
        except UNWRITABLE:
            await self._write_failure(request, outcome)
            raise

    async def hand_over(self, request: RunRequest) -> None:
        """Stores what waits and leaves the run to whoever takes it.

        Raises:
            PersistenceError: It could not be stored; the run's lease will lapse.
        """
        batches = self._log_writer.drain(request.run_id)
        stream = self._log_writer.stream(request.run_id)
        facts = stream.usage_left if stream is not None else ()
        calls = [ModelCall(**fact["call"]) for fact in facts if "call" in fact]
        async with self._database.unit_of_work(request.principal.scope) as uow:
            if await uow.run_claims.hand_over(request.claim, model_calls=calls):
                await uow.run_events.append(*batches)
                await uow.commit()
                self._show(request, batches)

    async def forget_deleted(self, request: RunRequest) -> None:
        """Removes what a run has left in the agent's memory after its session was deleted."""
        if self._checkpointer is not None and await self._read(request) is None:
            await self._checkpointer.adelete_thread(str(request.thread_id))

    async def _write_failure(self, request: RunRequest, outcome: RunOutcome) -> None:
        """Ends the run with the least that there is to say, with its answer if that can be kept."""
        failure = RunOutcome(
            status="error",
            content=outcome.content,
            model=request.model,
            latency_ms=outcome.latency_ms,
            error_code=DatabaseFailed.code,
            error_message=DatabaseFailed.message,
        )
        try:
            await self._write_in_time(request, failure)
        except (DatabaseUnavailable, RunLost, NotFound):
            raise
        except UNWRITABLE as exc:
            log.warning("answer_unwritable", run_id=str(request.run_id), **describe(exc))
            await self._write_in_time(request, failure, with_answer=False)

    async def _write_in_time(
        self, request: RunRequest, outcome: RunOutcome, *, with_answer: bool = True
    ) -> RunOutcome:
        for pause in chain(ATTEMPT_PAUSES_SECONDS, (None,)):
            try:
                return await self._write_once(request, outcome, with_answer=with_answer)
            except DatabaseUnavailable:
                if pause is None:
                    raise
                log.warning("run_outcome_delayed", run_id=str(request.run_id))
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _write_once(
        self, request: RunRequest, outcome: RunOutcome, *, with_answer: bool
    ) -> RunOutcome:
        if with_answer:
            outcome = await self._with_citations(request, outcome)
        try:
            return await self._write(request, outcome, with_answer=with_answer)
        except RunLost:
            # An attempt may have been committed although its answer was lost on the way.
            stored = await self._read(request)
            if (
                stored is None
                or stored.status != outcome.status
                or stored.attempt != request.claim.attempt
            ):
                raise
            outcome = await self._with_approvals(request, outcome)
            if outcome.open_questions:
                async with self._database.unit_of_work(request.principal.scope) as uow:
                    outcome = await _close_questions(uow, request, outcome)
            self._show(request, self._log_writer.drain(request.run_id, last_events(outcome)))
            return outcome

    async def _write(
        self, request: RunRequest, outcome: RunOutcome, *, with_answer: bool
    ) -> RunOutcome:
        async with self._database.unit_of_work(request.principal.scope) as uow:
            if outcome.open_questions:
                outcome = await _close_questions(uow, request, outcome)
            if outcome.status == "awaiting_approval":
                outcome = await self._pause(uow, request, outcome)
            else:
                await _finish(uow, request, outcome, with_answer=with_answer)
            batches = self._log_writer.drain(request.run_id, last_events(outcome))
            await uow.run_events.append(*batches)
            await _record_tools(uow, request, outcome)
            await uow.commit()
        self._show(request, batches)
        return outcome

    async def _with_citations(self, request: RunRequest, outcome: RunOutcome) -> RunOutcome:
        """Holds what the answer cites against what was found for it, and then for earlier ones."""
        if outcome.status == "awaiting_approval":
            return outcome
        resolved = resolve_citations(outcome.content, outcome.sources)
        if may_cite_earlier(outcome.content, resolved.citations):
            earlier = await self._earlier_sources(request)
            resolved = resolve_citations(outcome.content, outcome.sources, earlier)
        return replace(outcome, sources=resolved.sources, citations=resolved.citations)

    async def _earlier_sources(self, request: RunRequest) -> list[FoundSource]:
        async with self._database.unit_of_work(request.principal.scope) as uow:
            try:
                page = await uow.messages.list(
                    request.session_row_id, limit=SESSION_ANSWERS, newest_first=True
                )
            except DecryptionError as exc:  # which says nothing about this answer
                log.warning("citations_unread", run_id=str(request.run_id), **describe(exc))
                return []
        return [source for message in page.items for source in message.sources]

    async def _pause(self, uow: UnitOfWork, request: RunRequest, outcome: RunOutcome) -> RunOutcome:
        await uow.runs.pause(request.claim, **_figures(outcome))
        asked = await ask_people(
            uow,
            request.principal,
            request.origin,
            request.run_id,
            outcome.requests,
            expires_at=datetime.now(UTC) + self._approval_time,
        )
        return replace(outcome, approvals=tuple(map(approval_event, asked)))

    async def _with_approvals(self, request: RunRequest, outcome: RunOutcome) -> RunOutcome:
        """Adds the approvals that were written by an attempt whose answer was lost."""
        if outcome.status != "awaiting_approval":
            return outcome
        async with self._database.unit_of_work(request.principal.scope) as uow:
            asked = await asked_before(uow, request.run_id, outcome.requests)
        return replace(outcome, approvals=tuple(map(approval_event, asked)))

    async def _read(self, request: RunRequest) -> Run | None:
        async with self._database.unit_of_work(request.principal.scope) as uow:
            try:
                return await uow.runs.get(request.run_id)
            except NotFound:
                return None

    def _show(self, request: RunRequest, batches: Sequence[EventBatch]) -> None:
        stream = self._log_writer.stream(request.run_id)
        if stream is not None:
            stream.confirm(*batches)


async def _close_questions(uow: UnitOfWork, request: RunRequest, outcome: RunOutcome) -> RunOutcome:
    """Adds how what tools' servers have asked ended; what nobody has answered ends with the run."""
    await uow.questions.cancel_of_run(request.run_id)
    asked = await uow.questions.of_ids([UUID(each) for each in outcome.open_questions])
    ended = ({"question_id": str(each.id), "status": each.status} for each in asked)
    return replace(outcome, questions=tuple(ended))


async def _finish(
    uow: UnitOfWork, request: RunRequest, outcome: RunOutcome, *, with_answer: bool
) -> None:
    if with_answer:  # first, for it locks the session, as the end of a run needs it
        await uow.messages.add(
            request.session_row_id,
            role="assistant",
            content=outcome.content,
            run_id=request.run_id,
            reasoning=outcome.reasoning,
            sources=outcome.sources,
            citations=outcome.citations.as_json(),
            tool_events=tool_events(outcome),
            model=outcome.model,
            tokens_in=outcome.tokens_in,
            tokens_out=outcome.tokens_out,
            status=outcome.status,
        )
    await uow.runs.finish(
        request.claim, outcome.status, error_code=outcome.error_code, **_figures(outcome)
    )
    if not with_answer:  # somebody may be about to queue behind the run, unseen so far
        await uow.notify(Channel.RUN_WAITING, str(request.run_id))
    if request.past is not None:
        await uow.approvals.withdraw(request.run_id)
    await uow.audit.record(
        audit_entry(
            "run.finish",
            request.principal,
            request.origin,
            resource=("run", str(request.run_id)),
            success=outcome.status == "success",
            details={"code": outcome.error_code} if outcome.error_code is not None else None,
        )
    )


async def _record_tools(uow: UnitOfWork, request: RunRequest, outcome: RunOutcome) -> None:
    calls = [
        NewToolRun(
            run_id=request.run_id,
            call_id=tool.call_id,
            tool=tool.tool,
            args=tool.args,
            result=tool.result,
            status=tool.status,
            latency_ms=tool.latency_ms,
            contents=tool.contents,
            started_at=tool.started_at,
        )
        for tool in outcome.tools
        if not tool.is_recorded
    ]
    await uow.tool_runs.add_many(calls)
    for call in calls:
        await uow.audit.record(tool_audit_entry(call, request.principal, request.origin))


def _figures(outcome: RunOutcome) -> dict[str, Any]:
    return {
        "iterations": outcome.iterations,
        "tool_calls": outcome.tool_calls,
        "tokens_in": outcome.tokens_in,
        "tokens_out": outcome.tokens_out,
        "model_calls": outcome.model_calls,
    }
