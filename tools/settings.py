"""Settings of the tools folder."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field


class McpSettings(BaseModel):
    """Which MCP servers there are beside the built-in ones, and what they are allowed."""

    servers_file: Path = Path("mcp.json")
    """A file in the ecosystem's `mcpServers` form; when it is missing there are no others."""
    call_timeout_seconds: float = Field(default=60, gt=0, le=3600)
    """How long one tool call may take, reconnecting included."""
    connect_timeout_seconds: float = Field(default=30, gt=0, le=600)
    """How long a server may take to start and to say which tools it has."""
    start_wait_seconds: float = Field(default=3, ge=0, le=60)
    """How long the product's start waits for servers from the file; slower ones join when ready."""
    unmarked_tools: Literal["allow", "ask", "deny"] = "allow"
    """What becomes of calls that no rule is about, of tools that do not say that they only read."""
    result_max_chars: int = Field(default=20_000, ge=200)
    """A longer result is cut, with a note that says so."""
