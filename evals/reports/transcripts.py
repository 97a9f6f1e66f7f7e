"""One answer as it came about: what was said, what was called and found, and how it was judged."""

from collections.abc import Iterator
from html import escape
from json import dumps

from evals.records.record import PASS_MARK, AttemptRecord, ScoreRecord
from evals.reports import wording
from evals.reports.bounds import shown
from evals.reports.plots import time_bar
from evals.target.answer import Answer, CalledTool, FoundSource


def transcript(attempt: AttemptRecord, *, longest: float) -> Iterator[str]:
    """All of it.

    Args:
        attempt: The answer.
        longest: The seconds of the suite's longest answer, by which all are drawn.
    """
    yield from (f'<p class="fault">{escape(fault)}</p>' for fault in wording.faults(attempt))
    for media in attempt.media:
        yield f'<p class="media">{escape(wording.media_line(media))}</p>'
    before = attempt.answer.said_before if attempt.answer else ()
    for number, text in enumerate(attempt.input):
        if text:
            yield f'<div class="message user">{shown(text)}</div>'
        if number < len(before) and number < len(attempt.input) - 1:
            yield f'<div class="message agent">{shown(before[number])}</div>'
    if attempt.answer is not None:
        yield from _answer(attempt.answer, longest)
    for failed in attempt.earlier:
        if failed.answer is not None:
            yield f"<details><summary>what there was of try {failed.number}</summary>"
            yield from _answer(failed.answer, longest)
            yield "</details>"
    if attempt.target or attempt.expect:
        yield _expected(attempt)
    yield f'<p class="scores">{"".join(_scores(attempt))}</p>'


def _answer(answer: Answer, longest: float) -> Iterator[str]:
    if answer.transcript:
        yield f'<p class="media">understood: {shown(answer.transcript)}</p>'
    if answer.reasoning:
        yield '<details class="reasoning"><summary>reasoning</summary>'
        yield f"<pre>{shown(answer.reasoning)}</pre></details>"
    yield from (_call(call) for call in answer.calls)
    said = shown(answer.content) or "<i>nothing</i>"
    yield f'<div class="message agent">{said}</div>'
    if answer.sources:
        yield f'<ol class="sources">{"".join(map(_source, answer.sources))}</ol>'
    if answer.unknown_citations:
        unknown = escape(", ".join(answer.unknown_citations))
        yield f'<p class="fault">cites what there is not: {unknown}</p>'
    yield f'<div class="timing">{time_bar(answer, longest)}{escape(_timing(answer))}</div>'


def _call(call: CalledTool) -> str:
    seconds = "" if call.seconds is None else f" · {call.seconds:.2f} s"
    arguments = dumps(call.arguments, ensure_ascii=False)
    result = f"<pre>{shown(call.result)}</pre>" if call.result else ""
    return (
        f'<div class="call {call.status}"><code><b>{escape(call.name)}</b>({shown(arguments)})'
        f"</code><span>{call.status}{seconds}</span>{result}</div>"
    )


def _source(source: FoundSource) -> str:
    page = f", page {source.page}" if source.page else ""
    mark = f"<b>[{escape(source.label or '')}]</b> cited " if source.cited else ""
    snippet = f"<small>{escape(source.snippet)}</small>" if source.snippet else ""
    return (
        f'<li class="{"cited" if source.cited else "found"}">{mark}{escape(source.filename)}{page} '
        f"{snippet}</li>"
    )


def _timing(answer: Answer) -> str:
    tools = sum(call.seconds or 0.0 for call in answer.calls)
    told = [f"{answer.seconds:.2f} s"]
    if tools:
        told.append(f"{tools:.2f} s of them in tools")
    if answer.first_token_seconds is not None:
        told.append(f"first word after {answer.first_token_seconds:.2f} s")
    if answer.tokens_in or answer.tokens_out:
        told.append(f"{answer.tokens_in:,} tokens in, {answer.tokens_out:,} out")
    if answer.steps:
        told.append(f"{answer.steps} {'step' if answer.steps == 1 else 'steps'}")
    return " · ".join(told)


def _expected(attempt: AttemptRecord) -> str:
    targets = " or ".join(f"“{each}”" for each in attempt.target)
    more = dumps(dict(attempt.expect), ensure_ascii=False) if attempt.expect else ""
    told = escape("; ".join(filter(None, (targets, more))))
    return f'<p class="expected"><b>expected</b> {told}</p>'


def _scores(attempt: AttemptRecord) -> Iterator[str]:
    for name, score in attempt.scores.items():
        is_measure = name in attempt.measures
        state = _state(score, is_measure=is_measure)
        told = score.explanation or score.reason or ""
        yield (
            f'<span class="score {state}" title="{escape(told)}">{escape(name)} '
            f"<b>{wording.number(score.value, is_measure=is_measure)}</b></span>"
        )
    if attempt.cached:
        yield '<span class="score">from the cache</span>'
    for run in attempt.answer.run_ids if attempt.answer else ():
        yield f'<span class="score run">run {escape(run)}</span>'


def _state(score: ScoreRecord, *, is_measure: bool) -> str:
    if is_measure or score.value is None:
        return "measure"
    return "passed" if score.value >= PASS_MARK else "failed"
