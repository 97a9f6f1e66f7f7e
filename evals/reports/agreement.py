"""How far graders agree with people, as reports show it."""

from collections.abc import Iterator
from html import escape

from evals.records.agreement import AgreementRecord, LabelVerdict
from evals.records.record import SuiteRecord
from evals.reports import wording

SHOWN = 10
TEXT_CHARS = 200


def agreement_line(scorer: str, agreement: AgreementRecord) -> str:
    """One sentence about a scorer's grader."""
    if agreement.failure:
        return f"{scorer}: agreement with labelled answers is not known: {agreement.failure}"
    share, kappa = agreement.share, agreement.kappa
    told = f"{scorer} agrees with {len(agreement.verdicts)} labelled answers: "
    told += f"{wording.number(share.mean if share else None)} of them"
    if share and share.interval:
        told += f" (95 %: {wording.interval(share)})"
    told += f", Cohen's kappa {wording.number(kappa.mean if kappa else None)}"
    return told + (f", {agreement.unscored} unreadable" if agreement.unscored else "")


def markdown_agreements(record: SuiteRecord) -> Iterator[str]:
    """A line for each scorer with labels, and one for each answer that its grader got wrong."""
    for scorer, agreement in record.agreements.items():
        yield f"- {agreement_line(scorer, agreement)}"
        for each in agreement.mistaken[:SHOWN]:
            yield f"  - `{each.id}`: {_difference(each)}: {_short(each.explanation)}"
        if len(agreement.mistaken) > SHOWN:
            yield f"  - and {len(agreement.mistaken) - SHOWN} more, in the report"
    if record.agreements:
        yield ""


def html_agreements(record: SuiteRecord) -> Iterator[str]:
    """The same, with questions and answers."""
    if record.agreements:
        yield "<h3>Graders held to labels</h3>"
    for scorer, agreement in record.agreements.items():
        yield f"<p>{escape(agreement_line(scorer, agreement))}</p>"
        if agreement.mistaken:
            yield "<table><tr><th>answer<th>grade<th>question<th>said<th>why</tr>"
            yield from (_row(each) for each in agreement.mistaken)
            yield "</table>"


def _row(verdict: LabelVerdict) -> str:
    cells = (
        verdict.id,
        _difference(verdict),
        _short(verdict.question),
        _short(verdict.answer),
        _short(verdict.explanation),
    )
    return f"<tr>{''.join(f'<td>{escape(cell)}' for cell in cells)}</tr>"


def _difference(verdict: LabelVerdict) -> str:
    given, label = wording.number(verdict.given), wording.number(verdict.label)
    return f"{given}, labelled {label}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TEXT_CHARS else f"{line[:TEXT_CHARS]}…"
