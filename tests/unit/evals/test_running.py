"""How runs are asked for, counted, shown and laid side by side."""

import signal
from dataclasses import replace

import pytest

from evals.cli.progress import PLAIN_SECONDS, PlainProgress
from evals.cli.running import run_suites
from evals.cli.stopping import stopped_by_sigterm
from evals.errors import UsageMistake
from evals.numbers.selectors import Selector
from evals.records.gate import Bound, check_suite
from evals.records.record import FailedTry
from evals.records.summary import SuiteSummary
from evals.reports.markdown import run_report
from evals.reports.models import model_table
from evals.running.progress import Pace
from evals.running.request import (
    KeptRequest,
    RunRequest,
    changes_since,
    keep_request,
    load_request,
    require_same,
)
from tests.unit.evals.records import attempt, suite_record

KEPT = KeptRequest(
    request=RunRequest(suites=("smoke",), key="secret", epochs=2, fail_under=("passed=1",)),
    digests=("d1",),
    models=("m",),
    settings_digest="s1",
    git_revision="abc",
)


class Clock:
    """Stands still until it is told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_what_was_asked_for_is_kept_without_the_key(tmp_path):
    keep_request(tmp_path, KEPT)
    assert load_request(tmp_path) == replace(KEPT, request=replace(KEPT.request, key=None))
    assert "secret" not in (tmp_path / "request.json").read_text("utf-8")


def test_paths_of_suites_hold_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keep_request(tmp_path, replace(KEPT, request=RunRequest(suites=("mine.yaml", "smoke"))))
    assert load_request(tmp_path).request.suites == (str(tmp_path / "mine.yaml"), "smoke")


def test_a_folder_of_something_else_does_not_go_on(tmp_path):
    with pytest.raises(UsageMistake, match="no folder of a run that can go on"):
        load_request(tmp_path)
    (tmp_path / "request.json").write_text("{}", "utf-8")
    with pytest.raises(UsageMistake, match="another version"):
        load_request(tmp_path)


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"digests": ("d2",)}, "'smoke' has changed"), ({"models": ("n",)}, "from m to n")],
)
def test_other_questions_and_other_models_are_refused(changed, told):
    with pytest.raises(UsageMistake, match=told):
        require_same(KEPT, replace(KEPT, **changed))


def test_what_else_has_changed_is_told():
    require_same(KEPT, KEPT)
    assert changes_since(KEPT, KEPT) == []
    now = replace(KEPT, settings_digest="s2", git_revision="def")
    assert len(changes_since(KEPT, now)) == 2


def test_a_cache_of_a_server_whose_settings_nobody_knows_is_refused():
    with pytest.raises(UsageMistake, match="--cache is for a product that is started here"):
        run_suites(RunRequest(suites=("smoke",), cache=True, url="http://127.0.0.1:9", key="k"))


def test_tags_that_no_suite_has_are_refused_before_anything_is_started(tmp_path):
    request = RunRequest(suites=("smoke",), tags=("none-such",), out=tmp_path / "run")
    with pytest.raises(UsageMistake, match="no sample with these tags"):
        run_suites(request)
    assert not (tmp_path / "run").exists()


def test_how_long_the_rest_takes_goes_by_what_this_leg_has_put():
    clock = Clock()
    pace = Pace("mine · m", total=10, kept=[attempt("a"), attempt("b", 0.0)], clock=clock)
    assert pace.left_seconds is None
    assert pace.line().endswith("no pace yet")
    clock.now += 60
    pace.take(attempt("c", error="away"))
    pace.take(attempt("d"))
    assert pace.left_seconds == 180
    assert "unscored" not in pace.line()
    assert pace.line() == (
        "mine · m: 4 of 10, 2 passed, 1 failed, 1 error, 1:00 gone, about 3:00 left"
    )


def test_what_nothing_was_scored_of_is_counted_apart():
    pace = Pace("mine", total=2, kept=[attempt("a", None)])
    assert ": 1 of 2, 0 passed, 0 failed, 1 unscored, 0 errors," in pace.line()


def test_without_a_terminal_lines_come_now_and_then():
    clock, told = Clock(), []
    progress = PlainProgress(clock=clock, tell=told.append)
    progress.begin("mine", total=1_000, kept=[])
    for number in range(1_000):
        clock.now += PLAIN_SECONDS / 250
        progress.take(attempt(str(number)))
    progress.end()
    assert len(told) == 4
    assert told[0].startswith("mine: 250 of 1000, 250 passed")


def test_sigterm_ends_a_run_as_ctrl_c_does():
    with pytest.raises(KeyboardInterrupt), stopped_by_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_models_are_laid_side_by_side():
    records = [
        suite_record(attempt("a"), attempt("b", 0.0), model="small"),
        suite_record(attempt("a"), attempt("b", error="away"), model="large"),
    ]
    table = model_table(records).split("\n")
    assert table[0] == "| mine | passed | includes | latency | errors |"
    assert table[2].startswith("| small | 0.500")
    assert table[3].startswith("| large | 1.000")
    assert table[3].endswith("| 1 |")


def test_an_earlier_try_is_told_and_counted_nowhere():
    again = replace(attempt("a"), earlier=(FailedTry(number=1, error="out of memory"),))
    record = suite_record(again, attempt("b"))
    summary = SuiteSummary(record)
    assert (summary.errors, summary.value(Selector.parse("passed"))) == ([], 1.0)
    assert again.number == 2
    assert "`a`: try 1 ended in an error: out of memory" in run_report([(record, ())])


def test_an_answer_beyond_a_limit_is_wrong():
    assert replace(attempt("a"), limit="1200 tokens, at most 1000").passed is False


@pytest.mark.parametrize(
    ("bound", "holds"),
    [
        ("pass^2=0.5", True),
        ("pass^2=0.6", False),
        ("pass@2=1", True),
        ("passed@x=1", True),
        ("passed#b=0.5", True),
        ("passed#b=0.6", False),
    ],
)
def test_a_flaky_sample_is_held_to_bounds_on_tries_tags_and_samples(bound, holds):
    record = suite_record(
        attempt("a", epoch=1, tags=("x",)),
        attempt("a", epoch=2, tags=("x",)),
        attempt("b", epoch=1),
        attempt("b", 0.0, epoch=2),
        epochs=2,
    )
    assert SuiteSummary(record).state("b") == "flaky"
    [check] = check_suite(SuiteSummary(record), [Bound.parse(bound)])
    assert check.holds is holds
