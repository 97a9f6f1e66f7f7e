"""The executor: each run is a task of its own, apart from the request that asked for it."""

import asyncio
from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from graph.agent import Agent
from graph.errors import AgentError
from graph.events import run_agent
from persistence.errors import PersistenceError
from server.error_responses import translate
from server.observability import describe
from server.runs.progress import RunProgress
from server.runs.recorder import RunRecorder
from server.runs.run import RunOutcome, RunRequest
from server.runs.stream import RunStream
from server.security.revocation import Watch

STOP_SECONDS = 10.0
"""How long runs may take to write down what there is of them when the server stops."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class LiveRun:
    """A run that is being executed here."""

    request: RunRequest
    stream: RunStream
    answering: "asyncio.Task[RunOutcome]"
    """Asks the agent; the part of a run that can be cancelled."""
    finishing: "asyncio.Task[RunOutcome]"
    """Waits for the answer and writes it down; nobody cancels it."""

    def cancel(self) -> None:
        """Stops the answering; what there is of the answer is written down and the stream ends."""
        self.answering.cancel()

    async def outcome(self) -> RunOutcome:
        """Waits for the end; a waiter that is cancelled leaves the run alone."""
        return await asyncio.shield(self.finishing)


class RunExecutor:
    """Executes runs and keeps those that are alive."""

    def __init__(self, agent: Agent, recorder: RunRecorder) -> None:
        self._agent = agent
        self._recorder = recorder
        self._live: dict[UUID, LiveRun] = {}

    def start(self, request: RunRequest, watch: Watch) -> LiveRun:
        """Begins a recorded run; returns at once.

        Args:
            request: The run.
            watch: Of its user; it ends the run, and is closed when that has ended.
        """
        stream = RunStream()
        stream.append("run", {"run_id": str(request.run_id), "session_id": request.session_id})
        progress = RunProgress(stream, model=request.model)
        answering = asyncio.create_task(self._answer(request, progress))
        finishing = asyncio.create_task(self._finish(request, progress, stream, answering))
        live = LiveRun(request=request, stream=stream, answering=answering, finishing=finishing)
        self._live[request.run_id] = live
        finishing.add_done_callback(lambda _: self._live.pop(request.run_id, None))
        finishing.add_done_callback(lambda _: watch.close())
        watch.on_end(live.cancel)
        return live

    def live(self, run_id: UUID) -> LiveRun | None:
        """The run, if it is being executed here."""
        return self._live.get(run_id)

    def live_ids(self) -> tuple[UUID, ...]:
        """The runs that are being executed here."""
        return tuple(self._live)

    def live_of(self, user_id: int) -> list[LiveRun]:
        """A user's runs that are being executed here."""
        return [live for live in self._live.values() if live.request.principal.user.id == user_id]

    async def stop(self) -> None:
        """Cancels every run and waits until each has been written down."""
        runs = list(self._live.values())
        for live in runs:
            live.cancel()
        if runs:
            await asyncio.wait([live.finishing for live in runs], timeout=STOP_SECONDS)

    async def _finish(
        self,
        request: RunRequest,
        progress: RunProgress,
        stream: RunStream,
        answering: "asyncio.Task[RunOutcome]",
    ) -> RunOutcome:
        try:
            await asyncio.wait({answering})
            cancelled = answering.cancelled()
            outcome = progress.outcome("cancelled") if cancelled else answering.result()
            outcome = await self._settle(request, outcome)
            _show_end(stream, outcome)
        finally:
            stream.close()
        return outcome

    async def _answer(self, request: RunRequest, progress: RunProgress) -> RunOutcome:
        try:
            await run_agent(
                self._agent,
                request.text,
                thread_id=str(request.thread_id),
                run_id=str(request.run_id),
                context=request.context,
                tell=progress.take,
            )
        except Exception as exc:  # noqa: BLE001 - the entry point of a task: a run always ends
            error = translate(exc)
            kind = log.warning if isinstance(exc, AgentError | PersistenceError) else log.error
            kind("run_failed", run_id=str(request.run_id), code=error.code, **describe(exc))
            return progress.outcome("error", code=error.code, message=str(error))
        return progress.outcome("success")

    async def _settle(self, request: RunRequest, outcome: RunOutcome) -> RunOutcome:
        try:
            await self._recorder.record(request, outcome)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the stream has to end
            error = translate(exc)
            log.error("run_outcome_lost", run_id=str(request.run_id), **describe(exc))
            return replace(outcome, status="error", error_code=error.code, error_message=str(error))
        return outcome


def _show_end(stream: RunStream, outcome: RunOutcome) -> None:
    if outcome.sources:
        stream.append("sources", outcome.sources)
    if outcome.error_code is not None:
        stream.append("error", {"code": outcome.error_code, "message": outcome.error_message})
    stream.append(
        "done",
        {
            "metadata": {
                "status": outcome.status,
                "iterations": outcome.iterations,
                "tool_calls": outcome.tool_calls,
                "tokens_in": outcome.tokens_in,
                "tokens_out": outcome.tokens_out,
            }
        },
    )
