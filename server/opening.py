"""Opening what takes seconds each at the same time."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TypeVar, cast

A = TypeVar("A")
B = TypeVar("B")


async def enter_both(
    stack: AsyncExitStack,
    first: AbstractAsyncContextManager[A],
    second: AbstractAsyncContextManager[B],
) -> tuple[A, B]:
    """Opens two things at once; the stack closes them, or the one that could be opened."""
    opening = [asyncio.ensure_future(each.__aenter__()) for each in (first, second)]
    await asyncio.wait(opening, return_when=asyncio.FIRST_EXCEPTION)
    for task in opening:  # whoever is still at it when the other failed need not go on
        task.cancel()
    opened = await asyncio.gather(*opening, return_exceptions=True)
    for manager, value in zip((first, second), opened, strict=True):
        if not isinstance(value, BaseException):
            stack.push_async_exit(manager)
    failures = [value for value in opened if isinstance(value, BaseException)]
    if failures:
        raise next((f for f in failures if isinstance(f, Exception)), failures[0])
    return cast("tuple[A, B]", tuple(opened))
