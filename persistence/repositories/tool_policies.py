"""The rules on which tool calls are allowed, asked about or denied."""

from typing import Any

from typing_extensions import override

from persistence.errors import TooManyPolicies
from persistence.models import tool_policies
from persistence.notifications import Channel
from persistence.repositories.rule_statements import RuleStatements
from persistence.repositories.rules import RuleRepository
from persistence.rule_records import NewToolPolicy, ToolPolicy
from persistence.transaction import Row


class ToolPolicyRepository(RuleRepository[NewToolPolicy, ToolPolicy]):
    """The tool policies; a group's admins make those that only make more careful."""

    _statements = RuleStatements(
        tool_policies,
        columns=("verdict", "approver", "body"),
        settable=lambda guard: guard.sets_policy(tool_policies),
    )
    _changed = Channel.TOOL_POLICY_CHANGED
    _too_many = TooManyPolicies

    @override
    def _columns(self, rule: NewToolPolicy, group_id: int | None) -> dict[str, Any]:
        body = {"tool": rule.tool, "arguments": dict(rule.arguments), "reason": rule.reason}
        context = _context(group_id, rule.verdict, rule.approver)
        return {
            "verdict": rule.verdict,
            "approver": rule.approver,
            "body": self._key_ring.encrypt_json(body, context=context),
        }

    @override
    def _read(self, row: Row) -> ToolPolicy:
        return ToolPolicy(
            id=row["id"],
            group_id=row["group_id"],
            verdict=row["verdict"],
            approver=row["approver"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            **self._key_ring.decrypt_json(
                row["body"], context=_context(row["group_id"], row["verdict"], row["approver"])
            ),
        )

    @override
    def _may_be_a_groups(self, rule: NewToolPolicy) -> bool:
        return rule.verdict != "allow" and rule.approver == "user"


def _context(group_id: int | None, verdict: str, approver: str) -> str:
    """Where a rule's text belongs: a verdict that was changed in the table does not fit it."""
    return f"tool_policies.body/{group_id}/{verdict}/{approver}"
