"""Leaves a server alone for a while after its calls have kept failing."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from tools.errors import CallRejected, CallTimeout, ServerUnavailable

BREAKER_FAILURES = 5
"""How many calls fail one after the other before no more are made."""
BREAKER_SECONDS = 30.0
"""How long none are made; then one is, and decides how it goes on."""


class CircuitBreaker:
    """Closed lets calls through, open none, half-open one at a time.

    A call counts as failed when the server could not be reached, was lost, or did not answer in
    time. An answer is an answer, whatever it says.
    """

    def __init__(
        self,
        *,
        failures: int = BREAKER_FAILURES,
        seconds: float = BREAKER_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._seconds = seconds
        self._now = now
        self._failures = 0
        self._opened_at: float | None = None
        self._is_probed = False

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """How it is now."""
        if self._opened_at is None:
            return "closed"
        return "open" if self._seconds_left() > 0 else "half-open"

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Let a call through, and learn from how it ends.

        Raises:
            ServerUnavailable: No call is made at this moment.
        """
        is_probe = self._admit()
        try:
            yield
        except (CallTimeout, ServerUnavailable):
            self._fail()
            raise
        except CallRejected:
            self._succeed()
            raise
        else:
            self._succeed()
        finally:
            if is_probe:
                self._is_probed = False

    def allow_probe(self) -> None:
        """End the time without calls: the server has come back."""
        if self._opened_at is not None:
            self._opened_at = self._now() - self._seconds

    def _admit(self) -> bool:
        if self._opened_at is None:
            return False
        left = self._seconds_left()
        if left > 0:
            raise ServerUnavailable(
                f"its server failed {self._failures} times in a row and is left alone for another"
                f" {max(1, round(left))} seconds"
            )
        if self._is_probed:
            raise ServerUnavailable("its server failed again and again and is being tried just now")
        self._is_probed = True
        return True

    def _seconds_left(self) -> float:
        opened = self._opened_at if self._opened_at is not None else self._now()
        return opened + self._seconds - self._now()

    def _fail(self) -> None:
        self._failures += 1
        if self._failures >= self._limit:
            self._opened_at = self._now()

    def _succeed(self) -> None:
        self._failures, self._opened_at = 0, None
