"""What was used, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

UsageKind = Literal["session", "message", "run", "model", "tool", "file"]
Period = Literal["day", "week", "month"]


@dataclass(frozen=True, kw_only=True)
class UsageSpan:
    """The days that are asked about, of UTC, both of them included."""

    first: date
    last: date
    period: Period = "day"
    """What days are put together to; weeks begin on Mondays."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """How much of something was used."""

    kind: UsageKind
    name: str | None
    """Of a model or a tool; of a message its role; of a run or file how it ended. None: of all."""
    begins: date | None
    """The first day of the period; None: of the whole span."""
    count: int
    failures: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    chunks: int = 0
    bytes: int = 0
    milliseconds: int = 0
    """Of all together."""


@dataclass(frozen=True, kw_only=True)
class UsageReport:
    """What was used in a span: of each name over all of it, and of each kind by period."""

    by_name: tuple[Usage, ...] = ()
    by_period: tuple[Usage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SessionFigures:
    """What there is of one session, and what it has cost."""

    session_id: str
    created_at: datetime
    last_message_at: datetime | None
    messages: int
    runs: Mapping[str, int]
    """By status."""
    tokens_in: int
    tokens_out: int
    response_ms: float | None
    """How long an answer took in the mean, without what it waited for."""
    tools: tuple[Usage, ...]
    """The most used first."""
