"""`youworker mcp limits`: what calls of tools may take."""

from typing import Annotated, Any

import typer

from server.cli.connection import KeyOption, UrlOption, connect
from server.cli.mcp_lookup import walk
from server.cli.mcp_view import JsonOption, print_list, visible

LIMITS = "/v1/tool-limits"

SecondsOption = Annotated[
    float | None, typer.Option("--seconds", help="How long one call may take.")
]
ResultOption = Annotated[
    int | None,
    typer.Option("--result-chars", help="How much of a result the model is told."),
]
CallsOption = Annotated[
    int | None, typer.Option("--calls", help="How many calls that fit a run makes.")
]

app = typer.Typer(help="What calls of tools may take; the strictest counts.", no_args_is_help=True)


@app.command("list")
def list_limits(as_json: JsonOption = False, url: UrlOption = None, key: KeyOption = None) -> None:
    """List the limits that bind you, one line each (root: all)."""
    with connect(url, key) as api:
        limits = list(walk(api, LIMITS, "tool_limits"))
    print_list(limits, _columns, as_json=as_json)


@app.command("add")
def add_limit(
    tool: Annotated[str, typer.Argument(help="A pattern over server.tool, such as 'web.*'.")],
    seconds: SecondsOption = None,
    result_chars: ResultOption = None,
    calls: CallsOption = None,
    group: Annotated[
        int | None, typer.Option(metavar="ID", help="For its members; for everybody without (root)")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Limit the calls of tools."""
    body = {"tool": tool} | _given(seconds, result_chars, calls)
    if len(body) == 1:
        raise typer.BadParameter("give --seconds, --result-chars or --calls")
    with connect(url, key) as api:
        typer.echo(_line(api.request("POST", LIMITS, json=body | {"group_id": group})))


@app.command("change")
def change_limit(
    limit_id: Annotated[int, typer.Argument(metavar="ID", help="As the list shows it.")],
    seconds: SecondsOption = None,
    result_chars: ResultOption = None,
    calls: CallsOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Change a limit; what is left out stays."""
    body = _given(seconds, result_chars, calls)
    if not body:
        raise typer.BadParameter("give --seconds, --result-chars or --calls")
    with connect(url, key) as api:
        typer.echo(_line(api.request("PATCH", f"{LIMITS}/{limit_id}", json=body)))


@app.command("remove")
def remove_limit(
    limit_id: Annotated[int, typer.Argument(metavar="ID", help="As the list shows it.")],
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """End a limit; calls that are going on keep it."""
    with connect(url, key) as api:
        api.request("DELETE", f"{LIMITS}/{limit_id}")
    typer.echo(f"limit {limit_id} is removed")


def _given(seconds: float | None, result_chars: int | None, calls: int | None) -> dict[str, Any]:
    limits = {
        "max_seconds": seconds,
        "max_result_chars": result_chars,
        "max_calls_per_run": calls,
    }
    return {name: value for name, value in limits.items() if value is not None}


def _line(limit: Any) -> str:
    return "\t".join(map(visible, _columns(limit)))


def _columns(limit: Any) -> tuple[str, ...]:
    told = {
        "s a call": limit["max_seconds"],
        "characters of a result": limit["max_result_chars"],
        "calls a run": limit["max_calls_per_run"],
    }
    limits = ", ".join(f"{value:g} {what}" for what, value in told.items() if value is not None)
    whom = "everybody" if limit["group_id"] is None else f"group {limit['group_id']}"
    return (str(limit["id"]), limit["tool"], limits, whom)
