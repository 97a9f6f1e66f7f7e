"""How far a grader agrees with people: measured, bounded by thresholds, and told."""

import json

import pytest

from evals.cli.concluding import exit_code
from evals.errors import SuiteInvalid
from evals.numbers.agreement import kappa
from evals.records.agreement import AgreementRecord, LabelVerdict
from evals.records.gate import check_all
from evals.records.logs import LogLabel, Place
from evals.records.record import dump_run, load_run
from evals.reports.html import html_report
from evals.reports.markdown import run_report
from evals.running.agreement import measure_agreements
from evals.running.graders import NamedGrader
from evals.running.grading import begin_grading
from evals.suite.loading import read_suite
from tests.fakes.scripted_grader import ScriptedGrader
from tests.unit.evals.records import attempt, run_record, suite_record

SUITE = """\
name: mine
description: One of mine.
samples: [{id: a, input: x, target: y}]
scorers:
  - model_graded: {labelled: labels.jsonl}
thresholds:
  model_graded.agreement: 0.8
  model_graded.kappa: 0.6
"""
LABELS = [
    {"id": "one", "question": "When?", "answer": "At noon.", "target": "noon", "label": "pass"},
    {"question": "When?", "answer": "At one.", "target": "noon", "label": False},
    {"question": "When?", "answer": "Who knows?", "target": ["noon", "12"], "label": "FAIL"},
]


def read(folder, labels=LABELS, suite=SUITE):
    lines = [each if isinstance(each, str) else json.dumps(each) for each in labels]
    (folder / "labels.jsonl").write_text("\n".join(lines), "utf-8")
    (folder / "suite.yaml").write_text(suite, "utf-8")
    return read_suite(folder / "suite.yaml")


def verdicts(*pairs):
    return tuple(
        LabelVerdict(id=str(n), question="q", answer="a", label=label, given=given)
        for n, (given, label) in enumerate(pairs)
    )


def test_kappa_is_the_one_of_the_textbook():
    both = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    assert kappa(*zip(*both, strict=True)) == pytest.approx(0.4)


def test_of_more_grades_kappa_weighs_by_the_square_of_the_distance():
    # The squares of the differences are 1 and 4, of five answers.
    given, labels = [0, 1, 2, 0, 2], [0, 1, 2, 1, 0]
    crossed = sum((one - other) ** 2 for one in given for other in labels)
    assert kappa(given, labels) == pytest.approx(1 - (5 / 5) / (crossed / 25))
    assert kappa([x / 4 for x in given], [x / 4 for x in labels]) == pytest.approx(
        kappa(given, labels)
    )


def test_kappa_is_not_known_where_both_give_one_grade():
    assert kappa([1, 1], [1, 1]) is None
    assert kappa([], []) is None


async def test_the_grader_is_put_to_what_people_have_labelled(tmp_path):
    suite = read(tmp_path)
    grader = ScriptedGrader("PASS", "FAIL", "PASS")
    measured = await measure_agreements(suite.spec, suite.labelled, grader)
    agreement = measured["model_graded"]
    assert agreement.share.mean == pytest.approx(2 / 3)
    assert agreement.kappa.mean == pytest.approx(0.4)
    [wrong] = agreement.mistaken
    assert (wrong.id, wrong.answer, wrong.given, wrong.label) == ("3", "Who knows?", 1, 0)
    assert agreement.unscored == 0


async def test_a_verdict_that_cannot_be_read_counts_as_one_that_differs(tmp_path):
    suite = read(tmp_path)
    grader = ScriptedGrader("PASS", "FAIL", "?", "?")
    agreement = (await measure_agreements(suite.spec, suite.labelled, grader))["model_graded"]
    assert (agreement.share.values, agreement.unscored) == (3, 1)
    assert agreement.share.mean == pytest.approx(2 / 3)
    assert [each.given for each in agreement.mistaken] == [None]


async def test_a_grader_that_is_away_leaves_the_agreement_unknown(tmp_path):
    suite = read(tmp_path)
    grader = ScriptedGrader("PASS", "BREAK", default="HANG")
    measured = await measure_agreements(suite.spec, suite.labelled, grader)
    assert measured["model_graded"] == AgreementRecord(failure="the grader is away.")
    assert grader.stopped == 1


async def test_a_run_that_goes_on_asks_the_grader_again_only_where_it_failed(tmp_path):
    suite = read(tmp_path)

    async def go_on(before, name="judge"):
        grader = ScriptedGrader(default="PASS")
        chosen = NamedGrader(name=name, grader=grader)
        label = LogLabel(
            place=Place(suite=0, model=0),
            leg=1,
            description="",
            conditions=suite_record(grader="judge").conditions,
            thresholds={},
            agreements={"model_graded": before},
        )
        grading = await begin_grading(suite, suite.spec, chosen, label)
        return grading.agreements["model_graded"], len(grader.prompts)

    assert await go_on(AGREEMENT) == (AGREEMENT, 0)
    assert (await go_on(AgreementRecord(failure="away")))[1] == 3
    assert (await go_on(AGREEMENT, name="other"))[1] == 3


def record(agreement, **more):
    return suite_record(attempt("a"), agreements={"model_graded": agreement}, **more)


AGREEMENT = AgreementRecord(verdicts=verdicts((1, 1), (0, 0), (1, 0), (None, 1)))


def test_thresholds_bound_agreement_and_kappa():
    held = record(AGREEMENT, thresholds={"model_graded.agreement": {"at_least": 0.5}})
    [(_, checks)] = check_all(run_record(held, fail_under=("model_graded.kappa=0.5",)))
    assert [(each.bound.name, each.holds) for each in checks] == [
        ("model_graded.agreement", True),
        ("model_graded.kappa", False),
    ]


def test_an_agreement_that_is_not_known_is_an_error_of_the_surroundings():
    held = record(AgreementRecord(failure="it is away."))
    [(_, [check])] = check_all(run_record(held, fail_under=("model_graded.agreement=0",)))
    assert check.value is None
    assert exit_code([(held, [check])]) == 3


def test_reports_tell_agreement_and_what_the_grader_got_wrong():
    checked = check_all(run_record(record(AGREEMENT, grader="judge")))
    told = run_report(checked)
    assert "| model_graded.agreement | 0.500 ± 0.289 |" in told
    assert "model_graded agrees with 4 labelled answers: 0.500 of them" in told
    assert "Cohen's kappa 0.400, 1 unreadable" in told
    assert "- `2`: 1.000, labelled 0.000" in told
    assert "graded by judge." in told
    page = html_report(checked, title="Mine")
    assert "Graders held to labels" in page
    assert "<td>1.000, labelled 0.000" in page


def test_a_kappa_below_0_can_be_drawn():
    opposite = AgreementRecord(verdicts=verdicts((1, 0), (0, 1)))
    assert opposite.kappa.mean == -1
    assert 'width="-' not in html_report(check_all(run_record(record(opposite))), title="M")


def test_a_model_that_grades_itself_is_told():
    held = record(AGREEMENT, grader="m")
    assert "graded by m, which is itself." in run_report(check_all(run_record(held)))


def test_agreement_survives_being_written_down(tmp_path):
    run = run_record(record(AGREEMENT))
    (tmp_path / "results.json").write_bytes(dump_run(run))
    assert load_run(tmp_path) == run


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 1: no JSON"),
        ({"question": "q", "answer": "a"}, "line 1: label is missing: add it"),
        (LABELS[0] | {"label": "good"}, "label 'good' is no grade of this scale: use one of FAIL"),
        (LABELS[0] | {"label": 3}, "label 3 is no grade of this scale"),
        (LABELS[0] | {"target": []}, "target is missing: without a rubric"),
        (LABELS[0] | {"targt": 1}, "did you mean 'target'?"),
        ("", "there are no labelled answers: add one"),
    ],
)
def test_a_fault_of_a_label_is_named_with_its_line(tmp_path, line, told):
    with pytest.raises(SuiteInvalid) as refused:
        read(tmp_path, [line])
    assert told in str(refused.value)
    assert "labels.jsonl" in str(refused.value)


def test_labels_that_are_not_there_are_told(tmp_path):
    with pytest.raises(SuiteInvalid, match=r"gone\.jsonl: cannot be read"):
        read(tmp_path, suite=SUITE.replace("labels.jsonl", "gone.jsonl"))


def test_labels_of_a_scale_are_its_grades(tmp_path):
    suite = SUITE.replace("{labelled", "{scale: 1-5, labelled")
    labels = [LABELS[0] | {"label": 4}, LABELS[0] | {"label": "1"}]
    assert [each.label for each in read(tmp_path, labels, suite).labelled["model_graded"]]


def test_without_labels_there_is_no_agreement_to_bound(tmp_path):
    with pytest.raises(SuiteInvalid, match=r"no metric 'model_graded\.agreement'"):
        read(tmp_path, suite=SUITE.replace("{labelled: labels.jsonl}", ""))
