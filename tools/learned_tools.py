"""What servers that tell only known people of their tools have told of them."""

from collections.abc import Container, Hashable
from dataclasses import dataclass

from mcp import types

from tools.session import MAX_TOOLS

ROUNDS_KEPT = 12
"""After so many rounds in which somebody else was heard nothing rests on a list any more."""
LISTS_MAX = 50
"""Whose list is oldest is forgotten beyond that."""


@dataclass
class _List:
    tools: tuple[types.Tool, ...]
    heard: int
    """The round in which it was true."""


class LearnedTools:
    """All tools that somebody was told of lately.

    Each person may be told of others, as by what they may do there. So whoever may do less takes
    nothing away; a tool goes when nobody is told of it any more. Of one that is described to each
    in another way what counts is what the person says who has been known longest: else it would
    seem to change whenever somebody else was asked.
    """

    def __init__(self) -> None:
        self.tools: tuple[types.Tool, ...] = ()
        """The same object until it changes."""
        self._lists: dict[Hashable, _List] = {}
        self._round = 0

    def learn(self, source: Hashable, tools: tuple[types.Tool, ...]) -> None:
        """Take what one source says now in the place of what it said before."""
        known = self._lists.get(source)
        if known is None:
            self._lists[source] = _List(tools=tools, heard=self._round)
        else:  # which keeps its rank
            known.tools, known.heard = tools, self._round
        if len(self._lists) > LISTS_MAX:
            del self._lists[min(self._lists, key=lambda each: self._lists[each].heard)]
        self._unite()

    def end_round(self, present: Container[Hashable]) -> None:
        """Forget what has not been heard for long.

        Args:
            present: Those who would have told of a change. If there is none, nothing is forgotten:
                it may be the server that is away.
        """
        heard = [known for source, known in self._lists.items() if source in present]
        if not heard:
            return
        self._round += 1
        for known in heard:
            known.heard = self._round
        self._lists = {
            source: known
            for source, known in self._lists.items()
            if self._round - known.heard < ROUNDS_KEPT
        }
        self._unite()

    def _unite(self) -> None:
        found: dict[str, types.Tool] = {}
        for known in self._lists.values():
            for tool in known.tools:
                found.setdefault(tool.name, tool)
        tools = tuple(found.values())[:MAX_TOOLS]
        if tools != self.tools:
            self.tools = tools
