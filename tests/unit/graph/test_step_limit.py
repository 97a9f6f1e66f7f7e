"""How long a step may take."""

import asyncio

import pytest

from graph.errors import StepTimeout
from graph.step_limit import limit_step
from tools.timeouts import current_timeouts


async def test_a_step_that_takes_too_long_ends_but_not_while_a_person_is_asked():
    answered = asyncio.Event()

    async def step() -> None:
        [limit] = current_timeouts.get()
        with limit.pause():
            for _ in range(10):
                await asyncio.sleep(0)
            answered.set()
        await asyncio.Event().wait()

    with pytest.raises(StepTimeout):
        await limit_step(step, 0)()
    assert answered.is_set()


async def test_a_time_limit_within_a_step_is_its_own_affair():
    async def step() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await limit_step(step, 60)()
