"""`youworker users`: who may use the installation."""

from typing import Annotated

import typer

from server.cli.connection import KeyOption, UrlOption, connect

app = typer.Typer(help="Make, list, lock out and let in users (root).", no_args_is_help=True)


@app.command("list")
def list_users(url: UrlOption = None, key: KeyOption = None) -> None:
    """List all users."""
    offset, total = 0, 1
    with connect(url, key) as api:
        while offset < total:
            page = api.request("GET", "/v1/users", params={"limit": 100, "offset": offset})
            for user in page["users"]:
                marks = " root" if user["is_root"] else "" if user["is_active"] else " inactive"
                typer.echo(f"{user['id']}\t{user['username']}{marks}")
            offset, total = offset + 100, page["total"]


@app.command("create")
def create_user(
    username: Annotated[str, typer.Argument()], url: UrlOption = None, key: KeyOption = None
) -> None:
    """Make a user and a first key, which is shown once."""
    with connect(url, key) as api:
        user = api.request("POST", "/v1/users", json={"username": username})
        issued = api.request("POST", f"/v1/users/{user['id']}/api-keys", json={"name": "first"})
    typer.echo(f"user {user['id']} {user['username']}")
    typer.echo(issued["key"])


@app.command("deactivate")
def deactivate_user(
    user_id: Annotated[int, typer.Argument()], url: UrlOption = None, key: KeyOption = None
) -> None:
    """Lock a user out at once."""
    with connect(url, key) as api:
        api.request("PATCH", f"/v1/users/{user_id}", json={"is_active": False})
    typer.echo(f"user {user_id} is locked out")


@app.command("activate")
def activate_user(
    user_id: Annotated[int, typer.Argument()], url: UrlOption = None, key: KeyOption = None
) -> None:
    """Let a user in again."""
    with connect(url, key) as api:
        api.request("PATCH", f"/v1/users/{user_id}", json={"is_active": True})
    typer.echo(f"user {user_id} is let in")
