"""`youworker eval view`."""

import ipaddress
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import typer
import uvicorn

from evals.cli.concluding import RUNS
from evals.errors import UsageMistake
from evals.records.record import load_run
from evals.viewing.app import create_viewer
from evals.viewing.shelf import RunShelf
from server.settings import Settings

CLOSE_SECONDS = 2


def view_runs(run: Path | None, *, host: str, port: int, by_inspect: bool) -> None:
    """Serves the runs of the installation, or those beside one, until Ctrl-C.

    Raises:
        UsageMistake: It is no run, or the address cannot be listened at.
    """
    if run is not None:
        load_run(run)
    folder = run.resolve().parent if run else Settings().data_dir / RUNS
    if by_inspect:
        _view_by_inspect(run or folder, host=host, port=port)
        return
    if not _is_loopback(host):
        typer.secho(
            f"Whoever reaches {host}:{port} reads every transcript: nobody is asked for a key.",
            fg="yellow",
            err=True,
        )
    with _listen(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        path = f"runs/{quote(run.resolve().name, safe='')}/" if run else ""
        typer.echo(f"http://{shown}:{listener.getsockname()[1]}/{path}  (Ctrl-C ends it)")
        viewer = create_viewer(RunShelf(folder), names=[host])
        config = uvicorn.Config(
            viewer,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=CLOSE_SECONDS,
        )
        with suppress(KeyboardInterrupt):  # it is how it ends
            uvicorn.Server(config).run(sockets=[listener])


def _view_by_inspect(folder: Path, *, host: str, port: int) -> None:
    """Inspect's own viewer, which knows its logs and none of the figures here.

    Its server alone: its command ends the process that a file of its own names, whichever that is.
    """
    if not _is_loopback(host):
        raise UsageMistake("Inspect's viewer is for this machine alone: leave out --host.")
    if not folder.is_dir():
        raise UsageMistake(f"there is no folder {str(folder)!r} with runs.")
    _listen(host, port).close()  # so that what is taken is told in a sentence
    from inspect_ai._view.fastapi_server import view_server  # a web server of its own: it is large

    with suppress(KeyboardInterrupt):
        view_server(log_dir=str(folder), host=host, port=port)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as exc:
        raise UsageMistake(
            f"nothing can listen at {host}:{port} ({exc.strerror or exc}); choose another --port."
        ) from exc


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
