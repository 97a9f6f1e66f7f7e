"""Waiting for a product that is busy."""

import pytest

from evals.target.patience import BUSY_SECONDS, patiently
from server.cli.connection import ApiFailure, ConnectionLost


class Busy:
    """Refuses some times, then answers."""

    def __init__(self, times, *, retry_after=3.0):
        self._times = times
        self._retry_after = retry_after
        self.slept = []

    async def work(self):
        if len(self.slept) < self._times:
            raise ConnectionLost("busy", retry_after_seconds=self._retry_after)
        return "done"

    async def sleep(self, seconds):
        self.slept.append(seconds)


async def test_a_product_that_says_when_to_come_again_is_waited_for():
    busy = Busy(2)
    assert await patiently(busy.work, sleep=busy.sleep) == "done"
    assert busy.slept == [3.0, 3.0]


async def test_waiting_comes_to_an_end():
    busy = Busy(1_000, retry_after=0)
    with pytest.raises(ApiFailure, match="busy"):
        await patiently(busy.work, sleep=busy.sleep)
    assert sum(busy.slept) == BUSY_SECONDS


async def test_a_refusal_that_names_no_time_is_one():
    busy = Busy(1, retry_after=None)
    with pytest.raises(ApiFailure, match="busy"):
        await patiently(busy.work, sleep=busy.sleep)
    assert busy.slept == []


async def test_what_has_begun_is_not_done_twice():
    busy = Busy(1)
    with pytest.raises(ApiFailure, match="busy"):
        await patiently(busy.work, may_repeat=lambda: False, sleep=busy.sleep)
