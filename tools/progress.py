"""How far a call is, told to its listener a few times a second at most."""

import asyncio
import contextvars
import math
from typing import Any, TypeGuard

from persistence.visible_text import show
from tools.calls import CallListener

PROGRESS_INTERVAL_SECONDS = 0.25
PROGRESS_MESSAGE_MAX_CHARS = 500


class ThrottledProgress:
    """Passes the first report on at once, and of those that follow too fast the newest.

    The listener is called by the event loop itself and in the call's own context, so that whatever
    it does is no matter of the session that others use too.
    """

    def __init__(self, listener: CallListener, context: contextvars.Context) -> None:
        self._listener = listener
        self._context = context
        self._newest: tuple[float, float | None, str | None] | None = None
        self._done = -math.inf
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
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_soon(self._pass_on, context=self._context)

    def close(self) -> None:
        """Tell no more: the call has ended."""
        self._newest = None
        if self._timer is not None:
            self._timer.cancel()

    def _pass_on(self) -> None:
        newest, self._newest, self._timer = self._newest, None, None
        if newest is None:
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(
            PROGRESS_INTERVAL_SECONDS, self._pass_on, context=self._context
        )
        self._listener.progress(*newest)


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
