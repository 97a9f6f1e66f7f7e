"""Waiting for a product that says when it can be asked again: that is no error of an answer."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from server.cli.connection import ApiFailure

T = TypeVar("T")

BUSY_SECONDS = 120.0
"""The longest that one request is kept back in all."""
SHORTEST_PAUSE_SECONDS = 1.0
"""Whoever says 0 is asked again as if it were 1: pauses come to an end."""


async def patiently(
    work: Callable[[], Awaitable[T]],
    *,
    may_repeat: Callable[[], bool] = lambda: True,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> T:
    """Does it; refused with a time to come again (429 or 503), waits and does it again.

    Args:
        work: What is done.
        may_repeat: Whether nothing has come of it yet.
        sleep: How the time goes by.

    Raises:
        ApiFailure: It was refused for good, or for longer than is waited.
    """
    left = BUSY_SECONDS
    while True:
        try:
            return await work()
        except ApiFailure as exc:
            pause = exc.retry_after_seconds
            if pause is None or not may_repeat():
                raise
            pause = max(pause, SHORTEST_PAUSE_SECONDS)
            if pause > left:
                raise
        left -= pause
        await sleep(pause)
