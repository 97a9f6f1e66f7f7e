"""Reports of a run, and the commands that work on runs that there are."""

import sys
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from evals.cli.app import app
from evals.cli.reading import write_reports
from evals.numbers.estimates import Estimate, Interval
from evals.records.gate import check_all
from evals.records.record import FailedTry, dump_run
from evals.reports.html import html_report
from evals.reports.junit import junit_report
from evals.reports.plots import histogram, range_bar, time_bar
from evals.target.answer import Answer, CalledTool
from server.cli.main import app as products_app
from tests.unit.evals.records import attempt, run_record, suite_record

RECORD = suite_record(
    attempt("good", tags=("x",)),
    attempt("bad", 0.0),
    attempt("bell\x07", error="it is <away>"),
    thresholds={"passed": {"at_least": 0.9}},
)
CHECKED = check_all(run_record(RECORD))


class Page(HTMLParser):
    """Which tags a page opens and does not close, what it loads, and its text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.loads, self.text, self.ids = [], [], "", set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag in {"details", "section", "div", "table", "svg", "dl", "p", "ol"}:
            self.open.append(tag)
        self.ids |= {value for name, value in attrs if name == "id"}
        self.loads += [value for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_holds_every_transcript_and_loads_nothing():
    page = Page(html_report(CHECKED, title="Mine"))
    assert page.open == []
    assert [each for each in page.loads if not each.startswith("#")] == []
    for said in ("Time & date?", "It is <noon> in Tokyo", 'now({"timezone": "Tokyo"})', "12:00"):
        assert said in page.text
    assert "error: it is <away>" in page.text
    assert "passed ≥ 0.9: 0.500, NOT KEPT" in page.text
    assert "includes 0.000: missing ['noon']" in page.text


def test_the_page_may_run_nothing_and_says_so_itself():
    page = html_report(CHECKED, title="<script>alert(1)</script>")
    assert "<script" not in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    ("suites", "verdict"),
    [
        ([(attempt("a"), {"passed": {"at_least": 0.5}})], "passed"),
        ([(attempt("a"), {})], "no thresholds"),
        ([(attempt("a"), {}), (attempt("a"), {"passed": {"at_least": 0.5}})], "passed"),
        ([(attempt("a", 0.0), {"passed": {"at_least": 0.5}})], "below threshold"),
        ([(attempt("a"), {}), (attempt("a", error="away"), {})], "errors"),
    ],
)
def test_the_page_begins_with_what_came_of_the_run(suites, verdict):
    run = run_record(*(suite_record(each, thresholds=held) for each, held in suites))
    page = html_report(check_all(run), title="Mine")
    badge = page.partition("</header>")[0].rpartition('class="badge ')[2]
    assert badge.partition(">")[2].startswith(f"{verdict}<")


def test_samples_that_failed_come_first_and_stand_open_with_their_reason():
    page = html_report(CHECKED, title="Mine")
    places = [page.index(f"<b>{name}</b>") for name in ("bad", "bell\x07", "good")]
    assert places == sorted(places)
    assert '<details class="sample failed" open>' in page
    assert '<details class="sample passed">' in page
    assert '<span class="reason">includes 0.000: missing [&#x27;noon&#x27;]</span>' in page


def test_what_is_shown_can_be_chosen_without_a_script():
    page = html_report(CHECKED, title="Mine")
    offered = ("all 3", "failed 1", "errors 1", "passed 1")
    assert [name for name in offered if f">{name}</label>" in page] == list(offered)
    assert '<details class="sample error errors" open>' in page


def test_epochs_that_passed_are_closed_and_tries_before_are_told():
    retried = replace(attempt("a", epoch=2), earlier=(FailedTry(number=1, error="it was away"),))
    record = suite_record(attempt("a", 0.0), retried, epochs=2)
    page = html_report(check_all(run_record(record)), title="Mine")
    assert '<details class="epoch" open>\n<summary>epoch 1' in page
    assert '<details class="epoch">\n<summary>epoch 2' in page
    assert "try 1 ended in an error: it was away" in page
    assert "<b>1</b> retried" in page


def test_squares_lead_to_samples_that_are_there():
    page = Page(html_report(CHECKED, title="Mine"))
    links = [each for each in page.loads if each.startswith("#")]
    assert len(links) == 3
    assert {link[1:] for link in links} <= page.ids


def test_an_answers_time_is_drawn_by_that_of_the_longest():
    call = CalledTool(name="a.b", arguments={}, seconds=1.0)
    drawn = time_bar(Answer(content="", seconds=2.0, calls=(call,)), longest=4.0)
    assert 'class="tool" x="0.0" y="1" width="54.5"' in drawn
    assert 'class="model" x="55.0" y="1" width="54.5"' in drawn
    assert time_bar(Answer(content=""), longest=4.0) == ""
    # calls that ran at the same time take longer together than the answer did
    assert 'width="219.5"' in time_bar(Answer(content="", seconds=0.5, calls=(call,)), longest=1.0)


def test_the_xml_has_a_case_for_each_sample_and_threshold():
    [suite] = ET.fromstring(junit_report(CHECKED))
    counted = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counted == {"tests": "4", "failures": "2", "errors": "1", "skipped": "0"}
    assert [case.get("name") for case in suite] == ["good", "bad", "bell\ufffd", "passed"]


def test_plots_stay_within_their_bounds():
    figure = Estimate(
        mean=1.0, stderr=0.0, interval=Interval(low=0.7, high=1.0), samples=9, values=9
    )
    assert 'cx="220.0"' in range_bar(figure)
    assert histogram([1.0, 1.0]).count("<rect") == 1
    assert (range_bar(None), histogram([])) == ("", "")


def cli(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def runs(tmp_path):
    worse = suite_record(attempt("good", 0.0), attempt("bad", 0.0))
    for name, record in (("one", RECORD), ("two", worse)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_bytes(dump_run(run_record(record)))
    return tmp_path


def test_a_report_is_written_anew(runs):
    done = cli("report", runs / "one")
    assert done.exit_code == 0
    assert "| includes | 0.500 ± 0.500 |" in done.stdout
    written = {path.name for path in (runs / "one").iterdir()}
    assert written == {"results.json", "junit.xml", "summary.md", "report.html"}


def test_two_runs_are_compared_flipped_samples_first(runs):
    done = cli("compare", runs / "one", runs / "two")
    assert done.exit_code == 0
    lines = [line for line in done.stdout.splitlines() if line]
    assert lines[1] == "- **worse**: `good` passed → failed"


def test_a_name_that_is_not_there_ends_with_the_code_for_usage(runs):
    done = cli("run", "smoek")
    assert (done.exit_code, "did you mean 'smoke'?" in done.stderr) == (2, True)
    assert cli("compare", runs / "one", runs / "gone").exit_code == 2
    assert cli("run", "smoke", "--fail-under", "passed").exit_code == 2
    assert cli("run", "smoke", "--out", runs / "one").exit_code == 2


def test_the_products_command_line_has_the_commands_of_evals():
    assert "eval" in {group.name for group in products_app.registered_groups}


def test_the_products_suites_are_listed():
    done = cli("list")
    assert done.exit_code == 0
    assert "smoke" in [line.split("\t")[0] for line in done.stdout.splitlines()]


def test_without_inspect_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    done = cli("list")
    assert done.exit_code == 2
    assert "install it with 'make evals'" in done.stderr


def test_a_bound_is_held_against_the_suites_that_have_its_metric(tmp_path):
    [(_, checks)] = write_reports(tmp_path, run_record(RECORD, fail_under=("includes=0.4",)))
    assert [check.holds for check in checks] == [False, True]
    assert "includes ≥ 0.4: 0.500, kept" in (tmp_path / "summary.md").read_text("utf-8")
