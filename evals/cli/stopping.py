"""What becomes of a run that is stopped: its reports so far, and how it goes on."""

import asyncio
import shlex
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import typer

from evals.cli.reading import write_reports
from evals.records.logs import read_records
from evals.records.record import RunRecord


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def tell_stopped(folder: Path, *, fail_under: Sequence[str] = ()) -> None:
    """Writes the reports of the answers there are, and says with what command it goes on."""
    record = RunRecord(
        run=folder.name,
        suites=tuple(asyncio.run(read_records(folder))),
        unfinished=True,
        fail_under=tuple(fail_under),
    )
    write_reports(folder, record)
    answers = sum(each.error is None for suite in record.suites for each in suite.attempts)
    typer.secho(
        f"youworker eval: the run is unfinished; {answers} "
        f"{'answer is' if answers == 1 else 'answers are'} kept. Go on with:\n"
        f"  youworker eval retry {shlex.quote(str(folder))}",
        err=True,
    )
