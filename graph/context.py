"""What one run carries and never saves."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Annotated, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool
from pydantic import InstanceOf
from pydantic.json_schema import SkipJsonSchema

from graph.approvals import Decision, Policy, ProposedCall
from graph.call_budget import Limiter
from graph.events import CallEvent
from graph.journal import ToolJournal
from graph.tool_contents import RunContents
from tools.calls import CallListener

Listen = Callable[
    [ProposedCall, Callable[[CallEvent], None]], AbstractAsyncContextManager[CallListener]
]
"""Makes who listens to a call while it is made, and tells what happens as events."""


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
    user_id: Annotated[int | None, SkipJsonSchema()] = None
    """Whose sessions with tool servers the calls go over, where people have some of their own."""
    run_id: Annotated[str, SkipJsonSchema()] = ""
    """Which run calls the tools, as their servers' sessions tell runs apart."""
    identity: Annotated[Callable[[str], Awaitable[str]] | None, SkipJsonSchema()] = field(
        default=None, repr=False
    )
    """Makes a short-lived token that proves to one audience who is calling."""
    listen: Annotated[Listen | None, SkipJsonSchema()] = field(default=None, repr=False)
    """Hears what a server says and asks during a call; without it nobody does."""
    limits: Annotated[Limiter | None, SkipJsonSchema()] = field(default=None, repr=False)
    """Says what calls may take and how many there may be; without it the settings alone do."""
    why_denied: Annotated[Callable[[str], Awaitable[str | None]] | None, SkipJsonSchema()] = field(
        default=None, repr=False
    )
    """Says why a tool is not among these that there is for the caller; None if there is none."""
    system_prompt: str | None = None
    max_iterations: int | None = None
    """Budget of this run; the agent's setting when None, as with the next one."""
    history_tokens: int | None = None
    policy: Annotated[Policy | None, SkipJsonSchema()] = field(default=None, repr=False)
    """Judges every tool call before it is made; without one all are allowed."""
    journal: Annotated[InstanceOf[ToolJournal] | None, SkipJsonSchema()] = field(
        default=None, repr=False
    )
    """Keeps calls from being made twice; without one a run that goes on makes them again."""
    contents: Annotated[InstanceOf[RunContents] | None, SkipJsonSchema()] = field(
        default=None, repr=False
    )
    """Keeps the pictures, sounds and files that tools answer with; without it they are named."""
    decisions: Annotated[Mapping[str, Decision], SkipJsonSchema()] = field(
        default_factory=dict, repr=False
    )
    """What people said to this run's approval requests, by the requests' ids."""
    taken_up: Annotated[frozenset[str | None], SkipJsonSchema()] = frozenset()
    """The ids of calls that an earlier attempt left behind: they are judged again."""
    emit: Annotated[Callable[[Any], None] | None, SkipJsonSchema()] = field(
        default=None, repr=False
    )
    """Told of events at once; without it LangGraph's stream writer is, as under Studio."""
