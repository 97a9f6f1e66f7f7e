import asyncio

import pytest

from tools.budget import MESSAGES_AT_ONCE, MessageBudget


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
