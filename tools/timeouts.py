"""Time limits that stand still while a person is being asked."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType

current_timeouts: ContextVar[tuple["PausableTimeout", ...]] = ContextVar(
    "current_timeouts", default=()
)
"""The limits that the present task runs under, outermost first."""


class PausableTimeout:
    """`asyncio.timeout` that can be paused: `async with PausableTimeout(seconds):`.

    It raises `TimeoutError` at its end, as that one does.
    """

    def __init__(self, seconds: float) -> None:
        self._limit = asyncio.timeout(seconds)
        self._entered: Token[tuple[PausableTimeout, ...]] | None = None
        self._pauses = 0
        self._left = seconds

    async def __aenter__(self) -> "PausableTimeout":
        await self._limit.__aenter__()
        self._entered = current_timeouts.set((*current_timeouts.get(), self))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._entered is not None:
            current_timeouts.reset(self._entered)
            self._entered = None
        await self._limit.__aexit__(kind, error, traceback)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Count no time meanwhile; pauses may overlap, and may come from other tasks."""
        self._pauses += 1
        if self._pauses == 1 and self._runs():
            self._left = (self._limit.when() or 0.0) - asyncio.get_running_loop().time()
            self._limit.reschedule(None)
        try:
            yield
        finally:
            self._pauses -= 1
            if self._pauses == 0 and self._runs():
                self._limit.reschedule(asyncio.get_running_loop().time() + self._left)

    def expired(self) -> bool:
        """Whether the time was over, so that its `TimeoutError` is this one's."""
        return self._limit.expired()

    def _runs(self) -> bool:
        return self._entered is not None and not self._limit.expired()
