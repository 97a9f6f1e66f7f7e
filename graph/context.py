"""What one run carries and never saves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool
from pydantic.json_schema import SkipJsonSchema


@dataclass(frozen=True, kw_only=True)
class AgentContext:
    """Given with each run; no checkpoint ever holds any of it."""

    model: Annotated[BaseChatModel | None, SkipJsonSchema()] = None
    """Stands in for the agent's own model."""
    tools: Annotated[tuple[BaseTool, ...] | None, SkipJsonSchema()] = None
    """Stand in for the agent's own tools."""
    tools_enabled: bool = True
    caller: str = field(default="", repr=False)
    """Signed scope of the person who asks: tools receive it, the model never sees it."""
    system_prompt: str | None = None
    max_iterations: int | None = None
    """Budget of this run; the agent's setting when None, as with the next one."""
    history_tokens: int | None = None
    emit: Annotated[Callable[[Any], None] | None, SkipJsonSchema()] = field(
        default=None, repr=False
    )
    """Told of events at once; without it LangGraph's stream writer is, as under Studio."""
