"""The answers that a session waits for, each with the call that it belongs to."""

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mcp import types

from tools.budget import LogBudget
from tools.calls import CallListener
from tools.errors import CallRejected, ServerLost, ToolsError
from tools.progress import ThrottledProgress
from tools.quotation import as_one_line

ERROR_MAX_CHARS = 500
"""How much of a server's error is told to whoever made the call."""

_NUMBER_MAX_DIGITS = 18

_Answer: TypeAlias = asyncio.Future[dict[str, Any]]


class SessionEnded(Exception):
    """The session was over before the server took the call, so the call can be made again."""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class ListeningCall:
    """A call under way that somebody listens to."""

    listener: CallListener
    context: contextvars.Context = field(repr=False)
    """The caller's own: in it stand the time limits that the call runs under."""
    progress: ThrottledProgress = field(repr=False)
    log_budget: LogBudget = field(default_factory=LogBudget, repr=False)


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class _Question:
    """Something that a server asks, and the calls that it may be about."""

    calls: set[types.RequestId]
    stop: Callable[[], None]


class Answers:
    """What is waited for, by the number of its request."""

    def __init__(self) -> None:
        self._expected: dict[types.RequestId, _Answer] = {}
        self._listening: dict[types.RequestId, ListeningCall] = {}
        self._questions: set[_Question] = set()

    def expect(self, number: int, listener: CallListener | None = None) -> _Answer:
        """Return what will hold the answer; meanwhile the listener hears of the call."""
        answer = self._expected[number] = asyncio.get_running_loop().create_future()
        if listener is not None:
            context = contextvars.copy_context()
            progress = ThrottledProgress(listener, context)
            self._listening[number] = ListeningCall(
                listener=listener, context=context, progress=progress
            )
        return answer

    def forget(self, number: int) -> None:
        """Wait no more."""
        answer = self._expected.pop(number, None)
        if answer is not None and answer.done() and not answer.cancelled():
            # It may have failed before anybody came to wait for it.
            answer.exception()
        if (call := self._listening.pop(number, None)) is not None:
            call.progress.close()
            for question in list(self._questions):
                question.calls.discard(number)
                if not question.calls:
                    question.stop()

    def is_expected(self, number: types.RequestId) -> bool:
        """Whether somebody waits for this one."""
        return _as_sent(number) in self._expected

    def listening(self) -> Iterator[ListeningCall]:
        """The calls under way that somebody listens to, the newest first."""
        return reversed(self._listening.values())

    @contextmanager
    def while_wanted(self, stop: Callable[[], None]) -> Iterator[None]:
        """Have something stopped when all the calls that are under way now have ended."""
        question = _Question(calls=set(self._listening), stop=stop)
        self._questions.add(question)
        try:
            yield
        finally:
            self._questions.discard(question)

    def resolve(self, number: types.RequestId, result: dict[str, Any]) -> None:
        """Take an answer; one that nobody waits for any more is nothing."""
        answer = self._expected.get(_as_sent(number))
        if answer is not None and not answer.done():
            answer.set_result(result)

    def refuse(self, number: types.RequestId, error: types.ErrorData) -> None:
        """Take an error in the place of an answer."""
        self._fail(number, CallRejected(_quote(error.message), code=error.code))

    def drop(self, number: types.RequestId | None, error: ToolsError) -> None:
        """Take why an answer will not come; without a number it may be any of them."""
        for each in [number] if number is not None else list(self._expected):
            self._fail(each, error)

    def report(self, params: dict[str, Any]) -> None:
        """Take how far a call is."""
        token = params.get("progressToken")
        if isinstance(token, int | str) and (call := self._listening.get(_as_sent(token))):
            call.progress.take(params)

    def fail(self) -> None:
        """End every wait: no more answers will come."""
        for number in list(self._expected):
            self._fail(number, ServerLost("the connection to it was lost during the call"))

    def _fail(self, number: types.RequestId, error: Exception) -> None:
        answer = self._expected.get(_as_sent(number))
        if answer is not None and not answer.done():
            answer.set_exception(error)


def _quote(message: str) -> str:
    """What a server says of an error, as a model may read it: marked as the server's words."""
    # What is cut off first would not be shown, and may be very long.
    words = as_one_line(message[: 4 * ERROR_MAX_CHARS], ERROR_MAX_CHARS)
    return f'its server answered with the error "{words}"' if words else "its server refused it"


def _as_sent(number: types.RequestId) -> types.RequestId:
    """Requests are numbered; there are servers that answer with the number as text."""
    if isinstance(number, str) and number.isdecimal() and len(number) <= _NUMBER_MAX_DIGITS:
        return int(number)
    return number
