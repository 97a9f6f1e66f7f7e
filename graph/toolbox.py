"""The tools of a run, in the form that models are told of them."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from langchain_core.messages import ToolCall
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from graph.approvals import ProposedCall

KEPT_TOOLBOXES = 16


def is_repeatable(tool: BaseTool) -> bool:
    """Whether calling the tool twice does no more than calling it once; no, unless it says so."""
    return bool(getattr(tool, "repeatable", False))


def as_safe_name(name: str) -> str:
    """The name of a tool for models, where one has written that for people."""
    return name.replace(".", "__")


def qualified_name(tool: BaseTool) -> str:
    """The name for people and policies."""
    return str(getattr(tool, "qualified_name", tool.name))


class Toolbox:
    """A set of tools, described to a model once and for all."""

    def __init__(self, tools: Sequence[BaseTool]) -> None:
        self.tools = tuple(tools)
        self._by_name = {tool.name: tool for tool in self.tools}

    def __bool__(self) -> bool:
        return bool(self.tools)

    @cached_property
    def schemas(self) -> list[dict[str, Any]]:
        """The tools as function declarations."""
        return [convert_to_openai_tool(tool) for tool in self.tools]

    @property
    def names(self) -> list[str]:
        """As the model knows them."""
        return list(self._by_name)

    def find(self, name: str) -> BaseTool | None:
        """The tool that a model means: models also write `server.tool` for `server__tool`."""
        return self._by_name.get(name) or self._by_name.get(as_safe_name(name))

    def propose(self, call: ToolCall) -> ProposedCall | None:
        """A call as it is judged and journaled; None when there is no such tool."""
        tool = self.find(call["name"])
        if tool is None:
            return None
        return ProposedCall(
            call_id=call["id"] or "",
            tool=qualified_name(tool),
            args=call["args"],
            read_only=bool(getattr(tool, "read_only", False)),
            repeatable=is_repeatable(tool),
            open_world=bool(getattr(tool, "open_world", True)),
            schema=tool.args_schema if isinstance(tool.args_schema, dict) else {},
        )

    def knows(self, name: str) -> bool:
        """Whether a name means one of these tools."""
        return self.find(name) is not None


class Toolboxes:
    """The toolboxes in use, so that a set of tools is not described again for every run."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, ...], Toolbox] = OrderedDict()

    def of(self, tools: Sequence[BaseTool]) -> Toolbox:
        """The toolbox of exactly these tool objects."""
        # A kept toolbox keeps its tools alive, so an id in a key is never another tool's.
        key = tuple(map(id, tools))
        toolbox = self._kept.get(key)
        if toolbox is None:
            toolbox = self._kept[key] = Toolbox(tools)
            if len(self._kept) > KEPT_TOOLBOXES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return toolbox
