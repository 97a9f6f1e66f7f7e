"""What goes on for a while ends with the watch of its user."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from server.errors import NotAuthenticated
from server.security.revocation import Watch
from server.security.streams import end_with, ending_with


class Kept:
    """A watch, and whether it was closed."""

    def __init__(self) -> None:
        self.closed = False
        self.watch = Watch(7, None, None, self._forget)

    def _forget(self, _: Watch) -> None:
        self.closed = True


async def letters() -> AsyncGenerator[bytes, None]:
    for letter in (b"a", b"b", b"c"):
        yield letter


async def test_a_stream_passes_whole_and_closes_its_watch():
    kept = Kept()
    assert [chunk async for chunk in end_with(kept.watch, letters())] == [b"a", b"b", b"c"]
    assert kept.closed


async def test_nothing_of_a_stream_passes_once_the_watch_has_ended():
    kept, source = Kept(), letters()
    stream = end_with(kept.watch, source)
    assert await anext(stream) == b"a"
    kept.watch.end()
    with pytest.raises(NotAuthenticated):
        await anext(stream)
    assert kept.closed
    assert [chunk async for chunk in source] == []


async def test_work_is_cancelled_when_the_watch_ends_and_may_tidy_up():
    kept, tidied = Kept(), asyncio.Event()

    async def work() -> None:
        async with ending_with(kept.watch):
            asyncio.get_running_loop().call_soon(kept.watch.end)
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                tidied.set()

    with pytest.raises(NotAuthenticated):
        await work()
    assert tidied.is_set()


async def test_work_whose_watch_has_ended_already_does_not_get_far():
    kept = Kept()
    kept.watch.end()
    with pytest.raises(NotAuthenticated):
        async with ending_with(kept.watch):
            await asyncio.Event().wait()


async def test_a_watch_that_ends_after_the_work_cancels_nothing():
    kept = Kept()
    async with ending_with(kept.watch):
        await asyncio.sleep(0)
    kept.watch.end()
    await asyncio.sleep(0)


async def test_a_time_limit_of_the_work_itself_stays_what_it_is():
    with pytest.raises(TimeoutError):
        async with ending_with(Kept().watch):
            raise TimeoutError
