"""`youworker keys`: one's own API keys."""

from typing import Annotated

import typer

from server.cli.connection import KeyOption, UrlOption, connect

app = typer.Typer(help="Make, list and end API keys.", no_args_is_help=True)


@app.command("list")
def list_keys(url: UrlOption = None, key: KeyOption = None) -> None:
    """List your keys."""
    offset, total = 0, 1
    with connect(url, key) as api:
        while offset < total:
            page = api.request("GET", "/v1/api-keys", params={"limit": 100, "offset": offset})
            for record in page["api_keys"]:
                ended = "revoked" if record["revoked_at"] else record["expires_at"]
                state = ended or "never expires"
                typer.echo(f"{record['id']}\t{record['prefix']}…\t{record['name']}\t{state}")
            offset, total = offset + 100, page["total"]


@app.command("create")
def create_key(
    name: Annotated[str, typer.Argument()],
    user: Annotated[int | None, typer.Option(help="For this user (root).")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="What the key may do; all of it without one.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Make a key; it is shown once."""
    path = "/v1/api-keys" if user is None else f"/v1/users/{user}/api-keys"
    with connect(url, key) as api:
        typer.echo(
            api.request("POST", path, json={"name": name} | ({"scopes": scope} if scope else {}))[
                "key"
            ]
        )


@app.command("revoke")
def revoke_key(
    key_id: Annotated[int, typer.Argument()], url: UrlOption = None, key: KeyOption = None
) -> None:
    """End a key at once."""
    with connect(url, key) as api:
        api.request("DELETE", f"/v1/api-keys/{key_id}")
    typer.echo(f"key {key_id} is revoked")
