"""How far a call is, told to its listener now and then, and once more at its end."""

import asyncio
import contextvars
import math
from typing import Any, TypeGuard

from persistence.visible_text import show
from tools.calls import CallListener

PROGRESS_MAX = 50
"""How often a call's progress is told; each time is an event of the run, which is stored."""
PROGRESS_GAP_SECONDS, PROGRESS_GAP_DOUBLES = 0.25, 4
PROGRESS_MESSAGE_MAX_CHARS = 500


def gap_after(told: int) -> float:
    """How many seconds nothing is told after so many reports.

    So a call that takes seconds is told of in detail, and one that takes an hour to its end.
    """
    return PROGRESS_GAP_SECONDS * 2.0 ** (told // PROGRESS_GAP_DOUBLES)


class ThrottledProgress:
    """Passes the first report on at once, of those that follow too fast the newest, and the last.

    The listener is called by the event loop itself and in the call's own context, so that whatever
    it does is no matter of the session that others use too.
    """

    def __init__(self, listener: CallListener, context: contextvars.Context) -> None:
        self._listener = listener
        self._context = context
        self._newest: tuple[float, float | None, str | None] | None = None
        self._done = -math.inf
        self._told = 0
        self._timer: asyncio.Handle | None = None

    def take(self, params: dict[str, Any]) -> None:
        """Take what a server reported; what makes no sense or does not go on is nothing."""
        done, total, message = (params.get(key) for key in ("progress", "total", "message"))
        if not _is_number(done) or done <= self._done:
            return
        self._done = float(done)
        self._newest = (
            self._done,
            float(total) if _is_number(total) else None,
            show(message[:PROGRESS_MESSAGE_MAX_CHARS]) if isinstance(message, str) else None,
        )
        if self._timer is None and self._told < PROGRESS_MAX - 1:  # one is left for the end
            loop = asyncio.get_running_loop()
            self._timer = loop.call_soon(self._pass_on, context=self._context)

    def close(self) -> None:
        """Tell what is newest, and no more: the call has ended."""
        if self._timer is not None:
            self._timer.cancel()
        newest, self._newest, self._done = self._newest, None, math.inf
        if newest is not None:
            self._context.run(self._listener.progress, *newest)

    def _pass_on(self) -> None:
        newest, self._newest, self._timer = self._newest, None, None
        if newest is None:
            return
        gap, self._told = gap_after(self._told), self._told + 1
        if self._told < PROGRESS_MAX - 1:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(gap, self._pass_on, context=self._context)
        self._listener.progress(*newest)


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
