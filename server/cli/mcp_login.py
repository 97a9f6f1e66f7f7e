"""`youworker mcp login` and `logout`: what you let the product do for you at an MCP server."""

import time
import webbrowser
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from server.cli.connection import Api, ApiFailure, KeyOption, UrlOption, connect
from server.cli.mcp_view import visible

AUTHORIZATIONS = "/v1/mcp/authorizations"
POLL_SECONDS = 2.0
"""How often it is asked whether the browser has come back."""

ServerArgument = Annotated[str, typer.Argument(metavar="SERVER", help="Its name.")]


def log_in(
    server: ServerArgument,
    browser: Annotated[
        bool, typer.Option("--browser", help="Open the address in a browser here.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until it is granted.")
    ] = True,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Let the product act for you at a server that asks for it: prints the address to open.

    Give the address to nobody: whoever grants it there does so for you. Ctrl-C stops waiting only.
    """
    with connect(url, key) as api:
        before = _find(api, server)
        begun = api.request("POST", _path(before))
        address = str(begun["authorization_url"])
        typer.echo(visible(address))
        if browser:
            _open(address)
        if wait:
            _wait_for(api, before, until=datetime.fromisoformat(begun["expires_at"]))
            typer.echo(f"{before['server']} has let you in")


def log_out(server: ServerArgument, url: UrlOption = None, key: KeyOption = None) -> None:
    """Take back what you have granted at a server."""
    with connect(url, key) as api:
        found = _find(api, server)
        withdrawn = api.request("DELETE", _path(found))
    told = "" if withdrawn["revoked"] else "; its tokens end in time, the server was not told"
    typer.echo(f"you are logged out of {found['server']}{told}")


def _find(api: Api, name: str) -> Any:
    """How it stands with a server.

    Raises:
        ApiFailure: There is none that wants it and that the caller may use.
    """
    found = api.request("GET", AUTHORIZATIONS)["authorizations"]
    for each in found:
        if name.casefold() == each["server"].casefold():
            return each
    names = ", ".join(each["server"] for each in found)
    known = f"these do: {names}" if names else "none does"
    raise ApiFailure(f"no MCP server {name!r} asks you to log in; {known}.")


def _wait_for(api: Api, before: Any, *, until: datetime) -> None:
    while datetime.now(UTC) < until:
        now = _find(api, before["server"])
        if now["status"] == "good" and now["since"] != before["since"]:
            return
        time.sleep(POLL_SECONDS)
    raise ApiFailure("nobody has granted it in time; begin again.")


def _path(found: Any) -> str:
    return f"/v1/mcp/servers/{found['server_id']}/authorization"


def _open(address: str) -> None:
    # A browser is given web pages alone, whatever a server calls its address.
    if not (address.startswith(("https://", "http://")) and webbrowser.open(address)):
        typer.echo("No browser could be opened here; open the address yourself.", err=True)
