"""A grader that follows a script."""

import asyncio
import re

from evals.errors import GraderFailed

_ASKED = re.compile(r"^VERDICT (?P<nonce>\w+): (?P<grade>\w+)$", re.MULTILINE)


class ScriptedGrader:
    """Says what it is told to, in its order; with nothing to say any more, it gives `default`."""

    def __init__(self, *said: str, default: str = "") -> None:
        """Args: said: single grades, BREAK, HANG, or replies with NONCE for what verdicts name."""
        self.prompts: list[str] = []
        self.stopped = 0
        """How many replies were not waited for to the end."""
        self.most_at_once = 0
        self._at_once = 0
        self._said = list(said)
        self._default = default

    async def complete(self, prompt: str) -> str:
        """The next reply."""
        self.prompts.append(prompt)
        said = self._said.pop(0) if self._said else self._default
        if said == "BREAK":
            raise GraderFailed("the grader is away.")
        if said == "HANG":
            await self._hang()
        asked = list(_ASKED.finditer(prompt))
        if said in {each["grade"] for each in asked}:
            said = f"There are reasons.\nVERDICT NONCE: {said}"
        return said.replace("NONCE", asked[-1]["nonce"]) if asked else said

    async def _hang(self) -> None:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.Event().wait()
        finally:
            self._at_once -= 1
            self.stopped += 1
