"""From what was used to what is answered."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from persistence.usage_records import SessionFigures, Usage, UsageKind, UsageReport, UsageSpan
from server.analytics.schemas import (
    ModelUsage,
    PeriodTokens,
    PeriodUsage,
    SessionUsage,
    ToolUsage,
    UsageMetrics,
)

TOP_TOOLS = 10
_DONE = "success"
_INDEXED = "indexed"


def frame(span: UsageSpan) -> dict[str, Any]:
    """Which days an answer is about."""
    return {"period": span.period, "start_date": span.first, "end_date": span.last}


def metrics(report: UsageReport) -> UsageMetrics:
    """Sums and means over all days."""
    sessions = _total(report, "session").count
    messages = _total(report, "message").count
    models = _total(report, "model")
    answered = [each for each in _named(report, "run") if each.name == _DONE]
    return UsageMetrics(
        total_sessions=sessions,
        total_messages=messages,
        total_tokens=models.tokens_in + models.tokens_out,
        total_tool_calls=_total(report, "tool").count,
        avg_session_length=round(messages / sessions, 2) if sessions else None,
        avg_response_time_ms=_mean_ms(answered),
    )


def tools(report: UsageReport) -> list[ToolUsage]:
    """By tool, the most used first."""
    used = map(_tool, _named(report, "tool"))
    return sorted(used, key=lambda each: (-each.count, each.tool_name))


def models(report: UsageReport) -> list[ModelUsage]:
    """By model, the one with the most tokens first."""
    asked = [
        ModelUsage(
            model=each.name or "",
            calls=each.count,
            tokens_in=each.tokens_in,
            tokens_out=each.tokens_out,
            avg_latency_ms=_mean_ms([each]) or 0.0,
        )
        for each in _named(report, "model")
    ]
    return sorted(asked, key=lambda each: (-each.tokens_in - each.tokens_out, each.model))


def periods(report: UsageReport) -> list[PeriodUsage]:
    """By period, the oldest first."""
    by_kind: dict[date, dict[UsageKind, Usage]] = {}
    for each in report.by_period:
        if each.begins is not None:
            by_kind.setdefault(each.begins, {})[each.kind] = each
    return [
        PeriodUsage(
            date=begins,
            sessions=_count(kinds, "session"),
            messages=_count(kinds, "message"),
            tokens=_tokens(kinds.get("model")),
            tool_calls=_count(kinds, "tool"),
        )
        for begins, kinds in sorted(by_kind.items())
    ]


def period_tokens(report: UsageReport) -> list[PeriodTokens]:
    """The tokens of each period, the oldest first."""
    told = [
        PeriodTokens(date=each.begins, tokens_in=each.tokens_in, tokens_out=each.tokens_out)
        for each in report.by_period
        if each.kind == "model" and each.begins is not None
    ]
    return sorted(told, key=lambda each: each.date)


def ingestion(report: UsageReport) -> dict[str, Any]:
    """What became of files."""
    files = list(_named(report, "file"))
    return {
        "files": {each.name or "": each.count for each in files},
        "chunks": sum(each.chunks for each in files),
        "bytes": sum(each.bytes for each in files),
        "avg_duration_ms": _mean_ms([each for each in files if each.name == _INDEXED]),
    }


def session(told: SessionFigures) -> SessionUsage:
    """The figures of one session."""
    return SessionUsage(
        session_id=told.session_id,
        created_at=told.created_at,
        last_message_at=told.last_message_at,
        messages=told.messages,
        runs=dict(told.runs),
        tokens_in=told.tokens_in,
        tokens_out=told.tokens_out,
        avg_response_time_ms=told.response_ms,
        tools=[_tool(each) for each in told.tools],
    )


def _tool(used: Usage) -> ToolUsage:
    return ToolUsage(
        tool_name=used.name or "",
        count=used.count,
        failures=used.failures,
        avg_latency_ms=_mean_ms([used]) or 0.0,
    )


def _named(report: UsageReport, kind: UsageKind) -> Iterable[Usage]:
    return (each for each in report.by_name if each.kind == kind)


def _total(report: UsageReport, kind: UsageKind) -> Usage:
    found = list(_named(report, kind))
    return Usage(
        kind=kind,
        name=None,
        begins=None,
        count=sum(each.count for each in found),
        tokens_in=sum(each.tokens_in for each in found),
        tokens_out=sum(each.tokens_out for each in found),
    )


def _mean_ms(used: Iterable[Usage]) -> float | None:
    found = list(used)
    count = sum(each.count for each in found)
    return round(sum(each.milliseconds for each in found) / count, 1) if count else None


def _count(kinds: dict[UsageKind, Usage], kind: UsageKind) -> int:
    used = kinds.get(kind)
    return used.count if used else 0


def _tokens(used: Usage | None) -> int:
    return used.tokens_in + used.tokens_out if used else 0
