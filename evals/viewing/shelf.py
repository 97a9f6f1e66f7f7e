"""The runs below a folder, as an index shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.errors import EvalsError
from evals.numbers.estimates import Estimate
from evals.numbers.selectors import PASSED
from evals.records.baseline import BaselineRecord
from evals.records.gate import Check, check_all
from evals.records.record import FILE, SuiteRecord, load_run
from evals.records.run_comparison import RunComparison, compare_runs
from evals.records.summary import SuiteSummary
from evals.reports import wording
from evals.reports.verdicts import Verdict, verdict_of

REPORT = "report.html"


@dataclass(frozen=True, kw_only=True)
class ShelvedSuite:
    """What the index says of one suite on one model."""

    title: str
    tally: str
    passed: Estimate | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class ShelvedRun:
    """What the index says of a run."""

    name: str
    suites: tuple[ShelvedSuite, ...] = ()
    started: str = ""
    fault: str = ""
    """Why it cannot be read."""


class RunShelf:
    """The runs in one folder; only what lies in it is ever read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, tuple[int, ShelvedRun]] = {}

    def runs(self) -> list[ShelvedRun]:
        """All of them, the newest first; those that cannot be read come last."""
        found = {each.name: (each / FILE).stat().st_mtime_ns for each in self._folders()}
        for name, written in found.items():
            kept = self._read.get(name)
            if kept is None or kept[0] != written:
                self._read[name] = (written, self._shelve(name))
        shelved = [self._read[name][1] for name in found]
        return sorted(shelved, key=lambda run: (run.started, run.name), reverse=True)

    def report(self, name: str) -> bytes | None:
        """The page of a run; None when there is none of this name."""
        folder = self._find(name)
        page = folder / REPORT if folder else None
        return page.read_bytes() if page and page.is_file() and not page.is_symlink() else None

    def compare(self, before: str, after: str) -> RunComparison | None:
        """Two runs side by side; None when one is not there.

        Raises:
            UsageMistake: One of them cannot be read.
        """
        folders = self._find(before), self._find(after)
        if folders[0] is None or folders[1] is None:
            return None
        return compare_runs(load_run(folders[0]), load_run(folders[1]))

    def _folders(self) -> list[Path]:
        """Links are passed over: what they name may lie anywhere."""
        if not self._folder.is_dir():
            return []
        return [
            each
            for each in self._folder.iterdir()
            if not each.is_symlink() and (each / FILE).is_file() and not (each / FILE).is_symlink()
        ]

    def _find(self, name: str) -> Path | None:
        """By its name among those that there are: no path is ever made of what is asked for."""
        return next((each for each in self._folders() if each.name == name), None)

    def _shelve(self, name: str) -> ShelvedRun:
        try:
            record = load_run(self._folder / name)
            started = max((suite.started for suite in record.suites), default="")
            suites = tuple(
                _shelved(suite, checks, record.baseline) for suite, checks in check_all(record)
            )
        except (EvalsError, ValueError, OSError) as exc:
            return ShelvedRun(name=name, fault=str(exc))
        return ShelvedRun(name=name, suites=suites, started=started)


def _shelved(
    record: SuiteRecord, checks: Sequence[Check], baseline: BaselineRecord | None
) -> ShelvedSuite:
    summary = SuiteSummary(record)
    return ShelvedSuite(
        title=record.title,
        tally=wording.tally(summary),
        passed=summary.figure(PASSED),
        verdict=verdict_of(record, checks, baseline),
    )
