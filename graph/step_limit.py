"""Ends a step that takes too long, whatever it waits for."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from graph.errors import StepTimeout
from tools.timeouts import PausableTimeout

Given = ParamSpec("Given")
Update = TypeVar("Update")


def limit_step(
    step: Callable[Given, Awaitable[Update]], seconds: float
) -> Callable[Given, Awaitable[Update]]:
    """The step with a time limit.

    LangGraph's own limits start two more tasks for each step. While a tool's server waits for a
    person, the time stands still.
    """

    @wraps(step)
    async def limited(*args: Given.args, **kwargs: Given.kwargs) -> Update:
        try:
            async with PausableTimeout(seconds) as limit:
                return await step(*args, **kwargs)
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise StepTimeout(f"a step took longer than {seconds:g} seconds") from exc

    return limited
