import asyncio

import pytest

from tools.breaker import CircuitBreaker, SharedBreaker
from tools.errors import (
    CallRejected,
    CallTimeout,
    LeftAlone,
    ServerAway,
    ServerLost,
    ServerUnavailable,
)


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


@pytest.fixture
def shared(clock: Clock) -> SharedBreaker:
    return SharedBreaker(failures=3, seconds=30, now=clock)


def fail_for(shared: SharedBreaker, *people: int, error: type[Exception] = CallTimeout) -> None:
    for person in people:
        with pytest.raises(error), shared.guard(person):
            raise error("late")


def test_what_fails_for_one_person_alone_ends_the_calls_of_that_one_alone(
    shared: SharedBreaker,
) -> None:
    fail_for(shared, 1, 1, 1)

    assert shared.state == "closed"
    assert shared.leaves_alone(1)
    with pytest.raises(LeftAlone), shared.guard(1):
        pytest.fail("was called")
    with shared.guard(2):
        pass


@pytest.mark.parametrize("error", [CallTimeout, ServerLost])
def test_a_person_who_is_left_alone_never_counts_against_others(
    shared: SharedBreaker, error: type[Exception]
) -> None:
    fail_for(shared, *[1] * 3, error=error)
    for _ in range(20):
        with pytest.raises(LeftAlone), shared.guard(1):
            pytest.fail("was called")

    assert shared.state == "closed"


def test_what_fails_for_several_people_counts_for_all(shared: SharedBreaker) -> None:
    fail_for(shared, 1, 2, 1)

    assert shared.state == "open"
    with pytest.raises(LeftAlone), shared.guard(3):
        pytest.fail("was called")


def test_that_there_is_no_session_counts_for_all_and_not_against_a_person(
    shared: SharedBreaker,
) -> None:
    fail_for(shared, 1, 1, 1, error=ServerAway)
    assert shared.state == "open"

    shared.allow_probe()
    with shared.guard(1):
        pass

    assert shared.state == "closed"
    assert not shared.leaves_alone(1)


def test_a_person_may_try_again_after_a_while(shared: SharedBreaker, clock: Clock) -> None:
    fail_for(shared, 1, 1, 1)
    clock.now = 30

    with shared.guard(1):
        pass

    assert not shared.leaves_alone(1)
