"""What the analytics take and answer."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from server.dependencies import ROW_ID_MAX

Period = Literal["day", "week", "month"]


class UsageQuery(BaseModel):
    """Whose usage, and when."""

    model_config = ConfigDict(extra="forbid")

    start_date: date | None = None
    """The first day, of UTC; without it 30 days, 12 weeks or 12 months before the last one."""
    end_date: date | None = None
    """The last day, included; today if it is left out."""
    period: Period = "day"
    """What days are put together to; weeks begin on Mondays."""
    group_id: Annotated[int | None, Field(ge=1, le=ROW_ID_MAX)] = None
    """Of all in a group, for its admins; of one with three others at least."""
    view: Literal["own", "all"] | None = None
    """Of oneself or of everybody; root sees everybody's unless it asks for its own."""


class TokenQuery(UsageQuery):
    """Whose tokens, when, and of which model."""

    model: Annotated[str | None, Field(max_length=200)] = None


class UsageMetrics(BaseModel):
    """Sums and means over all days."""

    total_sessions: int
    """That were begun."""
    total_messages: int
    total_tokens: int
    total_tool_calls: int
    avg_session_length: float | None
    """Messages for each session that was begun; null without one."""
    avg_response_time_ms: float | None
    """How long answers took, without what they waited for; null without one."""


class ToolUsage(BaseModel):
    """How a tool was used."""

    tool_name: str
    count: int
    failures: int
    avg_latency_ms: float


class PeriodUsage(BaseModel):
    """What was used in a period."""

    date: date
    """Its first day."""
    sessions: int
    messages: int
    tokens: int
    tool_calls: int


class UsageFrame(BaseModel):
    """Which days an answer is about."""

    period: Period
    start_date: date
    end_date: date


class Dashboard(UsageFrame):
    """The figures at a glance."""

    metrics: UsageMetrics
    top_tools: list[ToolUsage]
    daily_breakdown: list[PeriodUsage]
    """Of each period in which anything was used, the oldest first."""


class ModelUsage(BaseModel):
    """What was asked of a model."""

    model: str
    calls: int
    tokens_in: int
    tokens_out: int
    avg_latency_ms: float


class PeriodTokens(BaseModel):
    """The tokens of a period."""

    date: date
    tokens_in: int
    tokens_out: int


class TokenUsage(UsageFrame):
    """Tokens, by model and by period."""

    tokens_in: int
    tokens_out: int
    by_model: list[ModelUsage]
    breakdown: list[PeriodTokens]


class ToolsUsage(UsageFrame):
    """How tools were used, the most used first."""

    tools: list[ToolUsage]


class IngestionUsage(UsageFrame):
    """What became of files that were given to be made searchable."""

    files: dict[str, int]
    """By how they ended: indexed, unchanged, failed, cancelled."""
    chunks: int
    bytes: int
    avg_duration_ms: float | None
    """From being given to being searchable; null without one."""


class SessionUsage(BaseModel):
    """The figures of one session."""

    session_id: str
    created_at: datetime
    last_message_at: datetime | None
    messages: int
    runs: dict[str, int]
    """By how they stand or ended."""
    tokens_in: int
    tokens_out: int
    avg_response_time_ms: float | None
    tools: list[ToolUsage]
