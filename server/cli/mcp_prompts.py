"""`youworker mcp prompts`: texts that MCP servers keep for people to send."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from server.cli.connection import ApiFailure, KeyOption, UrlOption, connect
from server.cli.mcp_view import JsonOption, print_json, visible, visible_lines

PROMPTS = "/v1/prompts"
PAGE = 100

app = typer.Typer(help="Texts that MCP servers keep for people to send.", no_args_is_help=True)


@app.command("list")
def list_prompts(
    server: Annotated[str | None, typer.Option(help="Of this server only.")] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """List the prompts that you may use; blanks in brackets may stay empty."""
    found: list[Any] = []
    away: set[str] = set()
    conditions = {} if server is None else {"server": server}
    with connect(url, key) as api:
        total = 1
        while len(found) < total:
            query = {**conditions, "limit": PAGE, "offset": len(found)}
            page = api.request("GET", PROMPTS, params=query)
            found += page["prompts"]
            away |= {*page["unavailable"]}
            # Servers come and go between two pages.
            total = page["total"] if page["prompts"] else 0
    if as_json:
        print_json({"prompts": found, "unavailable": sorted(away)})
        return
    for prompt in found:
        blanks = " ".join(map(_blank, prompt["arguments"]))
        parts = (prompt["id"], blanks, prompt["title"] or prompt["description"] or "")
        typer.echo("\t".join(visible(part) for part in parts))
    if away:
        typer.echo(f"These did not answer in time: {', '.join(sorted(away))}.", err=True)


@app.command("get")
def get_prompt(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="As the list names it.")],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="What its blanks hold.")
    ] = None,
    values_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The same as an object in JSON; '-' is the input."),
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Print what a prompt says. It is sent to nobody: read it, and paste or pipe it into a chat."""
    server, dot, name = prompt.partition(".")
    if not (server and dot and name):
        raise typer.BadParameter("a prompt is named server.name; 'mcp prompts list' shows them")
    body = {"arguments": _values_of_file(values_file) | dict(map(_value, values or ()))}
    path = f"{PROMPTS}/{quote(server, safe='')}/{quote(name, safe='')}"
    with connect(url, key) as api:
        filled = api.request("POST", path, json=body)
    if as_json:
        print_json(filled)
        return
    messages = filled["messages"]
    is_text_alone = len({message["role"] for message in messages}) == 1
    for message in messages:
        if not is_text_alone:
            typer.secho(f"{message['role']}:", bold=True)
        for part in message["content"]:
            typer.echo(_shown(part))


def _blank(argument: Any) -> str:
    return str(argument["name"]) if argument["required"] else f"[{argument['name']}]"


def _value(given: str) -> tuple[str, str]:
    name, sign, value = given.partition("=")
    if not sign or not name:
        raise typer.BadParameter(f"{given!r} is not NAME=VALUE")
    return name, value


def _values_of_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        values = json.loads(sys.stdin.read() if path == "-" else Path(path).read_text("utf-8-sig"))
    except OSError as exc:
        raise ApiFailure(f"{path!r} cannot be read: {exc.strerror}.") from exc
    except (ValueError, RecursionError) as exc:
        raise typer.BadParameter(f"{path!r} is not JSON") from exc
    if not isinstance(values, dict):
        raise typer.BadParameter(f"{path!r} holds no object")
    return values


def _shown(part: Any) -> str:
    match part["type"]:
        case "text":
            return visible_lines(part["text"])
        case "resource" if part["text"] is not None:
            return f"[{visible(part['uri'])}]\n{visible_lines(part['text'])}"
        case "resource_link":
            return f"[{visible(part['name'])}: {visible(part['uri'])}]"
        case kind:
            what = visible(part["mime_type"] or part.get("uri") or "")
            return f"[{kind} {what}, {len(part['data'])} characters of base64]"
