"""What a server says and asks while it is at work on a call, as events of the run."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from graph.approvals import ProposedCall
from graph.events import (
    CallEvent,
    Log,
    QuestionClosed,
    QuestionKind,
    QuestionOpened,
    ToolProgress,
)
from graph.sampling import Sampler
from tools.calls import (
    Elicitation,
    ElicitationAnswer,
    Pausing,
    SamplingAnswer,
    SamplingRequest,
)
from tools.errors import RequestDeclined

LOG_MAX = 100
"""How many messages of a server's log are told during a call."""
LOG_MESSAGE_MAX_CHARS = 1_000
CLOSE_SECONDS = 10.0
"""How long a call that has ended waits until what its server asked is over."""
UNHEARD = "The server of the tool logs more than is shown."

Sampling = Literal["ask", "allow", "deny"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonQuestion:
    """What a server wants to know of a person, in its own words."""

    kind: QuestionKind
    message: str = field(repr=False)
    schema: Mapping[str, Any] | None = field(default=None, repr=False)
    url: str | None = field(default=None, repr=False)


class People(Protocol):
    """Puts questions to the person whose run it is."""

    async def ask(
        self,
        call: ProposedCall,
        question: PersonQuestion,
        *,
        over: asyncio.Event,
        tell: Callable[[QuestionOpened | QuestionClosed], None],
        pausing: Pausing,
    ) -> ElicitationAnswer:
        """Ask and wait.

        Args:
            call: During which it is asked.
            question: What is asked.
            over: Set when the call has ended, so that nobody needs the answer any more.
            tell: Told when the question is asked and when it is over.
            pausing: For the time in between.

        Raises:
            RequestDeclined: Nobody is asked.
        """
        ...


class CallHearing:
    """Hears the server of one call, while `async with` it.

    Everything that it tells is a stranger's text. The session has taken out of it what does not
    show, and tells progress seldom enough and short; the rest is bounded here.
    """

    def __init__(
        self,
        call: ProposedCall,
        *,
        emit: Callable[[CallEvent], None],
        people: People,
        sampler: Sampler,
        sampling: Sampling,
    ) -> None:
        """Args: sampling: whether the model answers this server."""
        self._call = call
        self._emit = emit
        self._people = people
        self._sampler = sampler
        self._sampling = sampling
        self._logged = 0
        self._over = asyncio.Event()
        self._asking: set[asyncio.Future[None]] = set()
        self._answering: set[asyncio.Task[SamplingAnswer]] = set()
        self._is_silent = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        for task in self._answering:
            task.cancel()
        open_ones: set[asyncio.Future[Any]] = {*self._answering}
        if not _is_stopped(error):
            # Of a run that is stopped, they are closed in the database together with it.
            open_ones |= self._asking
        try:
            if open_ones:
                await asyncio.wait(open_ones, timeout=CLOSE_SECONDS)
        finally:
            self._is_silent = True

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        """Tell how far the call is."""
        self._tell(
            ToolProgress(
                tool=self._call.tool,
                call_id=self._call.call_id,
                progress=done,
                total=total,
                message=" ".join((message or "").split()) or None,
            )
        )

    def log(self, level: Literal["info", "warning"], message: str) -> None:
        """Tell a message of the server's log, if there were not too many."""
        self._logged += 1
        said = message.strip()[:LOG_MESSAGE_MAX_CHARS]
        if self._logged > LOG_MAX + 1 or not said:
            return
        if self._logged > LOG_MAX:
            level, said = "info", UNHEARD
        self._tell(Log(level=level, message=said, tool=self._call.tool, call_id=self._call.call_id))

    async def elicit(self, question: Elicitation, *, pausing: Pausing) -> ElicitationAnswer:
        """Put a question to the person."""
        if question.url is not None:
            asked = PersonQuestion(kind="url", message=question.message, url=question.url)
        else:
            asked = PersonQuestion(kind="form", message=question.message, schema=question.schema)
        return await self._ask(asked, pausing)

    async def sample(self, request: SamplingRequest, *, pausing: Pausing) -> SamplingAnswer:
        """Have the run's model answer, if the person does not mind."""
        if self._sampling == "deny":
            raise RequestDeclined("No model answers this server.")
        self._sampler.require_budget()
        if self._sampling == "ask":
            asked = PersonQuestion(kind="sampling", message=_describe(request))
            told = await self._ask(asked, pausing)
            if told.action != "accept":
                raise RequestDeclined("The person did not allow it.")
        if self._over.is_set():
            raise RequestDeclined("The call has ended.")
        answering = asyncio.create_task(self._sampler.sample(request, self._tell))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)
        try:
            with pausing():
                return await answering
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                answering.cancel()
                raise
            raise RequestDeclined("The call has ended.") from None

    async def _ask(self, question: PersonQuestion, pausing: Pausing) -> ElicitationAnswer:
        if self._over.is_set():
            raise RequestDeclined("The call has ended.")
        is_over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asking.add(is_over)
        try:
            return await self._people.ask(
                self._call, question, over=self._over, tell=self._tell, pausing=pausing
            )
        finally:
            self._asking.discard(is_over)
            with suppress(asyncio.InvalidStateError):
                is_over.set_result(None)

    def _tell(self, event: CallEvent) -> None:
        if not self._is_silent:
            self._emit(event)


def _is_stopped(error: BaseException | None) -> bool:
    """Whether somebody has stopped the run; a tool may also cancel itself."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and bool(task and task.cancelling())


def _describe(request: SamplingRequest) -> str:
    """What the model would be told; whoever is asked sees all of it, as far as it is shown."""
    parts = [f"{role}: {text}" for role, text in request.messages]
    if request.system_prompt:
        parts.insert(0, f"instructions: {request.system_prompt}")
    return "\n\n".join(parts)
