"""Reports of runs that are large."""

from dataclasses import replace

from evals.records.gate import check_all
from evals.reports.bounds import LONGEST_CHARS, shown
from evals.reports.html import html_report
from evals.target.answer import CalledTool
from tests.unit.evals.records import ANSWER, attempt, run_record, suite_record

LONG = "<words> " * LONGEST_CHARS
"""Eight times what a page shows."""


def test_a_long_text_is_cut_with_a_note():
    assert shown("a < b") == "a &lt; b"
    cut = shown(LONG)
    assert cut.startswith("&lt;words&gt; ")
    assert cut.endswith("<i>… 70,000 more characters, in results.json</i>")


def test_a_page_of_long_transcripts_is_no_larger_than_a_browser_bears():
    call = CalledTool(name="a.b", arguments={"text": LONG}, result=LONG)
    answer = replace(ANSWER, content=LONG, reasoning=LONG, calls=(call,))
    attempts = [
        replace(attempt(f"s{number}"), input=(LONG,), answer=answer) for number in range(20)
    ]
    page = html_report(check_all(run_record(suite_record(*attempts))), title="Mine")
    assert len(page) < 20 * 5 * 2 * LONGEST_CHARS
