"""What the routes of MCP servers take and answer."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from server.dependencies import ROW_ID_MAX

GROUPS_MAX = 200

RowNumber = Annotated[int, Field(ge=1, le=ROW_ID_MAX)]
Groups = Annotated[list[RowNumber], Field(max_length=GROUPS_MAX)]
ServerName = Annotated[str, StringConstraints(min_length=1, max_length=32)]
ServerEntry = Annotated[dict[str, Any], Field(max_length=50)]
"""One entry of the `mcpServers` form: `url` and `headers`, or `command`, `args` and `env`; and
`forwardCaller`, `trustAnnotations`, `disabled`. Its secrets are never shown again."""


class ServerCreate(BaseModel):
    """A server to add."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "intranet",
                    "config": {
                        "url": "https://tools.example.com/mcp",
                        "headers": {"Authorization": "Bearer a-token"},
                    },
                    "groups": None,
                }
            ]
        },
    )

    name: ServerName
    """1 to 32 letters, digits, '-' or single '_' between them; tools are called `name.tool`."""
    config: ServerEntry
    groups: Groups | None = None
    """Whose members may use it; everybody when left out."""
    enabled: bool = True


class ServerUpdate(BaseModel):
    """What of a server is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    config: ServerEntry | None = None
    """Takes the place of the whole entry, secrets included."""
    groups: Groups | None = None
    """Null opens it to everybody."""
    enabled: bool | None = None

    @model_validator(mode="after")
    def _require_change(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give what is to change")
        for name in ("config", "enabled"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"{name} must not be null")
        return self

    @property
    def changes(self) -> dict[str, Any]:
        """The new values, by name."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class ServerState(BaseModel):
    """How a server is at this process, without asking it."""

    healthy: bool
    error: str | None
    tools: int
    breaker: Literal["closed", "open", "half-open"]
    """Open after calls have failed again and again: then none are made for a while."""


class HeldTool(BaseModel):
    """A tool that waits to be approved."""

    id: int
    name: str
    changed: list[str]
    """What is not as it was approved: title, description, inputSchema or annotations; all there is
    of a tool that is new."""
    fingerprint: str
    """Of what it would be, which `GET /v1/tools` shows beside what was approved."""


class ServerAnswer(BaseModel):
    """An MCP server, without its secrets."""

    id: int
    name: str
    source: Literal["file", "api"]
    transport: Literal["stdio", "http"] | None
    """None of a server that is not in the servers file any more."""
    config: dict[str, Any] | None
    groups: list[int] | None
    enabled: bool
    status: ServerState
    held: list[HeldTool]
    """Tools that it has changed, which nobody can use until root approves them."""
    held_fingerprint: str | None
    """Of all that waits: approving it approves what was shown, and nothing that came after."""
    created_at: datetime
    updated_at: datetime


class ServerList(BaseModel):
    """All MCP servers beside the built-in ones, as a page."""

    servers: list[ServerAnswer]
    total: int
    limit: int
    offset: int


class HeldApproval(BaseModel):
    """Approves all that waits at a server."""

    model_config = ConfigDict(extra="forbid")

    fingerprint: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """The `held_fingerprint` that was shown."""
