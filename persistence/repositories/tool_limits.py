"""The rules on what tool calls may take."""

from typing import Any

from typing_extensions import override

from persistence.errors import TooManyToolLimits
from persistence.models import tool_limits
from persistence.notifications import Channel
from persistence.repositories.rule_statements import RuleStatements
from persistence.repositories.rules import RuleRepository
from persistence.rule_records import NewToolLimit, ToolLimit
from persistence.transaction import Row


class ToolLimitRepository(RuleRepository[NewToolLimit, ToolLimit]):
    """The tool limits; whatever a group's admins make of them can only limit more."""

    _statements = RuleStatements(
        tool_limits,
        columns=("body",),
        settable=lambda guard: guard.group_admin(tool_limits.c.group_id),
    )
    _changed = Channel.TOOL_LIMIT_CHANGED
    _too_many = TooManyToolLimits

    @override
    def _columns(self, rule: NewToolLimit, group_id: int | None) -> dict[str, Any]:
        body = {
            "tool": rule.tool,
            "max_seconds": rule.max_seconds,
            "max_result_chars": rule.max_result_chars,
            "max_calls_per_run": rule.max_calls_per_run,
        }
        return {"body": self._key_ring.encrypt_json(body, context=_context(group_id))}

    @override
    def _read(self, row: Row) -> ToolLimit:
        return ToolLimit(
            id=row["id"],
            group_id=row["group_id"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            **self._key_ring.decrypt_json(row["body"], context=_context(row["group_id"])),
        )


def _context(group_id: int | None) -> str:
    return f"tool_limits.body/{group_id}"
