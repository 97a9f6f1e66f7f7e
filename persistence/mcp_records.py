"""What the repositories of MCP servers and their tools return and take: frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

ServerSource = Literal["file", "api"]


@dataclass(frozen=True, kw_only=True)
class McpServer:
    """A server, and whom it is for."""

    id: int
    name: str
    source: ServerSource
    """Where its configuration is: in the servers file, or here."""
    config: Mapping[str, Any] = field(repr=False)
    """One entry of the `mcpServers` form, with its secrets; empty for one of the file."""
    enabled: bool
    groups: frozenset[int] | None
    """Whose members may use it; everybody when None."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class SeenTool:
    """A tool as its server describes it."""

    name: str
    fingerprint: str
    """Of the definition: another definition has another one."""
    definition: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class McpToolRow:
    """What is known of a tool of a server."""

    id: int
    server: str
    name: str
    enabled: bool
    approved: SeenTool | None
    """The definition that may be used."""
    held: SeenTool | None
    """The one that its server has come with since."""
