"""What rules about tool calls take and answer."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from server.rule_fields import RowNumber, RuleUpdate, ToolPattern, require_visible

ARGUMENTS_MAX = 20
PATH_STEPS_MAX = 8


def _require_path(path: str) -> str:
    steps = path.split(".")
    if len(steps) > PATH_STEPS_MAX or not all(steps):
        raise ValueError(f"a path is one to {PATH_STEPS_MAX} names with dots between them")
    return path


ArgumentPath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(require_visible),
    AfterValidator(_require_path),
]
Text = Annotated[str, StringConstraints(max_length=500), AfterValidator(require_visible)]
Pattern = Text | int | Annotated[float, Field(allow_inf_nan=False)] | bool | None
Patterns = Annotated[dict[ArgumentPath, Pattern], Field(max_length=ARGUMENTS_MAX)]
"""Argument → what it must be, all of them. An argument is a name, or a path with dots, in which `*`
stands for every name or position: `to`, `recipients.*.email`. In a text `*` stands for any
characters; letter case does not count. A number, true, false or null means itself."""
Verdict = Literal["allow", "ask", "deny"]
Approver = Literal["user", "group_admin", "either"]


class ToolPolicyCreate(BaseModel):
    """A rule to make."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "group_id": 7,
                    "tool": "mail.send",
                    "arguments": {"to": "*@example.com"},
                    "verdict": "ask",
                    "approver": "group_admin",
                    "reason": "Mail to customers is read by two.",
                }
            ]
        },
    )

    group_id: RowNumber | None = None
    """Whose members it binds; everybody when left out, which is for root."""
    tool: ToolPattern
    arguments: Patterns = {}
    verdict: Verdict
    approver: Approver = "user"
    """Who answers when it asks. Others than the user see the call: that is for root to say."""
    reason: Text = ""
    """Shown to whoever is asked, or told to the model when it denies."""

    @model_validator(mode="after")
    def _require_group_for_its_admins(self) -> Self:
        if self.approver != "user" and self.group_id is None:
            raise ValueError("only a group's rule can be answered by the group's admins")
        return self


class ToolPolicyUpdate(RuleUpdate):
    """What of a rule is to change; what is left out stays."""

    arguments: Patterns | None = None
    verdict: Verdict | None = None
    approver: Approver | None = None
    reason: Text | None = None


class ToolPolicyAnswer(BaseModel):
    """A rule about tool calls."""

    id: int
    group_id: int | None
    tool: str
    arguments: dict[str, str | int | float | bool | None]
    verdict: Verdict
    approver: Approver
    reason: str
    created_at: datetime
    updated_at: datetime


class ToolPolicyList(BaseModel):
    """A page of the rules that one sees."""

    tool_policies: list[ToolPolicyAnswer]
    total: int
    limit: int
    offset: int
