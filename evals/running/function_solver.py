"""Inspect's solver of suites in which samples bring functions."""

from collections.abc import Callable

from inspect_ai.solver import Generate, Solver, TaskState, solver

from evals.running.functions import FunctionDesk
from evals.suite.functions import FunctionSpec
from evals.target.product import Product

FUNCTIONS = "functions"
"""Under which a sample's metadata have what it brings."""


def ask_with_functions(
    product: Product, desk: FunctionDesk, ask: Callable[[Product], Solver]
) -> Solver:
    """Asks samples with functions as users who have these alone, and others as ever.

    Args:
        product: Whom to ask.
        desk: Lends such users.
        ask: Makes the solver that asks a product.
    """

    @solver(name="product")
    def asking() -> Solver:
        as_ever = ask(product)

        async def solve(state: TaskState, generate: Generate) -> TaskState:
            brought = state.metadata.get(FUNCTIONS)
            if not brought:
                return await as_ever(state, generate)
            functions = [FunctionSpec.model_validate(each) for each in brought]
            async with desk.lend(str(state.sample_id), functions) as lent:
                return await ask(lent)(state, generate)

        return solve

    return asking()
