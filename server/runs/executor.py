"""The executor: each run is a task of its own, apart from the request that asked for it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog

from graph.agent import Agent
from graph.errors import AgentError
from graph.running import Continuation, Question, run_agent
from persistence.checkpoint_fence import fenced_by
from persistence.errors import DatabaseUnavailable, PersistenceError, RunLost
from server.error_responses import translate
from server.errors import RunTimedOut
from server.observability import describe
from server.runs.live import LiveRun
from server.runs.log_writer import LogWriter
from server.runs.progress import RunProgress
from server.runs.question import question_content
from server.runs.recorder import UNWRITABLE, RunRecorder
from server.runs.run import OutcomeStatus, RunOutcome, RunRequest
from server.runs.stream import RunStream
from server.runs.work_limit import WorkLimit
from server.security.revocation import Watch

STOP_SECONDS = 10.0
"""How long runs may take to be written down or handed over when the server stops."""

log = structlog.get_logger(__name__)

Rewind = Callable[[RunRequest], Awaitable[None]]
Settled = Callable[[RunRequest, RunOutcome], object]


class RunExecutor:
    """Executes runs and keeps those that are alive."""

    def __init__(
        self,
        agent: Agent,
        recorder: RunRecorder,
        log_writer: LogWriter,
        *,
        rewind: Rewind,
        timeout_seconds: float,
        grace_seconds: float,
    ) -> None:
        """Prepare to execute runs.

        Args:
            agent: Answers.
            recorder: Writes down what came of it.
            log_writer: Stores what is to be seen of it.
            rewind: Makes the agent forget the turn in whose place a run comes, and what followed.
            timeout_seconds: How long a run may be at work, with all attempts at it.
            grace_seconds: How long a tool call that must not be made twice may go on when the
                server stops.
        """
        self._agent = agent
        self._recorder = recorder
        self._log_writer = log_writer
        self._rewind = rewind
        self._timeout_seconds = timeout_seconds
        self._grace_seconds = grace_seconds
        self._live: dict[UUID, LiveRun] = {}
        self._settled: list[Settled] = []
        self._on_stopping: list[Callable[[], object]] = []
        self.stopping = False
        """Whether no run is begun here any more."""

    def on_settled(self, callback: Settled) -> None:
        """Says whom to call with each run that has ended here or waits for a person.

        Called in the event loop when it is written down; must not block nor raise.
        """
        self._settled.append(callback)

    def on_stopping(self, callback: Callable[[], object]) -> None:
        """Says whom to call when the server begins to stop; must not block nor raise."""
        self._on_stopping.append(callback)

    def start(self, request: RunRequest, watch: Watch) -> LiveRun:
        """Begins a recorded run or goes on with it; returns at once.

        Args:
            request: The run.
            watch: Of its user; it ends the run, and is closed when that has ended.
        """
        stream = _open_stream(request)
        progress = RunProgress(request, stream)
        live = self._execute(request, stream, progress, self._answer(request, progress), watch)
        live.limit = limit = WorkLimit(self._time_left(request), lambda: live.stop("timeout"))
        live.answering.add_done_callback(lambda _: limit.close())
        if self.stopping:
            live.stop("handed_over")
        return live

    def conclude(
        self,
        request: RunRequest,
        watch: Watch,
        status: OutcomeStatus,
        *,
        code: str | None = None,
        message: str | None = None,
    ) -> LiveRun:
        """Ends a run that is not gone on with; what earlier attempts have brought of it is kept."""
        stream = _open_stream(request)
        progress = RunProgress(request, stream)

        async def know() -> RunOutcome:
            return progress.outcome(status, code=code, message=message)

        return self._execute(request, stream, progress, know(), watch)

    def pausing(self, run_id: UUID) -> AbstractContextManager[None]:
        """What within a run counts no time: somebody is being asked."""
        live = self._live.get(run_id)
        return nullcontext() if live is None or live.limit is None else live.limit.pause()

    def live(self, run_id: UUID) -> LiveRun | None:
        """The run, if it is being executed here."""
        return self._live.get(run_id)

    def live_ids(self) -> tuple[UUID, ...]:
        """The runs that are being executed here."""
        return tuple(self._live)

    async def stop(self) -> None:
        """Hands every run over and waits until each is in other hands or written down."""
        self._begin_stopping()
        runs = list(self._live.values())
        leaving = [asyncio.create_task(self._leave(live)) for live in runs]
        if leaving:
            timeout = self._grace_seconds + STOP_SECONDS
            await asyncio.wait([*leaving, *(live.finishing for live in runs)], timeout=timeout)

    def abandon(self) -> None:
        """Drops every run at once, and writes nothing more of any: as if the process had died."""
        self._begin_stopping()
        for live in list(self._live.values()):
            live.stream.close()
            live.stop("lost")

    def _time_left(self, request: RunRequest) -> float:
        """How long a run may still be at work, after what earlier attempts at it took."""
        past = request.past
        if past is None:
            return self._timeout_seconds
        worked = past.run.worked_seconds - past.asked_seconds
        return self._timeout_seconds - max(0.0, worked)

    def _begin_stopping(self) -> None:
        self.stopping = True
        for callback in self._on_stopping:
            callback()

    async def _leave(self, live: LiveRun) -> None:
        journal = live.request.journal
        if journal is not None:
            journal.close()
            try:
                async with asyncio.timeout(self._grace_seconds):
                    await journal.until_idle()
            except TimeoutError:
                log.warning("tool_cut_off", run_id=str(live.request.run_id))
        live.stop("handed_over")

    def _execute(
        self,
        request: RunRequest,
        stream: RunStream,
        progress: RunProgress,
        answer: Coroutine[Any, Any, RunOutcome],
        watch: Watch,
    ) -> LiveRun:
        live = LiveRun(request=request, stream=stream, answering=asyncio.create_task(answer))
        live.finishing = asyncio.create_task(self._finish(live, progress))
        self._live[request.run_id] = live
        live.finishing.add_done_callback(lambda _: self._forget(live))
        live.finishing.add_done_callback(lambda _: watch.close())
        self._log_writer.attach(
            request.run_id, request.claim.attempt, stream, on_lost=lambda: live.stop("lost")
        )
        watch.on_end(live.cancel)
        return live

    def _forget(self, live: LiveRun) -> None:
        if self._live.get(live.request.run_id) is live:
            del self._live[live.request.run_id]

    async def _answer(self, request: RunRequest, progress: RunProgress) -> RunOutcome:
        try:
            if request.input.rewind_to is not None:
                await self._rewind(request)
            question = Question(
                content=question_content(request.input.text, request.input.images),
                message_id=str(request.run_id),
            )
            finished = await run_agent(
                self._agent,
                question if request.past is None else _continue(question, request),
                thread_id=str(request.thread_id),
                run_id=str(request.run_id),
                context=replace(request.context, journal=request.journal),
                tell=progress.take,
                fence=fenced_by(request.claim),
            )
        except RunLost:
            raise
        except Exception as exc:  # noqa: BLE001 - the entry point of a task: a run always ends
            error = translate(exc)
            kind = log.warning if isinstance(exc, AgentError | PersistenceError) else log.error
            kind("run_failed", run_id=str(request.run_id), code=error.code, **describe(exc))
            return progress.outcome("error", code=error.code, message=str(error))
        return progress.outcome(finished.status, code=finished.error_code)

    async def _finish(self, live: LiveRun, progress: RunProgress) -> RunOutcome | None:
        try:
            await asyncio.wait({live.answering})
            outcome = _outcome_of(live, progress)
            if outcome is not None:
                return await self._settle(live, outcome)
            await self._let_go(live)
            return None
        finally:
            live.stream.close()

    async def _settle(self, live: LiveRun, outcome: RunOutcome) -> RunOutcome | None:
        request = live.request
        await self._rewind_at_last(request, outcome)
        try:
            outcome = await self._recorder.record(request, outcome)
        except RunLost:
            log.info("run_taken_over", run_id=str(request.run_id))
            return None
        except Exception as exc:  # noqa: BLE001 - whatever it is, the stream has to end
            error = translate(exc)
            log.error("run_outcome_lost", run_id=str(request.run_id), **describe(exc))
            if isinstance(exc, DatabaseUnavailable):
                live.stream.break_off(code=error.code, message=str(error))
            return replace(outcome, status="error", error_code=error.code, error_message=str(error))
        for callback in self._settled:
            callback(request, outcome)
        return outcome

    async def _rewind_at_last(self, request: RunRequest, outcome: RunOutcome) -> None:
        """Has the agent forget the turn in whose place a run came that was not executed so far.

        The next run would otherwise follow on a conversation that is not there any more.
        """
        if request.input.rewind_to is None or outcome.status not in {"cancelled", "error"}:
            return
        try:
            await self._rewind(request)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the run has to be written down
            log.warning("rewind_failed", run_id=str(request.run_id), **describe(exc))

    async def _let_go(self, live: LiveRun) -> None:
        """Leaves the run to others, who may have it already."""
        try:
            if live.stopped == "handed_over":
                await self._recorder.hand_over(live.request)
            else:
                await self._recorder.forget_deleted(live.request)
        except UNWRITABLE as exc:  # its lease will lapse
            log.warning("run_let_go", run_id=str(live.request.run_id), **describe(exc))


def _open_stream(request: RunRequest) -> RunStream:
    if request.past is not None:
        return RunStream(request.past.last_id)
    stream = RunStream()
    stream.show("run", {"run_id": str(request.run_id), "session_id": request.session_id})
    return stream


def _continue(question: Question, request: RunRequest) -> Continuation:
    assert request.past is not None  # noqa: S101 - narrows for the checker
    return Continuation(question=question, decisions=request.past.decisions)


def _outcome_of(live: LiveRun, progress: RunProgress) -> RunOutcome | None:
    """What there is to write down; None if the run is others' to go on with."""
    answering = live.answering
    if live.stopped == "lost":
        return None
    if not answering.cancelled():
        if isinstance(answering.exception(), RunLost):
            return None
        outcome = answering.result()
        # Foreign code may make an error of its own of being cancelled.
        if live.stopped is None or outcome.status != "error":
            return outcome
    if live.stopped == "handed_over":
        return None
    if live.stopped == "timeout":
        error = RunTimedOut()
        return progress.outcome("error", code=error.code, message=str(error))
    return progress.outcome("cancelled")
