"""The rules about tool calls."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from persistence.access import AccessScope, Guard, ScopedStatement
from persistence.approval_records import NewToolPolicy, ToolPolicy
from persistence.encryption import KeyRing
from persistence.errors import AccessDenied, Conflict, NotFound, TooManyPolicies
from persistence.models import tool_policies
from persistence.notifications import Channel
from persistence.records import Page
from persistence.repositories.base import Repository
from persistence.repositories.groups import GroupRepository
from persistence.statements import Statement
from persistence.transaction import Row, Transaction

POLICIES_OF_GROUP_MAX = 50

_POLICY = tool_policies.c.id == bindparam("policy", type_=BigInteger)
_GROUP: ColumnElement[Any] = bindparam("group", type_=BigInteger)


def _select_policies(guard: Guard) -> Select[Any]:
    return select(tool_policies).where(
        tool_policies.c.group_id.is_(None) | guard.member(tool_policies.c.group_id)
    )


_GET = ScopedStatement(lambda guard: _select_policies(guard).where(_POLICY))
_LIST = ScopedStatement(
    lambda guard: (
        _select_policies(guard)
        .order_by(tool_policies.c.id)
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )
)
_COUNT = ScopedStatement(
    lambda guard: select(func.count()).select_from(_select_policies(guard).subquery())
)
_ALL = ScopedStatement(lambda guard: _select_policies(guard).order_by(tool_policies.c.id))
_LOCK = ScopedStatement(
    lambda guard: (
        select(tool_policies)
        .where(_POLICY, guard.sets_policy(tool_policies))
        .with_for_update(of=tool_policies)
    )
)
_COUNT_OF_GROUP = ScopedStatement(
    lambda guard: (
        select(func.count())
        .select_from(tool_policies)
        .where(tool_policies.c.group_id == _GROUP, guard.member(tool_policies.c.group_id))
    )
)
_INSERT = Statement(  # only ever run by who may, which `create` made sure of
    insert(tool_policies).returning(tool_policies),
    columns=("group_id", "verdict", "approver", "body"),
)
_UPDATE = ScopedStatement(
    lambda guard: (
        update(tool_policies)
        .where(_POLICY, guard.sets_policy(tool_policies))
        .values(
            verdict=bindparam("new_verdict"),
            approver=bindparam("new_approver"),
            body=bindparam("new_body"),
            updated_at=func.now(),
        )
        .returning(tool_policies)
    )
)
_DELETE = ScopedStatement(
    lambda guard: delete(tool_policies).where(_POLICY, guard.sets_policy(tool_policies))
)


class ToolPolicyRepository(Repository):
    """One sees the rules that bind one.

    Root and the system change all of them, a group's admins those of the group that only make more
    careful.
    """

    @override
    def __init__(
        self,
        transaction: Transaction,
        scope: AccessScope,
        key_ring: KeyRing,
        groups: GroupRepository,
    ) -> None:
        super().__init__(transaction, scope, key_ring)
        self._groups = groups

    async def create(self, policy: NewToolPolicy) -> ToolPolicy:
        """Make a rule.

        Raises:
            NotFound: There is no such group, or none that the scope's user is in.
            AccessDenied: The user does not administer the group, or may not make such a rule.
            TooManyPolicies: The group has as many as it may have.
        """
        await self._require_right(policy)
        if policy.group_id is not None:
            await self._require_room(policy.group_id)
        columns = {
            "group_id": policy.group_id,
            "verdict": policy.verdict,
            "approver": policy.approver,
            "body": self._seal(policy, policy.group_id),
        }
        try:
            row = await self._first(_INSERT, columns)
        except Conflict as exc:
            raise NotFound(f"no group {policy.group_id!r}") from exc
        assert row is not None  # noqa: S101 - an INSERT without a condition
        await self._notify(Channel.TOOL_POLICY_CHANGED, "")
        return self._read(row)

    async def get(self, policy_id: int) -> ToolPolicy:
        """Return a rule.

        Raises:
            NotFound: There is none that the scope sees.
        """
        row = await self._first(_GET.administered_by(self._scope), {"policy": policy_id})
        if row is None:
            raise NotFound(f"no rule {policy_id!r}")
        return self._read(row)

    async def list(self, *, limit: int = 50, offset: int = 0) -> Page[ToolPolicy]:
        """Return the rules that the scope sees, the oldest first."""
        return await self._page(
            _LIST.administered_by(self._scope),
            _COUNT.administered_by(self._scope),
            {},
            limit=limit,
            offset=offset,
            read=self._read,
        )

    async def all(self) -> Sequence[ToolPolicy]:
        """Return every rule that the scope sees, the oldest first."""
        return [self._read(row) for row in await self._all(_ALL.administered_by(self._scope), {})]

    async def count(self) -> int:
        """Return how many rules the scope sees."""
        return int((await self._all(_COUNT.administered_by(self._scope), {}))[0][0])

    async def lock(self, policy_id: int) -> ToolPolicy:
        """Return a rule to change, and let nobody else change it until the unit of work ends.

        Raises:
            NotFound: There is none that the scope sees.
            AccessDenied: The scope's user may not change it.
        """
        row = await self._first(_LOCK.administered_by(self._scope), {"policy": policy_id})
        if row is None:
            await self.get(policy_id)
            raise AccessDenied("the rule is for others to change")
        return self._read(row)

    async def change(self, policy_id: int, policy: NewToolPolicy) -> ToolPolicy:
        """Replace all of a rule but its group.

        Raises:
            NotFound: There is none that the scope sees.
            AccessDenied: The scope's user may not change it, or not into this.
        """
        before = await self.lock(policy_id)
        await self._require_right(policy)
        parameters = {
            "policy": policy_id,
            "new_verdict": policy.verdict,
            "new_approver": policy.approver,
            "new_body": self._seal(policy, before.group_id),
        }
        row = await self._first(_UPDATE.administered_by(self._scope), parameters)
        if row is None:
            raise AccessDenied("the rule is for others to change")
        await self._notify(Channel.TOOL_POLICY_CHANGED, "")
        return self._read(row)

    async def delete(self, policy_id: int) -> None:
        """End a rule.

        Raises:
            NotFound: There is none that the scope sees.
            AccessDenied: The scope's user may not change it.
        """
        await self.lock(policy_id)
        await self._change(_DELETE.administered_by(self._scope), {"policy": policy_id})
        await self._notify(Channel.TOOL_POLICY_CHANGED, "")

    async def _require_right(self, policy: NewToolPolicy) -> None:
        if self._scope.administers:
            return
        if policy.group_id is None or policy.verdict == "allow" or policy.approver != "user":
            raise AccessDenied("only an administrator makes such a rule")
        await self._groups.administer(policy.group_id)

    async def _require_room(self, group_id: int) -> None:
        parameters = {"group": group_id}
        rows = await self._all(_COUNT_OF_GROUP.administered_by(self._scope), parameters)
        if rows[0][0] >= POLICIES_OF_GROUP_MAX:
            raise TooManyPolicies(f"the group has {POLICIES_OF_GROUP_MAX} rules already")

    def _seal(self, policy: NewToolPolicy, group_id: int | None) -> bytes:
        body = {
            "tool": policy.tool,
            "arguments": dict(policy.arguments),
            "reason": policy.reason,
        }
        context = _context(group_id, policy.verdict, policy.approver)
        return self._key_ring.encrypt_json(body, context=context)

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


def _context(group_id: int | None, verdict: str, approver: str) -> str:
    """Where a rule's text belongs: a verdict that was changed in the table does not fit it."""
    return f"tool_policies.body/{group_id}/{verdict}/{approver}"
