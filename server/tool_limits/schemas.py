"""What rules on what tool calls may take are given as, and answered."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import override

from server.rule_fields import RowNumber, RuleUpdate, ToolPattern

Seconds = Annotated[float, Field(ge=0.1, le=3600, allow_inf_nan=False)]
"""How long one call may take; not longer than `MCP__CALL_TIMEOUT_SECONDS`, whatever this says."""
ResultChars = Annotated[int, Field(ge=200, le=10_000_000)]
"""How much of a result the model is told; not more than `MCP__RESULT_MAX_CHARS`."""
CallsPerRun = Annotated[int, Field(ge=1, le=10_000)]
"""How many calls of all tools that fit a run makes; not more than `MCP__MAX_CALLS_PER_RUN`."""


class ToolLimitCreate(BaseModel):
    """A rule to make; it limits at least one thing."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"group_id": 7, "tool": "web.*", "max_calls_per_run": 5}]},
    )

    group_id: RowNumber | None = None
    """Whose members it binds; everybody when left out, which is for root."""
    tool: ToolPattern
    max_seconds: Seconds | None = None
    max_result_chars: ResultChars | None = None
    max_calls_per_run: CallsPerRun | None = None

    @model_validator(mode="after")
    def _require_limit(self) -> Self:
        limits = (self.max_seconds, self.max_result_chars, self.max_calls_per_run)
        if all(limit is None for limit in limits):
            raise ValueError("give at least one limit")
        return self


class ToolLimitUpdate(RuleUpdate):
    """What of a rule is to change; what is left out stays, and null takes a limit away."""

    max_seconds: Seconds | None = None
    max_result_chars: ResultChars | None = None
    max_calls_per_run: CallsPerRun | None = None

    @property
    @override
    def changes(self) -> dict[str, object]:
        """The new values, by name."""
        given = self.model_dump(exclude_unset=True)
        return {name: value for name, value in given.items() if name != "tool" or value}


class ToolLimitAnswer(BaseModel):
    """A rule on what tool calls may take."""

    id: int
    group_id: int | None
    tool: str
    max_seconds: float | None
    max_result_chars: int | None
    max_calls_per_run: int | None
    created_at: datetime
    updated_at: datetime


class ToolLimitList(BaseModel):
    """A page of the rules that one sees."""

    tool_limits: list[ToolLimitAnswer]
    total: int
    limit: int
    offset: int
