"""How an MCP server is shown in a terminal."""

from typing import Any

from server.cli.mcp_view import print_fields


def state_of(server: Any) -> str:
    """How it is, in a few words."""
    state = server["status"]
    if not server["enabled"]:
        return "off"
    if not state["healthy"]:
        return f"away: {state['error']}"
    held = f", {len(server['held'])} held" if server["held"] else ""
    return f"{state['tools']} tool{'s' * (state['tools'] != 1)}{held}"


def groups_of(server: Any) -> str:
    """Whom it is for."""
    groups = server["groups"]
    if groups is None:
        return "everybody"
    return f"groups {', '.join(map(str, groups))}" if groups else "nobody"


def print_server(server: Any) -> None:
    """Shows all that is known of it."""
    config = server["config"] or {}
    reached = {name: value for name, value in config.items() if value not in (None, [], {}, False)}
    print_fields(
        {
            "server": f"{server['name']} ({server['id']}, of the {server['source']})",
            "state": state_of(server),
            "for": groups_of(server),
            **{name: str(value) for name, value in reached.items()},
            "held": "\n".join(
                f"{each['name']}: {', '.join(each['changed'])}" for each in server["held"]
            ),
        }
    )
