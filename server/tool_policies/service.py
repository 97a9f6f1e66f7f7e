"""Rules on which tool calls are allowed, asked about or denied: who makes which."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from typing_extensions import override

from persistence.errors import TooManyPolicies
from persistence.repositories.tool_policies import ToolPolicyRepository
from persistence.rule_records import NewToolPolicy, NewToolRule, PolicyVerdict, ToolPolicy
from persistence.unit_of_work import UnitOfWork
from server.errors import BadRequest, NotAuthorized, ToolPolicyNotFound
from server.rule_service import Also, RuleService
from server.security.principal import Origin, Principal


class ToolPolicyService(RuleService[NewToolPolicy, ToolPolicy]):
    """The tool policies of one principal at a time.

    A group's admins make them for their group as far as they only make more careful: deny, or ask
    the user. What allows, and what shows a member's calls to others, is root's to say, because
    anybody may make a group and take people in.
    """

    _kind = "tool_policy"
    _missing = ToolPolicyNotFound
    _too_many = TooManyPolicies

    async def decree(
        self,
        principal: Principal,
        origin: Origin,
        *,
        tool: str,
        group_id: int | None,
        verdict: PolicyVerdict,
        also: Also,
    ) -> ToolPolicy:
        """Has one rule speak of all calls of one tool, by changing it or by making it.

        Args:
            principal: Who has it so.
            origin: Where they are.
            tool: Its name.
            group_id: Whose calls; everybody's when None.
            verdict: What the rule says.
            also: What is done together with it, or neither is.

        Raises:
            GroupNotFound: There is no such group that the principal is in.
            NotGroupAdmin: The principal does not administer it.
            NotAuthorized: Only root makes such a rule.
            TooManyPolicies: There are as many as there may be.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            existing = [
                each
                for each in await uow.tool_policies.all()
                if (each.tool.casefold(), each.group_id) == (tool.casefold(), group_id)
                and not each.arguments
            ]
        if existing:
            changes = {"verdict": verdict}
            return await self.change(principal, origin, existing[0].id, changes, also=also)
        values = {"tool": tool, "group_id": group_id, "verdict": verdict}
        return await self.create(principal, origin, values, also=also)

    @override
    def _rules(self, uow: UnitOfWork) -> ToolPolicyRepository:
        return uow.tool_policies

    @override
    def _new(self, values: Mapping[str, Any]) -> NewToolPolicy:
        return NewToolPolicy(**values)

    @override
    def _with(self, before: ToolPolicy, changes: Mapping[str, Any]) -> ToolPolicy:
        return replace(before, **changes)

    @override
    def _show(self, rule: ToolPolicy) -> dict[str, Any]:
        return {
            "tool": rule.tool,
            "arguments": dict(rule.arguments),
            "verdict": rule.verdict,
            "approver": rule.approver,
            "reason": rule.reason,
        }

    @override
    def _require_right(self, principal: Principal, rule: NewToolRule) -> None:
        super()._require_right(principal, rule)
        if principal.user.is_root or not isinstance(rule, NewToolPolicy):
            return
        if rule.verdict == "allow" or rule.approver != "user":
            raise NotAuthorized("A group's admins may have calls denied, or their own users asked.")

    @override
    def _require_sense(self, rule: NewToolPolicy) -> None:
        if rule.approver != "user" and rule.group_id is None:
            raise BadRequest("Only a group's rule can be answered by the group's admins.")
