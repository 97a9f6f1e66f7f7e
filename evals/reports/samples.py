"""The samples of a suite, those that failed first, with a choice of which are shown."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Literal

from evals.records.record import AttemptRecord
from evals.records.summary import SuiteSummary
from evals.reports import wording
from evals.reports.transcripts import transcript

Shown = Literal["failed", "flaky", "error", "unscored", "passed"]
ORDER: tuple[Shown, ...] = ("failed", "flaky", "error", "unscored", "passed")
CHOICES = ("failed", "flaky", "errors", "unscored", "passed")
OPEN_MAX = 5
"""So many that went wrong stand open; the others open by a click."""
REASON_CHARS = 160


def anchor(suite: int, sample: int) -> str:
    """Where a sample is, by the places of both."""
    return f"sample-{suite}-{sample}"


def sample_list(summary: SuiteSummary, number: int) -> Iterator[str]:
    """All samples.

    The choice is made by radio buttons that stand before the list: style alone hides the others.
    """
    states = {name: shown_state(summary, name) for name in summary.samples()}
    places = {name: place for place, name in enumerate(states)}
    answers = [each.answer for each in summary.record.attempts if each.answer is not None]
    longest = max((each.seconds for each in answers), default=0.0)
    yield '<h3>Samples</h3><div class="choice">'
    yield from _choices(summary, states, number)
    yield '<div class="samples">'
    wrong = 0
    for name in sorted(states, key=lambda each: ORDER.index(states[each])):
        wrong += states[name] in {"failed", "flaky", "error"}
        is_open = states[name] in {"failed", "flaky", "error"} and wrong <= OPEN_MAX
        yield from _sample(
            summary.attempts(name),
            anchor(number, places[name]),
            state=states[name],
            is_open=is_open,
            longest=longest,
        )
    yield "</div></div>"


def shown_state(summary: SuiteSummary, name: str) -> Shown:
    """Where nothing is known because of errors, that is what there is to see."""
    state = summary.state(name)
    failed = state == "unscored" and _has_errors(summary.attempts(name))
    return "error" if failed else state


def _choices(summary: SuiteSummary, states: Mapping[str, Shown], number: int) -> Iterator[str]:
    counts = Counter[str](states.values())
    counts["errors"] = sum(_has_errors(summary.attempts(name)) for name in states)
    offered = [("all", len(states))]
    offered += [(name, counts[name]) for name in CHOICES if counts[name]]
    for place, (name, count) in enumerate(offered):
        mark = f"choice-{number}-{name}"
        checked = " checked" if place == 0 else ""
        yield (
            f'<input type="radio" name="choice-{number}" id="{mark}" class="only-{name}"{checked}>'
            f'<label for="{mark}">{name} {count}</label>'
        )


def _sample(
    attempts: Sequence[AttemptRecord], place: str, *, state: Shown, is_open: bool, longest: float
) -> Iterator[str]:
    first = attempts[0]
    tags = "".join(f'<span class="tag">{escape(tag)}</span>' for tag in first.tags)
    reason = _reason(attempts)
    yield (
        f'<details class="sample {state}{" errors" if _has_errors(attempts) else ""}"'
        f"{' open' if is_open else ''}><summary>"
        f'<span class="state {state}">{state}</span> <b>{escape(first.sample)}</b> '
        f'{_epochs(attempts)}{tags}<span class="reason">{escape(reason)}</span></summary>'
        f'<div id="{place}" class="inside">'
    )
    for attempt in attempts:
        lines = transcript(attempt, longest=longest)
        yield from lines if len(attempts) == 1 else _epoch(attempt, lines)
    yield "</div></details>"


def _epoch(attempt: AttemptRecord, lines: Iterable[str]) -> Iterator[str]:
    """One of several: those that passed are closed."""
    yield f'<details class="epoch"{"" if attempt.passed else " open"}>'
    yield f"<summary>epoch {attempt.epoch} {_mark(attempt)}</summary>"
    yield from lines
    yield "</details>"


def _has_errors(attempts: Sequence[AttemptRecord]) -> bool:
    return any(each.error is not None for each in attempts)


def _epochs(attempts: Sequence[AttemptRecord]) -> str:
    """A mark for each epoch, if there are several."""
    return f"{''.join(map(_mark, attempts))} " if len(attempts) > 1 else ""


def _mark(attempt: AttemptRecord) -> str:
    state = {True: "passed", False: "failed", None: "unscored"}[attempt.passed]
    if attempt.error is not None:
        state = "error"
    return f'<span class="square {state}" title="epoch {attempt.epoch}: {state}"></span>'


def _reason(attempts: Sequence[AttemptRecord]) -> str:
    """The first thing that was wrong."""
    told = [fault for each in attempts if each.passed is not True for fault in wording.faults(each)]
    line = " ".join(told[0].split()) if told else ""
    return line if len(line) <= REASON_CHARS else f"{line[:REASON_CHARS]}…"
