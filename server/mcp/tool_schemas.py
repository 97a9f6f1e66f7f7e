"""What the routes of tools take and answer."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from server.mcp.schemas import RowNumber

Verdict = Literal["allow", "ask", "deny"]


class DefinitionAnswer(BaseModel):
    """What a server says of a tool."""

    title: str | None
    description: str | None
    input_schema: dict[str, Any]
    annotations: dict[str, Any] | None


class HeldDefinition(DefinitionAnswer):
    """What a server has made of a tool since it was approved."""

    fingerprint: str
    """Send it to approve this definition, and no other."""
    changed: list[str]


class ToolAnswer(DefinitionAnswer):
    """A tool of an MCP server."""

    id: int | None
    """None of one that is refused."""
    name: str
    server: str
    policy: Verdict
    """What holds for the caller where no rule about arguments says otherwise."""
    read_only: bool
    """Whether it changes nothing, as far as its server is believed."""
    open_world: bool
    """Whether it may reach what lies outside of its server; false only of a server that says so
    and is believed."""
    enabled: bool
    status: Literal["available", "held", "off", "refused", "away"]
    """`held`: its server has changed it, and root has not approved that; `refused`: nobody could
    use it; `away`: its server does not answer just now. Users see what is available or away."""
    reason: str | None
    held: HeldDefinition | None
    """For root: what waits to be approved. The rest of this answer is what was approved."""


class ToolList(BaseModel):
    """A page of tools."""

    tools: list[ToolAnswer]
    total: int
    limit: int
    offset: int


class ToolUpdate(BaseModel):
    """What of a tool is to change; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"policy": "ask", "group_id": 7}]}
    )

    enabled: bool | None = None
    """Whether anybody may use it (root)."""
    fingerprint: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    """Approves the held definition that has it (root)."""
    policy: Verdict | None = None
    """Makes or changes the rule that speaks of all calls of this tool. Of all rules that fit a call
    the strictest counts. Group admins deny or ask in their groups."""
    group_id: RowNumber | None = None
    """Whose members the policy binds; everybody when left out, which is for root."""

    @model_validator(mode="after")
    def _require_change(self) -> Self:
        if self.enabled is None and self.fingerprint is None and self.policy is None:
            raise ValueError("give what is to change")
        if self.group_id is not None and self.policy is None:
            raise ValueError("a group is named for a policy alone")
        return self
