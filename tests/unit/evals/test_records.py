"""What a record says: figures, thresholds, comparisons."""

import pytest

from evals.cli.concluding import exit_code
from evals.errors import UsageMistake
from evals.numbers.selectors import Selector
from evals.records.gate import Bound, check_suite
from evals.records.record import dump_run, load_run
from evals.records.run_comparison import compare_runs
from evals.records.summary import SuiteSummary
from evals.reports.markdown import comparison_report
from tests.unit.evals.records import attempt, run_record, suite_record


def value(record, name):
    return SuiteSummary(record).value(Selector.parse(name))


RECORD = suite_record(
    attempt("a", 1.0, epoch=1, tags=("x",)),
    attempt("a", 1.0, epoch=2, tags=("x",)),
    attempt("b", 1.0, epoch=1),
    attempt("b", 0.0, epoch=2),
    epochs=2,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("passed", 0.75),
        ("includes", 0.75),
        ("includes@x", 1.0),
        ("includes#b", 0.5),
        ("latency", 2.0),
        ("pass@2", 1.0),
        ("pass^2", 0.5),
        ("pass^3", None),
        ("recall", None),
    ],
)
def test_a_figure_is_named(name, expected):
    assert value(RECORD, name) == expected


@pytest.mark.parametrize("text", ["", "@tag", "pass^0", "a b"])
def test_what_names_no_figure_is_refused(text):
    with pytest.raises(UsageMistake, match="names no metric"):
        Selector.parse(text)


def test_errors_are_counted_apart():
    record = suite_record(attempt("a"), attempt("b", error="away"))
    assert value(record, "passed") == 1.0
    assert len(SuiteSummary(record).errors) == 1


def test_what_is_unscored_is_not_wrong():
    record = suite_record(attempt("a", None), attempt("b", 1.0))
    [passed, includes, _] = SuiteSummary(record).metrics
    assert (passed.estimate.values, includes.estimate.mean, includes.unscored) == (1, 1.0, 1)


def holds(record, *asked):
    return [check.holds for check in check_suite(SuiteSummary(record), asked)]


def test_thresholds_bound_figures_from_below_and_above():
    thresholds = {"passed": {"at_least": 0.8}, "latency": {"at_most": 3.0}}
    record = suite_record(*RECORD.attempts, thresholds=thresholds)
    assert holds(record) == [False, True]
    assert holds(record, Bound.parse("passed=0.7")) == [True, True]


def test_a_figure_of_which_nothing_is_known_is_not_good_enough():
    thresholds = {"recall": {"at_least": 0.1}}
    assert holds(suite_record(attempt("a"), thresholds=thresholds)) == [False]


def test_thresholds_about_samples_that_were_left_out_do_not_count():
    record = suite_record(
        attempt("a"), thresholds={"recall": {"at_least": 0.1}}, selection="tags x"
    )
    assert holds(record) == []


@pytest.mark.parametrize("text", ["passed", "passed=high", "=1"])
def test_what_is_no_bound_is_refused(text):
    with pytest.raises(UsageMistake):
        Bound.parse(text)


def test_exit_codes():
    good, broken = suite_record(attempt("a")), suite_record(attempt("a", error="away"))
    below = [(good, check_suite(SuiteSummary(good), [Bound.parse("passed=2")]))]
    assert exit_code([(good, [])]) == 0
    assert exit_code([(good, [])], worse=True) == 1
    assert exit_code(below) == 1
    assert exit_code([*below, (broken, [])]) == 3


def compared(before, after):
    [suite] = compare_runs(run_record(before), run_record(after)).suites
    return suite


def told_of(before, after):
    return comparison_report(compare_runs(run_record(before), run_record(after)))


def test_a_run_compared_with_itself_has_no_difference():
    same = compared(RECORD, RECORD)
    assert (same.flips, same.missing, same.is_worse) == ((), (), False)
    assert {each.test.p_value for each in same.metrics} == {1.0}


def test_exactly_the_samples_that_changed_are_named_those_that_got_worse_first():
    before = suite_record(attempt("a", 0.0), attempt("b", 1.0), attempt("c", 1.0))
    after = suite_record(attempt("a", 1.0), attempt("b", 0.0), attempt("c", 1.0))
    flips = compared(before, after).flips
    assert [(flip.sample, flip.direction) for flip in flips] == [("b", "worse"), ("a", "better")]


def test_a_run_is_worse_when_it_is_hardly_chance():
    names = [str(number) for number in range(8)]
    before = suite_record(*(attempt(name, 1.0) for name in names))
    for failing, worse in ((5, False), (6, True)):
        after = suite_record(*(attempt(n, float(int(n) >= failing)) for n in names))
        assert compared(before, after).is_worse is worse


def test_slower_answers_are_told_but_are_not_worse():
    names = [str(number) for number in range(8)]
    before = suite_record(*(attempt(name, latency=1.0) for name in names))
    after = suite_record(*(attempt(name, latency=9.0) for name in names))
    suite = compared(before, after)
    [latency] = [each for each in suite.metrics if each.name == "latency"]
    assert latency.test.is_significant
    assert not suite.is_worse


def test_samples_of_one_run_only_are_told_and_not_compared():
    before = suite_record(attempt("a"), attempt("b", error="away"))
    after = suite_record(attempt("a"), attempt("b", 0.0), samples_digest="s2")
    suite = compared(before, after)
    assert (suite.missing, suite.flips, suite.asks_the_same) == (("b",), (), False)


def test_what_else_was_not_the_same_is_told_who_graded_first():
    before = suite_record(attempt("a"), grader="one", epochs=1)
    after = suite_record(attempt("a"), grader="other", epochs=3, seed=2)
    suite = compared(before, after)
    assert [(each.what, each.before, each.after) for each in suite.changes] == [
        ("grader", "one", "other"),
        ("seed", "1", "2"),
        ("epochs", "1", "3"),
    ]
    told = told_of(before, after)
    assert "**Another grader has judged" in told
    assert "Not the same: grader one → other; seed 1 → 2; epochs 1 → 3." in told
    assert "Not the same" not in told_of(before, before)


def test_a_run_survives_being_written_down(tmp_path):
    run = run_record(RECORD, suite_record(attempt("b", error="away")))
    (tmp_path / "results.json").write_bytes(dump_run(run))
    assert load_run(tmp_path) == run


def test_what_is_no_run_is_told(tmp_path):
    with pytest.raises(UsageMistake, match="is no run"):
        load_run(tmp_path)
    (tmp_path / "results.json").write_text("{}", "utf-8")
    with pytest.raises(UsageMistake, match="no record of a run"):
        load_run(tmp_path)
