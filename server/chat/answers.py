"""The whole answer of a run, waited for wherever the run is executed."""

from contextlib import aclosing
from datetime import datetime
from typing import Any

from persistence.conversation_records import Message
from persistence.database import Database
from persistence.errors import NotFound
from persistence.records import Run
from server.chat.service import AcceptedRun
from server.errors import RunGoesOn, RunNotFound, ServerError, find_kind
from server.runs.asking import approval_event
from server.runs.executor import RunExecutor
from server.runs.feed import RunFeed
from server.runs.run import RunOutcome, tool_events
from server.security.principal import Principal


class AnswerService:
    """Waits for answers, for one principal at a time."""

    def __init__(self, *, database: Database, executor: RunExecutor, feed: RunFeed) -> None:
        self._database = database
        self._executor = executor
        self._feed = feed

    async def wait(self, principal: Principal, accepted: AcceptedRun) -> dict[str, Any]:
        """The answer, when the run has ended or waits for a person.

        Raises:
            RunGoesOn: This server stops before that.
            RunNotFound: The run was deleted with its session.
            ServerError: The run ended with that error.
        """
        outcome = await accepted.live.outcome() if accepted.live is not None else None
        if outcome is not None:
            if outcome.status == "error":
                raise _failure(outcome.error_code, outcome.error_message)
            return _from_outcome(accepted, outcome)
        await self._follow(principal, accepted.run)
        return await self._from_store(principal, accepted)

    async def _follow(self, principal: Principal, run: Run) -> None:
        """Waits until the run has ended on whichever server has it."""
        async with aclosing(self._feed.follow(principal.scope, run.id)) as events:
            async for _ in events:
                pass
        if self._executor.stopping:
            raise RunGoesOn(details={"run_id": str(run.id)})

    async def _from_store(self, principal: Principal, accepted: AcceptedRun) -> dict[str, Any]:
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                run = await uow.runs.get(accepted.run.id)
                if run.status == "error":
                    raise _failure(run.error_code, None)
                pending = []
                if run.status == "awaiting_approval":
                    asked = await uow.approvals.of_run(run.id)
                    pending = [approval_event(each) for each in asked if each.status == "pending"]
                    return _waiting(accepted, run, pending)
                message = await uow.messages.answer_of(run.session_row_id, run.id)
            except NotFound as exc:
                raise RunNotFound from exc
        return _from_message(accepted, run, message)


def _failure(code: str | None, message: str | None) -> ServerError:
    return find_kind(code)(message)


def _from_outcome(accepted: AcceptedRun, outcome: RunOutcome) -> dict[str, Any]:
    return {
        "content": outcome.content,
        "reasoning": outcome.reasoning,
        "session_id": accepted.session_id,
        "run_id": accepted.run.id,
        "status": outcome.status,
        "sources": outcome.sources,
        "metadata": {
            "model": outcome.model,
            "tokens_in": outcome.tokens_in,
            "tokens_out": outcome.tokens_out,
            "iterations": outcome.iterations,
            "tool_calls": outcome.tool_calls,
            "latency_ms": outcome.latency_ms,
        },
        "tool_events": tool_events(outcome),
        "approvals": outcome.approvals,
    }


def _waiting(accepted: AcceptedRun, run: Run, approvals: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "content": "",
        "session_id": accepted.session_id,
        "run_id": run.id,
        "status": run.status,
        "sources": [],
        "metadata": _figures(run, None),
        "tool_events": [],
        "approvals": approvals,
    }


def _from_message(accepted: AcceptedRun, run: Run, message: Message) -> dict[str, Any]:
    return {
        "content": message.content,
        "reasoning": message.reasoning,
        "session_id": accepted.session_id,
        "run_id": run.id,
        "status": run.status,
        "sources": message.sources,
        "metadata": _figures(run, run.finished_at),
        "tool_events": message.tool_events,
    }


def _figures(run: Run, until: datetime | None) -> dict[str, Any]:
    latency = (until - run.started_at).total_seconds() if until is not None else 0.0
    return {
        "model": run.model,
        "tokens_in": run.tokens_in,
        "tokens_out": run.tokens_out,
        "iterations": run.iterations,
        "tool_calls": run.tool_calls,
        "latency_ms": round(latency * 1000),
    }
