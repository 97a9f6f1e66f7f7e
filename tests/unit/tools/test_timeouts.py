import asyncio
import contextlib

import pytest

from tools.timeouts import PausableTimeout, current_timeouts

SHORT = 0.02


async def let_time_pass(seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


async def test_a_limit_ends_what_takes_longer() -> None:
    with pytest.raises(TimeoutError):
        async with PausableTimeout(SHORT):
            await asyncio.Event().wait()


async def test_a_limit_stands_still_while_it_is_paused() -> None:
    async with PausableTimeout(SHORT) as limit:
        with limit.pause(), limit.pause():
            await let_time_pass(2 * SHORT)
        done = True

    assert done


async def test_a_limit_goes_on_after_a_pause() -> None:
    async def work() -> None:
        async with PausableTimeout(SHORT) as limit:
            with limit.pause():
                await let_time_pass(2 * SHORT)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await work()


async def test_another_task_finds_the_limits_of_the_one_that_made_it_and_pauses_them() -> None:
    async def ask() -> None:
        with contextlib.ExitStack() as paused:
            for limit in current_timeouts.get():
                paused.enter_context(limit.pause())
            await let_time_pass(2 * SHORT)

    async with PausableTimeout(SHORT) as outer, PausableTimeout(SHORT) as inner:
        assert current_timeouts.get() == (outer, inner)
        await asyncio.create_task(ask())

    assert current_timeouts.get() == ()


async def test_a_pause_that_outlives_its_limit_does_no_harm() -> None:
    async with PausableTimeout(SHORT) as limit:
        pause = limit.pause()
        pause.__enter__()
    pause.__exit__(None, None, None)

    with limit.pause():
        await let_time_pass(SHORT)


async def test_a_cancelled_task_is_cancelled_and_not_timed_out() -> None:
    async def work() -> None:
        async with PausableTimeout(60):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
