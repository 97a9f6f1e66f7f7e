"""Leaves a server alone for a while after its calls have kept failing.

Where people share a session with it, one person's calls do not decide about those of others.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal

from tools.errors import CallRejected, CallTimeout, LeftAlone, ServerAway, ServerUnavailable

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

    @property
    def is_clean(self) -> bool:
        """Whether nothing has failed since the last success."""
        return self._failures == 0

    @contextmanager
    def guard(self, counts: Callable[[Exception], bool] = lambda _: True) -> Iterator[None]:
        """Let a call through, and learn from how it ends.

        Args:
            counts: Says of an error whether it counts as a failure.

        Raises:
            LeftAlone: No call is made at this moment.
        """
        is_probe = self._admit()
        try:
            yield
        except (CallTimeout, ServerUnavailable) as error:
            if not isinstance(error, LeftAlone) and counts(error):
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
            raise LeftAlone(
                f"its server failed {self._failures} times in a row and is left alone for another"
                f" {max(1, round(left))} seconds"
            )
        if self._is_probed:
            raise LeftAlone("its server failed again and again and is being tried just now")
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


class SharedBreaker:
    """A breaker for everybody, and one for each person.

    A call that fails says little about the server while it is one person's: their arguments, or a
    limit of their own, may be the reason. So what fails for one person alone ends the calls of that
    one alone. What also fails for others counts for all, and so does that there is no session.
    """

    def __init__(
        self, *, failures: int, seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._make = partial(CircuitBreaker, failures=failures, seconds=seconds, now=now)
        self._common = self._make()
        self._personal: dict[int, CircuitBreaker] = {}
        self._failed_last: int | None = None

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """How it is for everybody."""
        return self._common.state

    def leaves_alone(self, person: int | None) -> bool:
        """Whether calls of this person are not made, or only to try."""
        breakers = (self._common, self._personal.get(person or 0, self._common))
        return any(each.state != "closed" for each in breakers)

    @contextmanager
    def guard(self, person: int | None) -> Iterator[None]:
        """Do what `CircuitBreaker.guard` does for a person's call; None is anybody's."""
        if person is None:
            with self._common.guard():
                yield
            return
        personal = self._personal.setdefault(person, self._make())
        try:
            with (
                personal.guard(lambda error: not isinstance(error, ServerAway)),
                self._common.guard(lambda error: self._concerns_all(error, person)),
            ):
                yield
        finally:
            if personal.is_clean:
                self._personal.pop(person, None)
            else:
                self._personal[person] = personal

    def allow_probe(self) -> None:
        """End the time without calls: the server has come back."""
        for each in (self._common, *self._personal.values()):
            each.allow_probe()

    def _concerns_all(self, error: Exception, person: int) -> bool:
        failed_last, self._failed_last = self._failed_last, person
        return isinstance(error, ServerAway) or failed_last != person
