"""Rules about tool calls: who makes which, and that it is known."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from persistence.access import AccessScope
from persistence.approval_records import NewToolPolicy, PolicyVerdict, ToolPolicy
from persistence.database import Database
from persistence.errors import AccessDenied, NotFound, TooManyPolicies
from persistence.records import AuditEntry, Page
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry
from server.errors import (
    BadRequest,
    GroupNotFound,
    NotAuthorized,
    NotGroupAdmin,
    ToolPolicyNotFound,
)
from server.security.principal import Origin, Principal
from server.security.tool_policies import ToolPolicies

POLICIES_MAX = 2_000
"""Every replica holds all of an installation's rules in memory."""

_SYSTEM = AccessScope.system("how many rules there are")


class ToolPolicyService:
    """Rules of one principal at a time.

    Root makes and changes all of them. A group's admins do so for their group, as far as a rule
    only makes more careful: denies, or asks the user. What allows, and what shows a member's calls
    to others, is root's to say, because anybody may make a group and take people in.
    """

    def __init__(self, database: Database, policies: ToolPolicies) -> None:
        self._database = database
        self._policies = policies

    async def list_policies(
        self, principal: Principal, *, limit: int, offset: int
    ) -> Page[ToolPolicy]:
        """The rules that bind the principal, and to root all, the oldest first."""
        async with self._database.unit_of_work(principal.scope) as uow:
            return await uow.tool_policies.list(limit=limit, offset=offset)

    async def create(
        self, principal: Principal, origin: Origin, values: Mapping[str, Any]
    ) -> ToolPolicy:
        """Makes a rule out of the values of a `NewToolPolicy`.

        Raises:
            GroupNotFound: There is no such group that the principal is in.
            NotGroupAdmin: The principal does not administer it.
            NotAuthorized: Only root makes such a rule.
            TooManyPolicies: There are as many as there may be.
        """
        policy = NewToolPolicy(**values)
        _require_careful(principal, policy)
        await self._require_room()
        async with self._database.unit_of_work(principal.scope) as uow:
            with _refusals(missing=GroupNotFound):
                made = await uow.tool_policies.create(policy)
            await uow.audit.record(
                _entry("tool_policy.create", principal, origin, made, after=_shown(made))
            )
            await uow.commit()
        self._policies.forget()
        return made

    async def change(
        self, principal: Principal, origin: Origin, policy_id: int, changes: Mapping[str, Any]
    ) -> ToolPolicy:
        """Changes what is given.

        Raises:
            ToolPolicyNotFound: There is none that the principal sees.
            NotGroupAdmin: It is of a group that the principal does not administer.
            NotAuthorized: It is for root to change, or into this.
            BadRequest: Admins of no group would have to answer.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            before = await _take(uow, principal, policy_id)
            wanted = replace(before, **changes)
            _require_careful(principal, wanted)
            if wanted.approver != "user" and wanted.group_id is None:
                raise BadRequest("Only a group's rule can be answered by the group's admins.")
            with _refusals(missing=ToolPolicyNotFound):
                after = await uow.tool_policies.change(policy_id, wanted)
            await uow.audit.record(
                _entry(
                    "tool_policy.change",
                    principal,
                    origin,
                    after,
                    before=_shown(before),
                    after=_shown(after),
                )
            )
            await uow.commit()
        self._policies.forget()
        return after

    async def decree(
        self,
        principal: Principal,
        origin: Origin,
        *,
        tool: str,
        group_id: int | None,
        verdict: PolicyVerdict,
    ) -> ToolPolicy:
        """Has one rule speak of all calls of one tool, by changing it or by making it.

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
            return await self.change(principal, origin, existing[0].id, {"verdict": verdict})
        values = {"tool": tool, "group_id": group_id, "verdict": verdict}
        return await self.create(principal, origin, values)

    async def delete(self, principal: Principal, origin: Origin, policy_id: int) -> None:
        """Ends a rule.

        Raises:
            ToolPolicyNotFound: There is none that the principal sees.
            NotGroupAdmin: It is of a group that the principal does not administer.
            NotAuthorized: It is for root to end.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            before = await _take(uow, principal, policy_id)
            with _refusals(missing=ToolPolicyNotFound):
                await uow.tool_policies.delete(policy_id)
            await uow.audit.record(
                _entry("tool_policy.delete", principal, origin, before, before=_shown(before))
            )
            await uow.commit()
        self._policies.forget()

    async def _require_room(self) -> None:
        async with self._database.unit_of_work(_SYSTEM) as uow:
            if await uow.tool_policies.count() >= POLICIES_MAX:
                raise TooManyPolicies(f"there are {POLICIES_MAX} rules already")


async def _take(uow: UnitOfWork, principal: Principal, policy_id: int) -> ToolPolicy:
    """The rule, held until it is changed; refused in the words that its reader may hear."""
    with _refusals(missing=ToolPolicyNotFound):
        seen = await uow.tool_policies.get(policy_id)
        if seen.group_id is not None and not principal.user.is_root:
            await uow.groups.administer(seen.group_id)
        _require_careful(principal, seen)
        return await uow.tool_policies.lock(policy_id)


def _require_careful(principal: Principal, policy: NewToolPolicy) -> None:
    if principal.user.is_root:
        return
    if policy.group_id is None:
        raise NotAuthorized("A rule for everybody is for root.")
    if policy.verdict == "allow" or policy.approver != "user":
        raise NotAuthorized("A group's admins may have calls denied, or their own users asked.")


@contextmanager
def _refusals(*, missing: type[GroupNotFound] | type[ToolPolicyNotFound]) -> Iterator[None]:
    try:
        yield
    except AccessDenied as exc:
        raise NotGroupAdmin from exc
    except NotFound as exc:
        raise missing from exc


def _entry(
    action: str,
    principal: Principal,
    origin: Origin,
    policy: ToolPolicy,
    *,
    before: object = None,
    after: object = None,
) -> AuditEntry:
    return audit_entry(
        action,
        principal,
        origin,
        resource=("tool_policy", str(policy.id)),
        group_id=policy.group_id,
        details={"before": before, "after": after},
    )


def _shown(policy: ToolPolicy) -> dict[str, Any]:
    return {
        "tool": policy.tool,
        "arguments": dict(policy.arguments),
        "verdict": policy.verdict,
        "approver": policy.approver,
        "reason": policy.reason,
    }
