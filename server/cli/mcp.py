"""`youworker mcp`: MCP servers, and what they bring."""

import typer

from server.cli import (
    mcp_limits,
    mcp_login,
    mcp_prompts,
    mcp_server_changes,
    mcp_servers,
    mcp_tools,
)

app = typer.Typer(
    help="MCP servers, their tools, prompts and limits, and logging in to servers.",
    no_args_is_help=True,
)
mcp_servers.app.command("add")(mcp_server_changes.add_server)
mcp_servers.app.command("change")(mcp_server_changes.change_server)
app.add_typer(mcp_servers.app, name="servers")
app.add_typer(mcp_tools.app, name="tools")
app.add_typer(mcp_prompts.app, name="prompts")
app.add_typer(mcp_limits.app, name="limits")
app.command("login")(mcp_login.log_in)
app.command("logout")(mcp_login.log_out)
