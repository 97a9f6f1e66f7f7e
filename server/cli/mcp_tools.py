"""`youworker mcp tools`: the tools of all MCP servers."""

import json
from typing import Annotated, Any, Literal

import typer

from server.cli.connection import KeyOption, UrlOption, connect
from server.cli.mcp_differences import print_held
from server.cli.mcp_lookup import TOOLS, find_tool, walk
from server.cli.mcp_view import (
    JsonOption,
    YesOption,
    confirm,
    print_fields,
    print_json,
    print_list,
    visible,
)

DESCRIPTION_SHOWN_CHARS = 80

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The tool as server.tool, or its id.")
]

app = typer.Typer(help="The tools of MCP servers.", no_args_is_help=True)


@app.command("list")
def list_tools(
    server: Annotated[str | None, typer.Option(help="Of this server only.")] = None,
    held: Annotated[bool, typer.Option("--held", help="Those that wait for approval.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """List what you may use, one line each; root sees all, also what waits and what is refused."""
    with connect(url, key) as api:
        tools = [
            tool
            for tool in walk(api, TOOLS, "tools")
            if server in (None, tool["server"]) and (tool["held"] or not held)
        ]
    print_list(tools, _columns, as_json=as_json)


@app.command("show")
def show_tool(
    name: NameArgument, as_json: JsonOption = False, url: UrlOption = None, key: KeyOption = None
) -> None:
    """Show what a tool says of itself, and what it would be if a change were approved."""
    with connect(url, key) as api:
        tool = find_tool(api, name)
    if as_json:
        print_json(tool)
    else:
        _print(tool)


@app.command("enable")
def enable_tool(name: NameArgument, url: UrlOption = None, key: KeyOption = None) -> None:
    """Let a tool be used again (root)."""
    _change(name, {"enabled": True}, url, key)


@app.command("disable")
def disable_tool(name: NameArgument, url: UrlOption = None, key: KeyOption = None) -> None:
    """Let nobody use a tool (root)."""
    _change(name, {"enabled": False}, url, key)


@app.command("approve")
def approve_tool(
    name: NameArgument, yes: YesOption = False, url: UrlOption = None, key: KeyOption = None
) -> None:
    """Show what has changed of a tool, and approve exactly that when you say so (root)."""
    with connect(url, key) as api:
        tool = find_tool(api, name)
        if not tool["held"]:
            typer.echo(f"nothing of {visible(tool['name'])} waits for approval")
            return
        print_held(tool)
        confirm("Approve this?", yes=yes)
        body = {"fingerprint": tool["held"]["fingerprint"]}
        approved = api.request("PATCH", f"{TOOLS}/{tool['id']}", json=body)
    typer.echo(f"{visible(approved['name'])} is {approved['status']}")


@app.command("policy")
def set_policy(
    name: NameArgument,
    verdict: Annotated[Literal["allow", "ask", "deny"], typer.Argument()],
    group: Annotated[
        int | None, typer.Option(metavar="ID", help="For its members; for everybody without (root)")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Say what holds for all calls of a tool; of all rules that fit a call the strictest counts."""
    _change(name, {"policy": verdict} | ({} if group is None else {"group_id": group}), url, key)


def _change(name: str, body: dict[str, Any], url: str | None, key: str | None) -> None:
    with connect(url, key) as api:
        tool = find_tool(api, name)
        _print(api.request("PATCH", f"{TOOLS}/{tool['id']}", json=body))


def _columns(tool: Any) -> tuple[str, ...]:
    about = " ".join((tool["title"] or tool["description"] or "").split())
    state = tool["status"] if tool["reason"] is None else f"{tool['status']}: {tool['reason']}"
    return (tool["name"], tool["policy"], state, about[:DESCRIPTION_SHOWN_CHARS])


def _print(tool: Any) -> None:
    print_fields(
        {
            "tool": f"{tool['name']} ({tool['id']})",
            "title": tool["title"],
            "state": tool["status"],
            "reason": tool["reason"],
            "policy": tool["policy"],
            "description": tool["description"],
            "arguments": json.dumps(tool["input_schema"], ensure_ascii=False, indent=2),
            "annotations": json.dumps(tool["annotations"]) if tool["annotations"] else None,
        }
    )
    if tool["held"]:
        print_held(tool)
