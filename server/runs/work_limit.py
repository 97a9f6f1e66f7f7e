"""How long a run may be at work."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class WorkLimit:
    """Calls back after some time at work; while a person is asked, no time is counted."""

    def __init__(self, seconds: float, on_end: Callable[[], object]) -> None:
        self._left = seconds
        self._on_end = on_end
        self._pauses = 0
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._go_on()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Count no time meanwhile; pauses may overlap."""
        self._pauses += 1
        if self._timer is not None:
            self._left = self._timer.when() - asyncio.get_running_loop().time()
            self._timer.cancel()
            self._timer = None
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses and not self._is_closed:
                self._go_on()

    def close(self) -> None:
        """Call nobody back any more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, self._left), self._on_end)
