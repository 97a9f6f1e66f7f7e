"""Who decides whether a tool may be called, in values.

A `Policy` judges the calls that the model proposes. What it leaves to people becomes an
`ApprovalRequest`; a `Decision` answers one.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Approver = Literal["user", "group_admin", "either"]
Cause = Literal["policy", "interrupted"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProposedCall:
    """A tool call that the model asks for."""

    call_id: str
    """Unique within the run."""
    tool: str
    """The qualified name, `server.tool`."""
    args: Mapping[str, Any] = field(repr=False)
    read_only: bool
    repeatable: bool
    """Whether calling twice does no more than calling once."""
    open_world: bool = True
    """Whether it may reach what lies outside of its server, as the web does."""
    schema: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The JSON schema of the arguments; empty when the tool does not tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a policy says of one call."""

    decision: Literal["allow", "ask", "deny"]
    reason: str = ""
    """For the person who is asked, or for the model that is denied."""
    approver: Approver = "user"
    group_id: int | None = None
    """Whose administrators may answer."""


Policy = Callable[[Sequence[ProposedCall]], Awaitable[Sequence[Verdict]]]
"""Returns one verdict a call, in their order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalRequest:
    """A call that waits for a person."""

    id: str
    """Unique within the run, and the same when the same question is put again after a crash.

    One call may be asked about several times, under different ids.
    """
    call_id: str
    tool: str
    args: Mapping[str, Any] = field(repr=False)
    reason: str = ""
    cause: Cause = "policy"
    """`interrupted`: it had begun when its process died, and nobody knows what it did."""
    approver: Approver = "user"
    group_id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a person says to a request."""

    decision: Literal["allow", "edit", "refuse"]
    args: Mapping[str, Any] | None = field(default=None, repr=False)
    """The arguments to call with instead; only of an edit."""
    reason: str = field(default="", repr=False)
    """Told to the model when the call is refused."""
