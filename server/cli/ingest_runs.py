"""`youworker ingest-runs`: what was given to be made searchable."""

import typer

from server.cli.connection import KeyOption, UrlOption, connect

app = typer.Typer(help="See and stop what is being made searchable.", no_args_is_help=True)


@app.command("list")
def list_runs(url: UrlOption = None, key: KeyOption = None) -> None:
    """Show the newest runs, one line each."""
    with connect(url, key) as api:
        for run in api.request("GET", "/v1/ingest/runs")["runs"]:
            counts = f"{run['taken_files']} taken, {run['failed_files']} refused"
            left = f", {run['open_files']} to go" if run["open_files"] else ""
            source = f"  {run['source']}" if run["source"] else ""
            typer.echo(f"{run['run_id']}  {run['status']:<9}  {counts}{left}{source}")


@app.command("cancel")
def cancel(run_id: str, url: UrlOption = None, key: KeyOption = None) -> None:
    """Stop a run; what is searchable stays."""
    with connect(url, key) as api:
        report = api.request("POST", f"/v1/ingest/runs/{run_id}/cancel")
    typer.echo(f"{report['run_id']}  {report['status']}")
