"""How far a run is, on stderr: a live line on a terminal, plain lines now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Sequence

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from evals.records.record import AttemptRecord
from evals.running.progress import NoProgress, Pace, Progress

PLAIN_SECONDS = 15.0
"""Between two plain lines, however many samples end meanwhile."""
_REFRESHES_PER_SECOND = 2


def choose_progress(*, quiet: bool) -> Progress:
    """What suits the place where the output goes."""
    if quiet:
        return NoProgress()
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()


class PlainProgress:
    """A line when some time has gone by."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] = lambda line: typer.echo(line, err=True),
    ) -> None:
        self._clock = clock
        self._tell = tell
        self._pace: Pace | None = None
        self._told = clock()

    def begin(self, title: str, *, total: int, kept: Sequence[AttemptRecord]) -> None:
        """Says at once what is there already, if there is any."""
        self._pace = Pace(title, total=total, kept=kept, clock=self._clock)
        self._told = self._clock()
        if kept:
            self._tell(f"{title}: going on, {len(kept)} of {total} have an answer")

    def take(self, attempt: AttemptRecord) -> None:
        """Says how far it is, unless that was said just now."""
        if self._pace is None:
            return
        self._pace.take(attempt)
        if self._clock() - self._told >= PLAIN_SECONDS:
            self._told = self._clock()
            self._tell(self._pace.line())

    def end(self) -> None:
        """Says nothing: the figures come next."""
        self._pace = None


class LiveProgress:
    """One line that is drawn anew, and gone when the suite has ended."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._pace: Pace | None = None

    def begin(self, title: str, *, total: int, kept: Sequence[AttemptRecord]) -> None:
        """Draws the line; others may write when it is gone."""
        self._pace = Pace(title, total=total, kept=kept)
        self._live = Live(
            console=self._console,
            get_renderable=self._line,
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def take(self, attempt: AttemptRecord) -> None:
        """Counts; the line draws itself."""
        if self._pace is not None:
            self._pace.take(attempt)

    def end(self) -> None:
        """Takes the line away."""
        if self._live is not None:
            self._live.stop()
        self._live = self._pace = None

    def _line(self) -> Text:
        line = self._pace.line() if self._pace else ""
        return Text(line, no_wrap=True, overflow="ellipsis")
