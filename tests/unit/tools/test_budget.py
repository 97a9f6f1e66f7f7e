import asyncio

import pytest

from tools.budget import (
    BYTES_AT_ONCE,
    LINES_AT_ONCE,
    MESSAGES_AT_ONCE,
    ByteBudget,
    LogBudget,
    MessageBudget,
)


async def is_let_through(budget: MessageBudget) -> bool:
    """Whether the next message need not wait."""
    spending = asyncio.ensure_future(budget.spend())
    await asyncio.sleep(0)
    through = spending.done()
    spending.cancel()
    await asyncio.wait({spending})
    return through


async def test_a_burst_is_let_through_and_what_comes_on_top_waits() -> None:
    budget = MessageBudget()

    for _ in range(MESSAGES_AT_ONCE):
        await budget.spend()
    in_time = [await is_let_through(budget) for _ in range(MESSAGES_AT_ONCE)]

    assert not all(in_time)


@pytest.mark.parametrize("messages", [1, MESSAGES_AT_ONCE])
async def test_a_few_messages_never_wait(messages: int) -> None:
    budget = MessageBudget()

    assert all([await is_let_through(budget) for _ in range(messages)])


async def test_few_large_messages_wait_as_many_small_ones_do() -> None:
    budget, message = ByteBudget(), 4 * 1024 * 1024

    for _ in range(BYTES_AT_ONCE // message):
        await budget.spend(message)

    spending = asyncio.ensure_future(budget.spend(message))
    await asyncio.sleep(0)
    assert not spending.done()
    spending.cancel()


async def test_what_is_told_is_bounded_and_never_waits() -> None:
    budget = LogBudget()

    told = [budget.spare() for _ in range(100 * LINES_AT_ONCE)]

    assert told[:LINES_AT_ONCE] == [True] * LINES_AT_ONCE
    assert sum(told) < 2 * LINES_AT_ONCE
