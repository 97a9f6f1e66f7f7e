"""Rules on what tool calls may take: who makes which."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from typing_extensions import override

from persistence.errors import TooManyToolLimits
from persistence.repositories.tool_limits import ToolLimitRepository
from persistence.rule_records import NewToolLimit, ToolLimit
from persistence.unit_of_work import UnitOfWork
from server.errors import BadRequest, ToolLimitNotFound
from server.rule_service import RuleService


class ToolLimitService(RuleService[NewToolLimit, ToolLimit]):
    """The tool limits of one principal at a time.

    A group's admins make any for their group: none can allow more than what holds without it.
    """

    _kind = "tool_limit"
    _missing = ToolLimitNotFound
    _too_many = TooManyToolLimits

    @override
    def _rules(self, uow: UnitOfWork) -> ToolLimitRepository:
        return uow.tool_limits

    @override
    def _new(self, values: Mapping[str, Any]) -> NewToolLimit:
        return NewToolLimit(**values)

    @override
    def _with(self, before: ToolLimit, changes: Mapping[str, Any]) -> ToolLimit:
        return replace(before, **changes)

    @override
    def _show(self, rule: NewToolLimit) -> dict[str, Any]:
        return {"tool": rule.tool, **_limits_of(rule)}

    @override
    def _require_sense(self, rule: NewToolLimit) -> None:
        if all(value is None for value in _limits_of(rule).values()):
            raise BadRequest("A rule that limits nothing is none; delete it instead.")


def _limits_of(rule: NewToolLimit) -> dict[str, float | None]:
    return {
        "max_seconds": rule.max_seconds,
        "max_result_chars": rule.max_result_chars,
        "max_calls_per_run": rule.max_calls_per_run,
    }
