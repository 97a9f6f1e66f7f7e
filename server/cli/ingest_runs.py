"""`youworker ingest-runs`: what was given to be made searchable."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from server.cli.connection import Api, KeyOption, UrlOption, connect
from server.errors import IngestCancelled

NAMES_SHOWN = 2

app = typer.Typer(help="See and stop what is being made searchable.", no_args_is_help=True)


@app.command("list")
def list_runs(
    limit: Annotated[int, typer.Option(min=1, max=100, help="So many runs.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="Without so many of the newest.")] = 0,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Show the newest runs, one line each: when, what became of the files, and which they were."""
    with connect(url, key) as api:
        page = api.request("GET", "/v1/ingest/runs", params={"limit": limit, "offset": offset})
        for run in page["runs"]:
            typer.echo(_line(api, run))
    seen = offset + len(page["runs"])
    if page["runs"] and seen < page["total"]:
        typer.echo(f"{page['total'] - seen} more: --offset {seen}", err=True)


@app.command("cancel")
def cancel(
    run_id: Annotated[str, typer.Argument(help="As the list shows it.")],
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Stop a run; what is searchable stays."""
    try:
        UUID(run_id)
    except ValueError as exc:
        raise typer.BadParameter(f"{run_id!r} is no id of a run; 'list' shows them") from exc
    with connect(url, key) as api:
        report = api.request("POST", f"/v1/ingest/runs/{run_id}/cancel")
    typer.echo(f"{report['run_id']}  {report['status']}")


def _line(api: Api, run: Any) -> str:
    report = None
    if run["failed_files"] or run["source"] is None:  # the list has neither reasons nor names
        report = api.request("GET", f"/v1/ingest/runs/{run['run_id']}")
    created = datetime.fromisoformat(run["created_at"]).astimezone()
    what = run["source"] or _names(report)
    return (
        f"{run['run_id']}  {created:%Y-%m-%d %H:%M}  {run['status']:<9}  {_counts(run, report)}"
        f"  {what}"
    ).rstrip()


def _counts(run: Any, report: Any) -> str:
    refused = "refused"
    if run["failed_files"]:
        # Those that were cancelled stand among the errors too.
        codes = {each["code"] for each in report["errors"]} - {IngestCancelled.code}
        refused = f"refused ({', '.join(sorted(codes))})"
    counts = {
        "taken": run["taken_files"],
        refused: run["failed_files"],
        "cancelled": run["cancelled_files"],
        "to go": run["open_files"],
    }
    total = sum(counts.values())
    told = [f"{count} {name}" for name, count in counts.items() if count]
    return f"{total} file{'s' * (total != 1)}: {', '.join(told)}"


def _names(report: Any) -> str:
    files = [each["path"] for part in ("files", "errors", "unfinished") for each in report[part]]
    rest = report["totals"]["files"] - NAMES_SHOWN
    return ", ".join(files[:NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
