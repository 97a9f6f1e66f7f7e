"""How long a run may be at work."""

import asyncio

from server.runs.work_limit import WorkLimit


async def test_it_calls_back_after_its_time():
    ended = asyncio.Event()
    WorkLimit(0, ended.set)
    async with asyncio.timeout(10):
        await ended.wait()


async def test_while_somebody_is_asked_no_time_is_counted():
    ended = asyncio.Event()
    limit = WorkLimit(0, ended.set)
    with limit.pause():
        with limit.pause():
            pass
        for _ in range(10):
            await asyncio.sleep(0)
        assert not ended.is_set()
    async with asyncio.timeout(10):
        await ended.wait()


async def test_one_that_is_closed_calls_nobody_back():
    ended = asyncio.Event()
    limit = WorkLimit(0, ended.set)
    with limit.pause():
        limit.close()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not ended.is_set()
