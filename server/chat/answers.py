"""The whole answer of a run, waited for wherever the run is executed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime
from typing import Any

from persistence.conversation_records import Message
from persistence.database import Database
from persistence.errors import NotFound
from persistence.run_records import Run, RunStatus
from server.chat.followed_runs import FIRST_ID
from server.chat.service import AcceptedRun
from server.errors import RunGoesOn, RunNotFound, ServerError, find_kind
from server.runs.asking import approval_event
from server.runs.executor import RunExecutor
from server.runs.feed import RunFeed
from server.runs.run import RunOutcome, tool_events
from server.runs.wire import frames
from server.security.principal import Principal
from server.security.revocation import Revocation, Watch
from server.security.streams import end_with

_NOT_YET = "The run has not ended yet: GET /v1/runs/{run_id}/events follows it."


class AnswerService:
    """Gives answers, whole or as they come, for one principal at a time."""

    def __init__(
        self,
        *,
        database: Database,
        executor: RunExecutor,
        feed: RunFeed,
        revocation: Revocation,
        patience_seconds: float,
    ) -> None:
        """Args: patience_seconds: how long the end of a run is waited for that is not at work here.

        A run that is has a time limit of its own.
        """
        self._database = database
        self._executor = executor
        self._feed = feed
        self._revocation = revocation
        self._patience_seconds = patience_seconds

    def watch(self, principal: Principal) -> Watch:
        """Hears of what ends the principal's stream; to be taken before the run is begun."""
        # Not the user: who is locked out has the run cancelled, and is shown its end.
        return self._revocation.watch(
            None, login_id=principal.login_id, api_key_id=principal.api_key_id
        )

    def stream(
        self, principal: Principal, accepted: AcceptedRun, watch: Watch, *, heartbeat_seconds: float
    ) -> AsyncGenerator[bytes, None]:
        """The run's events as server-sent events; they break off when the watch ends."""
        events = self._feed.follow(
            principal.scope, accepted.run.id, heartbeat_seconds=heartbeat_seconds
        )
        return end_with(watch, frames(events))

    async def wait(
        self,
        principal: Principal,
        accepted: AcceptedRun,
        *,
        left: Awaitable[object],
        on_left: Callable[[], object],
    ) -> dict[str, Any]:
        """The answer, when the run has ended or waits for a person.

        Args:
            principal: Who asks.
            accepted: The run.
            left: Comes when nobody waits for the answer any more.
            on_left: Called once when that comes before the answer.

        Raises:
            RunGoesOn: This server stops before that, it takes too long, or nobody waits.
            RunNotFound: The run was deleted with its session.
            ServerError: The run ended with that error.
        """
        waiting = asyncio.ensure_future(self.whole(principal, accepted))
        leaving = asyncio.ensure_future(left)
        try:
            await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                on_left()
                raise _goes_on(accepted.run, accepted.run.status, _NOT_YET)  # which nobody reads
            return waiting.result()
        finally:
            waiting.cancel()
            leaving.cancel()
            await asyncio.gather(waiting, leaving, return_exceptions=True)

    async def whole(self, principal: Principal, accepted: AcceptedRun) -> dict[str, Any]:
        """The answer, however long it takes.

        Raises:
            RunGoesOn: This server stops before that, or it takes too long.
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
        """Waits until the run has ended on whichever server has it.

        Raises:
            RunGoesOn: This server stops before that, or it takes too long.
        """
        status = run.status
        events = self._feed.follow(principal.scope, run.id)
        try:
            async with asyncio.timeout(self._patience_seconds), aclosing(events):
                async for shown in events:
                    if shown and shown[-1][0] > FIRST_ID:  # a run that waits for its turn has one
                        status = "running"
        except TimeoutError as exc:
            raise _goes_on(run, status, _NOT_YET) from exc
        if self._executor.stopping:
            raise _goes_on(run, status)

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


def _goes_on(run: Run, status: RunStatus, message: str | None = None) -> RunGoesOn:
    return RunGoesOn(message, details={"run_id": str(run.id), "status": status})


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
            "citations": outcome.citations.as_json(),
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
        "metadata": _figures(run, run.finished_at) | {"citations": message.citations},
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
