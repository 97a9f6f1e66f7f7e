"""An upload that keeps others waiting is broken off."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from itertools import count

import pytest

from server.body_pace import (
    GRACE_SECONDS,
    IDLE_SECONDS,
    LEAST_BYTES_PER_SECOND,
    LONGEST_SECONDS,
    keep_pace,
)
from server.errors import UploadTooSlow


class Body:
    """Sends chunks of one size without end, or none at all."""

    def __init__(self, chunk: bytes | None) -> None:
        self._chunk = chunk
        self.closed = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            while self._chunk is not None:
                yield self._chunk
            await asyncio.Event().wait()
        finally:
            self.closed = True


def ticking(seconds: float) -> Iterator[float]:
    """What a clock shows that is looked at this often."""
    return count(0.0, seconds)


async def read_until_refused(body: Body, *, every: float) -> int:
    """How many bytes were taken before it was too slow."""
    clock, taken = ticking(every), 0
    try:
        async for chunk in keep_pace(body.chunks(), clock=lambda: next(clock)):
            taken += len(chunk)
    except UploadTooSlow:
        return taken
    pytest.fail("it was taken whole")


async def test_a_body_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr("server.body_pace.IDLE_SECONDS", 0.001)
    body = Body(None)
    assert await read_until_refused(body, every=0) == 0
    assert body.closed


async def test_a_body_that_drips_is_given_up_soon_after_the_grace():
    taken = await read_until_refused(Body(b"x"), every=IDLE_SECONDS - 1)
    assert 0 < taken <= GRACE_SECONDS / (IDLE_SECONDS - 1)


async def test_a_body_just_above_the_least_rate_is_given_up_at_the_latest_moment():
    chunk = bytes(LEAST_BYTES_PER_SECOND + 1)
    taken = await read_until_refused(Body(chunk), every=1)
    assert taken == len(chunk) * (LONGEST_SECONDS - 1)


async def test_a_body_that_comes_fast_is_taken_whole():
    async def body() -> AsyncGenerator[bytes, None]:
        for number in range(100):
            yield bytes([number])

    assert b"".join([chunk async for chunk in keep_pace(body())]) == bytes(range(100))
