"""What is the same for every kind of rule about tools: who sees, makes and changes which."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

from typing_extensions import override

from persistence.access import AccessScope
from persistence.encryption import KeyRing
from persistence.errors import AccessDenied, Conflict, NotFound
from persistence.notifications import Channel
from persistence.records import Page
from persistence.repositories.base import Repository
from persistence.repositories.groups import GroupRepository
from persistence.repositories.rule_statements import RuleStatements
from persistence.rule_records import NewToolRule, ToolRule
from persistence.transaction import Row, Transaction

RULES_OF_GROUP_MAX = 50

Wanted = TypeVar("Wanted", bound=NewToolRule)
Made = TypeVar("Made", bound=ToolRule)


class RuleRepository(Repository, ABC, Generic[Wanted, Made]):
    """One sees the rules that bind one.

    Root and the system change all of them, a group's admins those of the group that they may make.
    """

    _statements: ClassVar[RuleStatements]
    _changed: ClassVar[Channel]
    """Where a change is made known."""
    _too_many: ClassVar[type[Conflict]]

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

    async def create(self, rule: Wanted) -> Made:
        """Make a rule.

        Raises:
            NotFound: There is no such group, or none that the scope's user is in.
            AccessDenied: The user does not administer the group, or may not make such a rule.
            TooManyPolicies, TooManyToolLimits: The group has as many as it may have.
        """
        await self._require_right(rule)
        if rule.group_id is not None:
            await self._require_room(rule.group_id)
        columns = {"group_id": rule.group_id, **self._columns(rule, rule.group_id)}
        try:
            row = await self._first(self._statements.insert, columns)
        except Conflict as exc:
            raise NotFound(f"no group {rule.group_id!r}") from exc
        assert row is not None  # noqa: S101 - an INSERT without a condition
        await self._notify(self._changed, "")
        return self._read(row)

    async def get(self, rule_id: int) -> Made:
        """Return a rule.

        Raises:
            NotFound: There is none that the scope sees.
        """
        row = await self._first(
            self._statements.get.administered_by(self._scope), {"rule": rule_id}
        )
        if row is None:
            raise NotFound(f"no rule {rule_id!r}")
        return self._read(row)

    async def list(self, *, limit: int = 50, offset: int = 0) -> Page[Made]:
        """Return the rules that the scope sees, the oldest first."""
        return await self._page(
            self._statements.page.administered_by(self._scope),
            self._statements.count.administered_by(self._scope),
            {},
            limit=limit,
            offset=offset,
            read=self._read,
        )

    async def all(self) -> Sequence[Made]:
        """Return every rule that the scope sees, the oldest first."""
        rows = await self._all(self._statements.all.administered_by(self._scope), {})
        return [self._read(row) for row in rows]

    async def count(self) -> int:
        """Return how many rules the scope sees."""
        rows = await self._all(self._statements.count.administered_by(self._scope), {})
        return int(rows[0][0])

    async def hold_count(self) -> int:
        """Return how many rules the scope sees, when whoever asked before has made theirs.

        Whoever asks next waits until the unit of work ends.
        """
        await self._first(self._statements.hold_count, {})
        return await self.count()

    async def lock(self, rule_id: int) -> Made:
        """Return a rule to change, and let nobody else change it until the unit of work ends.

        Raises:
            NotFound: There is none that the scope sees.
            AccessDenied: The scope's user may not change it.
        """
        row = await self._first(
            self._statements.lock.administered_by(self._scope), {"rule": rule_id}
        )
        if row is None:
            await self.get(rule_id)
            raise AccessDenied("the rule is for others to change")
        return self._read(row)

    async def change(self, rule_id: int, rule: Wanted) -> Made:
        """Replace all of a rule but its group.

        Raises:
            NotFound: There is none that the scope sees.
            AccessDenied: The scope's user may not change it, or not into this.
        """
        before = await self.lock(rule_id)
        await self._require_right(rule)
        columns = self._columns(rule, before.group_id)
        row = await self._first(
            self._statements.update.administered_by(self._scope),
            {"rule": rule_id, **{f"new_{name}": value for name, value in columns.items()}},
        )
        if row is None:
            raise AccessDenied("the rule is for others to change")
        await self._notify(self._changed, "")
        return self._read(row)

    async def delete(self, rule_id: int) -> None:
        """End a rule.

        Raises:
            NotFound: There is none that the scope sees.
            AccessDenied: The scope's user may not change it.
        """
        await self.lock(rule_id)
        await self._change(self._statements.delete.administered_by(self._scope), {"rule": rule_id})
        await self._notify(self._changed, "")

    @abstractmethod
    def _columns(self, rule: Wanted, group_id: int | None) -> dict[str, Any]:
        """What the table keeps of a rule, beside its group."""

    @abstractmethod
    def _read(self, row: Row) -> Made:
        """The rule in a row."""

    def _may_be_a_groups(self, rule: Wanted) -> bool:
        """Whether a group's admins may make such a rule."""
        return rule.group_id is not None

    async def _require_right(self, rule: Wanted) -> None:
        if self._scope.administers:
            return
        if rule.group_id is None or not self._may_be_a_groups(rule):
            raise AccessDenied("only an administrator makes such a rule")
        await self._groups.administer(rule.group_id)

    async def _require_room(self, group_id: int) -> None:
        statement = self._statements.count_of_group.administered_by(self._scope)
        rows = await self._all(statement, {"group": group_id})
        if rows[0][0] >= RULES_OF_GROUP_MAX:
            raise self._too_many(f"the group has {RULES_OF_GROUP_MAX} rules already")
