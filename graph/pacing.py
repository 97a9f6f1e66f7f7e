"""Keeps what is told of a call to a number that can be stored."""

import time
from collections.abc import Callable


class Pace:
    """Lets so many through, the first ones as they come and the later ones further apart.

    So a call that takes seconds is told of in detail, and one that takes an hour to its end.
    """

    def __init__(
        self,
        most: int,
        *,
        gap_seconds: float,
        doubles_every: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to let some through.

        Args:
            most: How many at most.
            gap_seconds: How far apart the first ones have to be.
            doubles_every: After so many the gap is twice as long.
            clock: Tells the time.
        """
        self._most = most
        self._gap_seconds = gap_seconds
        self._doubles_every = doubles_every
        self._clock = clock
        self._passed = 0
        self._next_at = 0.0

    def lets_through(self) -> bool:
        """Whether one more is told, now."""
        now = self._clock()
        if self._passed >= self._most or (self._passed and now < self._next_at):
            return False
        self._next_at = now + self._gap_seconds * 2 ** (self._passed // self._doubles_every)
        self._passed += 1
        return True
