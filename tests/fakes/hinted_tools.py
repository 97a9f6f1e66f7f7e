"""Tools that say of themselves what those of MCP servers do."""

from collections.abc import Awaitable, Callable
from typing import Any

from langchain_core.tools import StructuredTool


class HintedTool(StructuredTool):
    """A function as a tool, with the hints of an MCP server."""

    qualified_name: str = ""
    read_only: bool = False
    repeatable: bool = False


def hinted(function: Callable[..., Awaitable[Any]], **hints: Any) -> HintedTool:
    """A coroutine function as a tool; it is neither read-only nor repeatable unless told."""
    name = function.__name__
    return HintedTool.from_function(  # type: ignore[return-value]
        coroutine=function, qualified_name=f"tests.{name}", **hints
    )
