"""What came of a soak, in figures and in sentences."""

import json
import signal
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from uuid import UUID

from bench.soak.asked import Asked
from bench.soak.killer import Kill, RunningRun

SHOWN_VIOLATIONS = 40


@dataclass(frozen=True, kw_only=True)
class Report:
    """The outcome; a soak without violations has shown what it is there to show."""

    seed: int
    seconds: float
    kills: int
    """Processes that were ended by SIGKILL."""
    stops: int
    """Processes that were ended by SIGTERM, and could hand over what they did."""
    struck: int
    """Runs that were going on in a process when it was ended, as far as that is known."""
    runs: int
    crashes: int
    """How often a process took over what another one had left without a word."""
    events: int
    approvals: int
    interrupted: int
    """Approvals that were asked for because a call had begun and its outcome was unknown."""
    reconnects: int
    recovery_p50_seconds: float | None
    """From the end of a process to the next event of a run that it was at, if another one lived."""
    recovery_p95_seconds: float | None
    start_p50_seconds: float | None
    refusals: dict[str, int]
    """Answers of living servers that were no success, by status and code."""
    logged: dict[str, int]
    """What the servers logged as an error, by name."""
    violations: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        """For programs."""
        return json.dumps(asdict(self))

    def as_text(self) -> str:
        """For people."""
        lines = [
            f"{name:22}{_shown(value)}"
            for name, value in asdict(self).items()
            if name != "violations"
        ]
        lines.append(f"{'violations':22}{len(self.violations)}")
        lines += [f"  {violation}" for violation in self.violations[:SHOWN_VIOLATIONS]]
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Strike:
    """A run whose process was ended."""

    kill: Kill
    run: RunningRun
    asked: Asked

    def recovery_seconds(self) -> float | None:
        """How long the run showed nothing new; None when there was nobody to go on with it."""
        moment = self.asked.transcript.first_after(self.run.last_id)
        if not self.kill.survivors or moment is None or moment < self.kill.moment:
            return None
        return moment - self.kill.moment


def find_strikes(kills: Sequence[Kill], asked: Iterable[Asked]) -> list[Strike]:
    """The runs that each kill hit.

    The database knows a process by a name of its own; the runs that a client began there tell
    which it is.
    """
    by_run = {UUID(question.run_id): question for question in asked if question.run_id}
    owners: dict[tuple[str, int], str] = {}
    for kill in kills:
        for run_id, run in kill.runs.items():
            question = by_run.get(run_id)
            if question and question.begun_by and run.attempt == 1:
                owners.setdefault(question.begun_by, run.owner)
    return [
        Strike(kill=kill, run=run, asked=by_run[run_id])
        for kill in kills
        for run_id, run in kill.runs.items()
        if run_id in by_run and run.owner == owners.get((kill.replica, kill.life))
    ]


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which this share lies; None when there are none."""
    if not values:
        return None
    return round(sorted(values)[min(int(len(values) * share), len(values) - 1)], 2)


def count_signals(kills: Iterable[Kill], number: signal.Signals) -> int:
    """How many processes ended by this signal."""
    return sum(kill.number is number for kill in kills)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {times}" for name, times in Counter(value).most_common()) or "-"
    return str(value)
