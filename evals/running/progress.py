"""How far a suite is, and when it will be through."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from evals.records.record import AttemptRecord


class Progress(Protocol):
    """Whoever shows how far a run is."""

    def begin(self, title: str, *, total: int, kept: Sequence[AttemptRecord]) -> None:
        """A suite begins; what an earlier leg of the run was answered is there already."""

    def take(self, attempt: AttemptRecord) -> None:
        """A sample has ended."""

    def end(self) -> None:
        """The suite has ended, or was stopped."""


class NoProgress:
    """Shows nothing."""

    def begin(self, title: str, *, total: int, kept: Sequence[AttemptRecord]) -> None:
        """Nothing."""

    def take(self, attempt: AttemptRecord) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Pace:
    """Counts what has ended, and works out when the rest will have."""

    def __init__(
        self,
        title: str,
        *,
        total: int,
        kept: Sequence[AttemptRecord] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title = title
        self._total = total
        self._clock = clock
        self._started = clock()
        self._passed = self._failed = self._unscored = self._errors = 0
        for attempt in kept:
            self.take(attempt)
        self._kept = self.done

    @property
    def done(self) -> int:
        """How many have ended."""
        return self._passed + self._failed + self._unscored + self._errors

    @property
    def elapsed_seconds(self) -> float:
        """Since the suite began, or went on."""
        return self._clock() - self._started

    @property
    def left_seconds(self) -> float | None:
        """How long the rest will take at the pace of this leg; None before anything has ended."""
        put = self.done - self._kept
        return self.elapsed_seconds / put * (self._total - self.done) if put else None

    def take(self, attempt: AttemptRecord) -> None:
        """Counts one."""
        if attempt.error is not None:
            self._errors += 1
        elif attempt.passed is None:
            self._unscored += 1
        elif attempt.passed:
            self._passed += 1
        else:
            self._failed += 1

    def line(self) -> str:
        """All of it in one line."""
        left = self.left_seconds
        parts = [
            f"{self._title}: {self.done} of {self._total}",
            f"{self._passed} passed",
            f"{self._failed} failed",
            *([f"{self._unscored} unscored"] if self._unscored else []),
            f"{self._errors} {'error' if self._errors == 1 else 'errors'}",
            f"{duration(self.elapsed_seconds)} gone",
            "no pace yet" if left is None else f"about {duration(left)} left",
        ]
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
