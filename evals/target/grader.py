"""The model that grades, as judges ask it."""

from typing import Protocol

import anyio

from evals.errors import GraderFailed

GRADER_SECONDS = 120.0
"""How long a grader may take for one reply."""


class Grader(Protocol):
    """A model that is asked about answers."""

    async def complete(self, prompt: str) -> str:
        """Its reply.

        Raises:
            GraderFailed: There is none.
        """


class BoundedGrader:
    """A grader that is not waited for forever, nor asked too much at a time."""

    def __init__(
        self, grader: Grader, *, concurrency: int, seconds: float = GRADER_SECONDS
    ) -> None:
        """Args: seconds: for one reply; waiting for one's turn does not count."""
        self._grader = grader
        self._limiter = anyio.CapacityLimiter(concurrency)
        self._seconds = seconds

    async def complete(self, prompt: str) -> str:
        """Its reply.

        Raises:
            GraderFailed: There is none, or not in time.
        """
        async with self._limiter:
            with anyio.move_on_after(self._seconds):
                return await self._grader.complete(prompt)
        raise GraderFailed(f"the grader did not reply within {self._seconds:g} seconds.")
