"""Rules about tools, sorted by the tools that they are about, as they were at one moment."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

KEPT_TOOLS = 1_000
"""Tools whose rules are remembered; there are as many as servers bring."""


class GroupRule(Protocol):
    """A rule for everybody, or for a group."""

    @property
    def group_id(self) -> int | None:
        """Whose members it binds; everybody when None."""
        ...

    def is_about(self, tool: str) -> bool:
        """Whether it speaks of a tool at all."""
        ...


Rule = TypeVar("Rule", bound=GroupRule)


@dataclass(frozen=True)
class ToolRules(Generic[Rule]):
    """The rules that are about one tool."""

    everybodys: tuple[Rule, ...]
    of_groups: Mapping[int, tuple[Rule, ...]]

    def binding(self, groups: Collection[int]) -> Iterator[Rule]:
        """Those that bind somebody who is in these groups."""
        yield from self.everybodys
        for group_id in groups:
            yield from self.of_groups.get(group_id, ())


class RuleBook(Generic[Rule]):
    """All the rules of one kind."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self.binds_groups = any(rule.group_id is not None for rule in self.rules)
        """Whether it matters who is in which group."""
        self._by_tool: dict[str, ToolRules[Rule]] = {}

    def about(self, tool: str) -> ToolRules[Rule]:
        """The rules that are about a tool."""
        known = self._by_tool.get(tool)
        if known is None:
            if len(self._by_tool) >= KEPT_TOOLS:
                self._by_tool.clear()
            known = self._by_tool[tool] = self._find(tool)
        return known

    def _find(self, tool: str) -> ToolRules[Rule]:
        everybodys: list[Rule] = []
        of_groups: dict[int, tuple[Rule, ...]] = {}
        for rule in self.rules:
            if not rule.is_about(tool):
                continue
            if rule.group_id is None:
                everybodys.append(rule)
            else:
                of_groups[rule.group_id] = (*of_groups.get(rule.group_id, ()), rule)
        return ToolRules(tuple(everybodys), of_groups)
