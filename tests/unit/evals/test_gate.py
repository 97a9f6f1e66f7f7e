"""What a run is held to: which bounds count, what they mean, and which are refused at once."""

import pytest
import yaml
from typer.testing import CliRunner

from evals.cli.app import app
from evals.errors import UsageMistake
from evals.records.gate import Bound, check_all, check_suite
from evals.records.record import dump_run
from evals.records.summary import SuiteSummary
from tests.unit.evals.records import attempt, run_record, suite_record

NOBODY = ("--url", "http://127.0.0.1:9", "--key", "k")
SUITE = {
    "name": "mine",
    "description": "One of mine.",
    "scorers": ["includes", "latency"],
    "samples": [
        {"id": "noon", "input": "Noon?", "target": "noon", "tags": ["clock"]},
        {"id": "kiwi", "input": "Kiwi?", "target": "kiwi", "tags": ["fruit"]},
    ],
}


@pytest.mark.parametrize(
    ("text", "at_least", "at_most", "told"),
    [
        ("passed=0.9", 0.9, None, "≥ 0.9"),
        ("passed>=0.9", 0.9, None, "≥ 0.9"),
        ("latency<=10", None, 10, "≤ 10"),
        ("latency@slow>=1", 1, None, "≥ 1"),
        ("pass^5=0.8", 0.8, None, "≥ 0.8"),
    ],
)
def test_a_bound_is_from_below_or_from_above(text, at_least, at_most, told):
    bound = Bound.parse(text)
    assert (bound.at_least, bound.at_most, bound.text) == (at_least, at_most, told)


def test_of_a_sample_whose_id_has_signs_the_last_one_counts():
    assert Bound.parse("passed#1+1=2=0.5").name == "passed#1+1=2"


@pytest.mark.parametrize("text", ["latency=10", "tokens@long=1", "word_error_rate=0.2"])
def test_of_a_measure_it_has_to_be_said_which_direction_is_good(text):
    name, _, value = text.partition("=")
    with pytest.raises(UsageMistake, match=f"say '{name}<={value}' for at most"):
        Bound.parse(text)


@pytest.mark.parametrize("text", ["passed=nan", "passed<0.9", "passed==1", "<=1", "passed="])
def test_what_holds_nothing_to_nothing_is_refused(text):
    with pytest.raises(UsageMistake):
        Bound.parse(text)


def names_held(record):
    return [check.bound.name for check in check_suite(SuiteSummary(record))]


THRESHOLDS = {name: {"at_least": 0.5} for name in ("includes@clock", "passed@fruit", "passed#kiwi")}


def test_thresholds_about_tags_and_samples_that_were_left_out_do_not_count():
    noon = attempt("noon", tags=("clock",))
    some = suite_record(noon, thresholds=THRESHOLDS, selection="tags clock")
    assert names_held(some) == ["includes@clock"]
    whole = suite_record(noon, thresholds=THRESHOLDS)
    assert names_held(whole) == list(THRESHOLDS)


def test_a_bound_about_a_tag_is_for_the_suites_that_have_it():
    tagged, plain = suite_record(attempt("a", tags=("x",))), suite_record(attempt("b", 0.0))
    run = run_record(tagged, plain, fail_under=("passed@x=1",))
    assert [len(checks) for _, checks in check_all(run)] == [1, 0]


def test_a_bound_about_which_nothing_is_known_is_kept_by_none():
    run = run_record(suite_record(attempt("a")), fail_under=("nosuch=0.1",))
    [(_, [check])] = check_all(run)
    assert not check.holds


def cli(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(SUITE), "utf-8")
    return path


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--fail-under", "inclides=1"), "did you mean 'includes'?"),
        (("--fail-under", "passed@clok=1"), "did you mean 'clock'?"),
        (("--fail-under", "passed#non=1"), "did you mean 'noon'?"),
        (("--tag", "clock", "--fail-under", "passed@fruit=1"), "no sample that is put"),
        (("--limit", "1", "--fail-under", "passed#kiwi=1"), "no sample that is put"),
        (("--fail-under", "latency=10"), "latency<=10"),
    ],
)
def test_a_bound_that_names_nothing_is_told_before_anybody_is_asked(suite, tmp_path, asked, told):
    done = cli("run", suite, *NOBODY, "--out", tmp_path / "out", *asked)
    assert (done.exit_code, told in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "out").exists()


def test_a_baseline_that_shares_no_suite_is_told_before_anybody_is_asked(suite, tmp_path):
    other = run_record(suite_record(attempt("a"), name="other"), run="before")
    (tmp_path / "results.json").write_bytes(dump_run(other))
    done = cli("run", suite, *NOBODY, "--out", tmp_path / "out", "--baseline", tmp_path)
    assert done.exit_code == 2
    assert "before has no suite in common with this run; it has other." in done.stderr
    assert not (tmp_path / "out").exists()
