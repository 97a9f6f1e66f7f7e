"""`youworker mcp servers`: which MCP servers there are beside the built-in ones."""

from typing import Annotated, Any

import typer

from server.cli.connection import Api, ApiFailure, KeyOption, UrlOption, connect
from server.cli.mcp_differences import print_held
from server.cli.mcp_lookup import SERVERS, TOOLS, find_server, walk
from server.cli.mcp_server_view import groups_of, print_server, state_of
from server.cli.mcp_view import JsonOption, YesOption, confirm, print_json, print_list, visible

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The server's name, or its id.")]

app = typer.Typer(help="The MCP servers beside the built-in ones (root).", no_args_is_help=True)


@app.command("list")
def list_servers(as_json: JsonOption = False, url: UrlOption = None, key: KeyOption = None) -> None:
    """List them, one line each: how they are, and for whom."""
    with connect(url, key) as api:
        servers = list(walk(api, SERVERS, "servers"))
    print_list(servers, _columns, as_json=as_json)


@app.command("show")
def show_server(
    name: NameArgument, as_json: JsonOption = False, url: UrlOption = None, key: KeyOption = None
) -> None:
    """Show one of them; its secrets are never shown."""
    with connect(url, key) as api:
        server = find_server(api, name)
    if as_json:
        print_json(server)
    else:
        print_server(server)


@app.command("remove")
def remove_server(name: NameArgument, url: UrlOption = None, key: KeyOption = None) -> None:
    """Remove a server; what was approved of its tools is forgotten."""
    with connect(url, key) as api:
        server = find_server(api, name)
        api.request("DELETE", f"{SERVERS}/{server['id']}")
    typer.echo(f"server {server['name']} is removed")


@app.command("refresh")
def refresh_server(name: NameArgument, url: UrlOption = None, key: KeyOption = None) -> None:
    """Ask a server for its tools again; one that is away is tried now."""
    with connect(url, key) as api:
        print_server(api.request("POST", f"{SERVERS}/{find_server(api, name)['id']}/refresh"))


@app.command("approve")
def approve_server(
    name: NameArgument, yes: YesOption = False, url: UrlOption = None, key: KeyOption = None
) -> None:
    """Show all that a server has changed of its tools, and approve it when you say so."""
    with connect(url, key) as api:
        server = find_server(api, name)
        if not server["held"]:
            typer.echo(f"nothing of {server['name']} waits for approval")
            return
        for tool in _held_tools(api, server):
            print_held(tool)
        count = len(server["held"])
        confirm(f"Approve {count} change{'s' * (count != 1)}?", yes=yes)
        body = {"fingerprint": server["held_fingerprint"]}
        approved = api.request("POST", f"{SERVERS}/{server['id']}/approve", json=body)
    print_server(approved)


def _columns(server: Any) -> tuple[str, ...]:
    return (str(server["id"]), server["name"], state_of(server), groups_of(server))


def _held_tools(api: Api, server: Any) -> list[Any]:
    """What waits, exactly as it is approved together.

    Raises:
        ApiFailure: It is something else by now, or not to be seen at the moment.
    """
    seen = {tool["id"]: tool for tool in walk(api, TOOLS, "tools") if tool["held"]}
    tools = [seen.get(each["id"]) for each in server["held"]]
    shown = [tool["held"]["fingerprint"] if tool else None for tool in tools]
    if None in shown:
        names = [each["name"] for each, tool in zip(server["held"], tools, strict=True) if not tool]
        raise ApiFailure(
            f"{server['name']} does not have these just now, so that nobody can look at them: "
            f"{', '.join(map(visible, names))}; approve the others with 'mcp tools approve'."
        )
    if shown != [each["fingerprint"] for each in server["held"]]:
        raise ApiFailure("the tools are changing just now; look at them again.")
    return tools
