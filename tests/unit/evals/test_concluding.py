"""What a run was held to stands in its record, and every report says what came of it."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from evals.cli.app import app
from evals.cli.concluding import conclude
from evals.errors import UsageMistake
from evals.records.record import load_run
from evals.records.run_comparison import compare_runs
from evals.reports.markdown import comparison_report
from evals.viewing.app import create_viewer
from evals.viewing.shelf import RunShelf
from tests.unit.evals.records import attempt, run_record, suite_record

NAMES = [str(number) for number in range(8)]
GOOD = suite_record(*(attempt(name, 1.0) for name in NAMES))
BAD = suite_record(*(attempt(name, 0.0) for name in NAMES))


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "evals" / "run"
    path.mkdir(parents=True)
    return path


def failures(folder):
    root = ET.fromstring((folder / "junit.xml").read_bytes())
    return {case.get("classname") for case in root.iter("testcase") if len(case)}


def header(folder):
    return (folder / "report.html").read_text("utf-8").partition("</header>")[0]


def write_anew(folder):
    return CliRunner().invoke(app, ["report", str(folder)]).exit_code


def index(folder):
    viewer = create_viewer(RunShelf(folder.parent))
    return TestClient(viewer, base_url="http://127.0.0.1:7576").get("/").text


def test_reports_that_are_written_anew_still_say_what_was_asked_for(folder):
    record = run_record(GOOD, fail_under=("latency<=1",))
    assert conclude(record, folder, baseline=None) == 1
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    assert failures(folder) == {"threshold"}
    assert write_anew(folder) == 0
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before
    assert "below threshold" in index(folder)


def test_every_report_says_that_a_run_is_worse_than_its_baseline(folder):
    assert conclude(run_record(BAD), folder, baseline=run_record(GOOD, run="before")) == 1
    assert write_anew(folder) == 0
    assert "worse than baseline" in header(folder)
    assert "baseline" in failures(folder)
    told = "worse than before: passed of mine · m 1.000 → 0.000 (p = 0.008)"
    assert f"- {told}" in (folder / "summary.md").read_text("utf-8")
    assert told in (folder / "report.html").read_text("utf-8")
    assert "worse than baseline" in index(folder)


def test_a_run_that_is_not_worse_has_passed(folder):
    assert conclude(run_record(GOOD), folder, baseline=run_record(GOOD, run="before")) == 0
    assert ">passed<" in header(folder)
    assert failures(folder) == set()
    assert "- not worse than before" in (folder / "summary.md").read_text("utf-8")


def test_a_bound_that_turns_out_to_name_nothing_leaves_the_reports(folder):
    record = run_record(GOOD, fail_under=("nosuch=1",))
    with pytest.raises(UsageMistake, match="nothing that was run has a figure 'nosuch'"):
        conclude(record, folder, baseline=None)
    assert load_run(folder) == record
    assert failures(folder) == {"threshold"}


def test_a_baseline_that_turns_out_to_share_nothing_leaves_the_reports(folder):
    other = run_record(replace(GOOD, suite="other"), run="before")
    with pytest.raises(UsageMistake, match="before has no suite in common"):
        conclude(run_record(GOOD), folder, baseline=other)
    assert "mine · m (after only)" in (folder / "summary.md").read_text("utf-8")


def test_where_nothing_was_answered_the_bound_is_not_to_blame(folder):
    record = run_record(suite_record(attempt("a", error="away")), fail_under=("includes=1",))
    assert conclude(record, folder, baseline=None) == 3


def on(model, suite="mine"):
    return suite_record(attempt("a"), name=suite, model=model)


def test_models_are_compared_with_themselves_and_what_is_left_over_is_named():
    before = run_record(on("small"), on("gone", "old"))
    after = run_record(on("large"), on("small"), on("small", "new"))
    compared = compare_runs(before, after)
    assert [each.before.title for each in compared.suites] == ["mine · small"]
    assert [each.after.title for each in compared.suites] == ["mine · small"]
    names = ("old · gone (before only)", "mine · large (after only)", "new · small (after only)")
    assert compared.not_compared == names
    assert f"only one of the runs has it: {', '.join(names)}." in comparison_report(compared)


def test_another_model_in_the_place_of_one_is_compared_with_it():
    [suite] = compare_runs(run_record(on("small")), run_record(on("large"))).suites
    assert (suite.before.title, suite.after.title) == ("mine · small", "mine · large")


def test_the_viewer_says_of_two_runs_all_that_the_command_says(folder):
    after = suite_record(
        *(attempt(name, float(name > "0")) for name in NAMES), grader="<i>", samples_digest="s2"
    )
    conclude(run_record(GOOD, on("m", "old")), folder, baseline=None)
    later = folder.with_name("later")
    later.mkdir()
    conclude(run_record(after), later, baseline=None)
    viewer = TestClient(create_viewer(RunShelf(folder.parent)), base_url="http://127.0.0.1:7576")
    page = viewer.get("/compare?before=run&after=later").text
    assert "The suite has changed in between" in page
    assert "<b>Another grader has judged" in page
    assert "Not the same: grader none → &lt;i&gt;." in page
    assert "<td>-0.125 ± 0.125<td>" in page
    assert "old · m (before only)" in page
