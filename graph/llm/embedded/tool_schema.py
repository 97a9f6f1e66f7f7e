"""A tool as a request describes it, read out of its JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ToolParameter:
    """One argument of a tool."""

    name: str
    schema: Mapping[str, Any]
    required: bool

    @property
    def kind(self) -> str:
        """The JSON type; of a choice of types the first that is not null."""
        kind = self.schema.get("type")
        if isinstance(kind, str):
            return kind
        options = kind if isinstance(kind, list) else []
        options = options or [option.get("type") for option in self.schema.get("anyOf") or ()]
        return next((str(option) for option in options if option and option != "null"), "any")

    @property
    def description(self) -> str:
        """What the argument is for, or its name when nobody says."""
        return str(self.schema.get("description") or self.schema.get("title") or self.name)


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool that a request offers."""

    name: str
    description: str
    parameters: tuple[ToolParameter, ...]

    @property
    def meaning(self) -> str:
        """What is compared with a question: name and description as words."""
        words = self.name.replace("__", " ").replace("_", " ").replace(".", " ")
        return f"{words}: {self.description}" if self.description else words


def read_tools(listed: Sequence[Mapping[str, Any]]) -> tuple[Tool, ...]:
    """Read the tools of a chat request."""
    return tuple(_read_tool(entry["function"]) for entry in listed)


def _read_tool(function: Mapping[str, Any]) -> Tool:
    schema = function.get("parameters") or {}
    required = schema.get("required") or ()
    return Tool(
        name=function["name"],
        description=str(function.get("description") or "").strip(),
        parameters=tuple(
            ToolParameter(
                name=name,
                schema=entry if isinstance(entry, Mapping) else {},
                required=name in required,
            )
            for name, entry in (schema.get("properties") or {}).items()
        ),
    )
