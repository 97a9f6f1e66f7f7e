"""The answers that a session waits for, each with the call that it belongs to."""

import asyncio
import contextvars
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mcp import types

from tools.calls import CallListener
from tools.errors import CallRejected, ServerLost, ToolsError
from tools.progress import ThrottledProgress

# The SDK's words for HTTP status 404: the server, started anew, never had this session.
_SESSION_UNKNOWN = "Session terminated"
_NUMBER_MAX_DIGITS = 18

_Answer: TypeAlias = asyncio.Future[dict[str, Any]]


class SessionEnded(Exception):
    """The session was over before the server took the call, so the call can be made again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ListeningCall:
    """A call under way that somebody listens to."""

    listener: CallListener
    context: contextvars.Context = field(repr=False)
    """The caller's own: in it stand the time limits that the call runs under."""
    progress: ThrottledProgress = field(repr=False)


class Answers:
    """What is waited for, by the number of its request."""

    def __init__(self) -> None:
        self._expected: dict[types.RequestId, _Answer] = {}
        self._listening: dict[types.RequestId, ListeningCall] = {}

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

    def is_expected(self, number: types.RequestId) -> bool:
        """Whether somebody waits for this one."""
        return _as_sent(number) in self._expected

    def listening(self) -> Iterator[ListeningCall]:
        """The calls under way that somebody listens to, the newest first."""
        return reversed(self._listening.values())

    def resolve(self, number: types.RequestId, result: dict[str, Any]) -> None:
        """Take an answer; one that nobody waits for any more is nothing."""
        answer = self._expected.get(_as_sent(number))
        if answer is not None and not answer.done():
            answer.set_result(result)

    def refuse(self, number: types.RequestId, error: types.ErrorData) -> None:
        """Take an error in the place of an answer."""
        unknown = error.message == _SESSION_UNKNOWN
        self._fail(number, SessionEnded() if unknown else CallRejected(error.message))

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


def _as_sent(number: types.RequestId) -> types.RequestId:
    """Requests are numbered; there are servers that answer with the number as text."""
    if isinstance(number, str) and number.isdecimal() and len(number) <= _NUMBER_MAX_DIGITS:
        return int(number)
    return number
