import asyncio

import pytest

from tools.breaker import CircuitBreaker
from tools.errors import CallRejected, CallTimeout, ServerLost, ServerUnavailable


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(failures=3, seconds=30, now=clock)


def attempt(breaker: CircuitBreaker, error: BaseException | None = None) -> None:
    with breaker.guard():
        if error is not None:
            raise error


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ServerLost):
            attempt(breaker, ServerLost("gone"))


def test_calls_go_through_as_long_as_some_succeed(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        fail(breaker, 2)
        attempt(breaker)

    assert breaker.state == "closed"


def test_after_some_failures_in_a_row_no_call_is_made(breaker: CircuitBreaker) -> None:
    fail(breaker, 3)

    assert breaker.state == "open"
    with pytest.raises(ServerUnavailable, match=r"failed 3 times in a row .* 30 seconds"):
        attempt(breaker)


def test_after_a_while_one_call_tells_that_it_works_again(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now = 30

    assert breaker.state == "half-open"
    attempt(breaker)

    assert breaker.state == "closed"
    fail(breaker, 2)
    assert breaker.state == "closed"


def test_a_trial_that_fails_opens_it_again(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now = 30
    fail(breaker, 1)

    assert breaker.state == "open"


def test_only_one_call_is_the_trial(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now = 30

    with breaker.guard(), pytest.raises(ServerUnavailable, match="being tried"):
        attempt(breaker)

    assert breaker.state == "closed"


def test_a_trial_that_is_given_up_decides_nothing(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now = 30
    with pytest.raises(asyncio.CancelledError):
        attempt(breaker, asyncio.CancelledError())

    assert breaker.state == "half-open"
    attempt(breaker)
    assert breaker.state == "closed"


def test_an_error_of_the_protocol_is_an_answer(breaker: CircuitBreaker) -> None:
    for _ in range(10):
        with pytest.raises(CallRejected):
            attempt(breaker, CallRejected("no such tool"))

    assert breaker.state == "closed"


def test_calls_that_time_out_count(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        with pytest.raises(CallTimeout):
            attempt(breaker, CallTimeout("late"))

    assert breaker.state == "open"


def test_a_server_that_came_back_may_be_tried_at_once(breaker: CircuitBreaker) -> None:
    fail(breaker, 3)
    breaker.allow_probe()

    assert breaker.state == "half-open"


def test_a_server_that_came_back_before_it_failed_often_is_none_to_be_tried(
    breaker: CircuitBreaker,
) -> None:
    breaker.allow_probe()

    assert breaker.state == "closed"
