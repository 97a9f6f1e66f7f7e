"""What the repositories of rules about tools return and take: frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from persistence.approval_records import Approver

PolicyVerdict = Literal["allow", "ask", "deny"]
ArgumentPattern = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class NewToolRule:
    """A rule about tools."""

    group_id: int | None
    """Whose members it binds; everybody when None."""
    tool: str
    """A pattern of qualified names."""


@dataclass(frozen=True, kw_only=True)
class ToolRule(NewToolRule):
    """A rule that stands."""

    id: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class NewToolPolicy(NewToolRule):
    """A rule on which calls are allowed, asked about or denied."""

    arguments: Mapping[str, ArgumentPattern] = field(default_factory=dict, repr=False)
    """Patterns by the arguments that must fit them."""
    verdict: PolicyVerdict
    approver: Approver = "user"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ToolPolicy(NewToolPolicy, ToolRule):
    """A policy that stands."""


@dataclass(frozen=True, kw_only=True)
class NewToolLimit(NewToolRule):
    """A rule on what calls may take; what is None it does not limit."""

    max_seconds: float | None = None
    """How long one call may take."""
    max_result_chars: int | None = None
    """How much of its result the model is told."""
    max_calls_per_run: int | None = None
    """How many calls of all tools that fit one run may make."""


@dataclass(frozen=True, kw_only=True)
class ToolLimit(NewToolLimit, ToolRule):
    """A limit that stands."""
