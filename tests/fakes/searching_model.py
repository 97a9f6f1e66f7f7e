"""A scripted model that searches for what it is asked and says all that it finds."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.model_turns import ScriptedCall, Turn
from tests.fakes.ollama_server import ScriptedOllama


class SearchingOllama(ScriptedOllama):
    """Keeps nothing to itself, unless a turn waits: what reaches it reaches the user."""

    def take(self, messages: Sequence[Mapping[str, Any]]) -> Turn:
        if self.left() or messages[-1].get("role") != "user":
            return super().take(messages)
        query = str(messages[-1]["content"])[:500]
        return Turn(calls=(ScriptedCall(tool="semantic__search", args={"query": query}),))
