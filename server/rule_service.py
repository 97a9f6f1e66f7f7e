"""What is the same for every kind of rule about tools: who makes which, and that it is known."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import AccessDenied, Conflict, NotFound
from persistence.records import AuditEntry, Page
from persistence.repositories.rules import RuleRepository
from persistence.rule_records import NewToolRule, ToolRule
from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry
from server.errors import GroupNotFound, NotAuthorized, NotGroupAdmin, ResourceNotFound
from server.security.principal import Origin, Principal

RULES_MAX = 2_000
"""Every replica holds all of an installation's rules in memory."""
ROOTS_SHARE = 200
"""How many of these only root makes: anybody may make groups and rules for them, and root must
always be able to deny a tool."""

Also: TypeAlias = Callable[[UnitOfWork], Awaitable[None]]
"""What is done together with a change of a rule, or neither is."""
Wanted = TypeVar("Wanted", bound=NewToolRule)
Made = TypeVar("Made", bound=ToolRule)

_SYSTEM = AccessScope.system("how many rules there are")


async def _nothing(_: UnitOfWork) -> None:
    return


class KnownRules(Protocol):
    """The rules as this replica knows them."""

    def forget(self) -> None:
        """Has them read again."""
        ...


class RuleService(ABC, Generic[Wanted, Made]):
    """Rules of one principal at a time.

    Root makes and changes all of them, a group's admins those that they may for their group. The
    other replicas hear of it from the database.
    """

    _kind: ClassVar[str]
    """How the audit trail calls a rule."""
    _missing: ClassVar[type[ResourceNotFound]]
    _too_many: ClassVar[type[Conflict]]

    def __init__(self, database: Database, known: KnownRules) -> None:
        self._database = database
        self._known = known
        # Who counts holds a connection and takes another one: many at once would take them all.
        self._one_at_a_time = asyncio.Lock()

    async def list_rules(self, principal: Principal, *, limit: int, offset: int) -> Page[Made]:
        """The rules that bind the principal, and to root all, the oldest first."""
        async with self._database.unit_of_work(principal.scope) as uow:
            return await self._rules(uow).list(limit=limit, offset=offset)

    async def create(
        self,
        principal: Principal,
        origin: Origin,
        values: Mapping[str, Any],
        *,
        also: Also = _nothing,
    ) -> Made:
        """Makes a rule out of its values.

        Raises:
            GroupNotFound: There is no such group that the principal is in.
            NotGroupAdmin: The principal does not administer it.
            NotAuthorized: Only root makes such a rule.
            TooManyPolicies, TooManyToolLimits: There are as many as there may be.
        """
        wanted = self._new(values)
        self._require_right(principal, wanted)
        async with (
            self._room_for(principal),
            self._database.unit_of_work(principal.scope) as uow,
        ):
            with _refusals(missing=GroupNotFound):
                made = await self._rules(uow).create(wanted)
            await uow.audit.record(
                self._entry("create", principal, origin, made, after=self._show(made))
            )
            await also(uow)
            await uow.commit()
        self._known.forget()
        return made

    async def change(
        self,
        principal: Principal,
        origin: Origin,
        rule_id: int,
        changes: Mapping[str, Any],
        *,
        also: Also = _nothing,
    ) -> Made:
        """Changes what is given.

        Raises:
            ToolPolicyNotFound, ToolLimitNotFound: There is none that the principal sees.
            NotGroupAdmin: It is of a group that the principal does not administer.
            NotAuthorized: It is for root to change, or into this.
            BadRequest: It would not be a rule any more.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            before = await self._take(uow, principal, rule_id)
            wanted = self._with(before, changes)
            self._require_right(principal, wanted)
            self._require_sense(wanted)
            with _refusals(missing=self._missing):
                after = await self._rules(uow).change(rule_id, wanted)
            shown = {"before": self._show(before), "after": self._show(after)}
            await uow.audit.record(self._entry("change", principal, origin, after, **shown))
            await also(uow)
            await uow.commit()
        self._known.forget()
        return after

    async def delete(self, principal: Principal, origin: Origin, rule_id: int) -> None:
        """Ends a rule.

        Raises:
            ToolPolicyNotFound, ToolLimitNotFound: There is none that the principal sees.
            NotGroupAdmin: It is of a group that the principal does not administer.
            NotAuthorized: It is for root to end.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            before = await self._take(uow, principal, rule_id)
            with _refusals(missing=self._missing):
                await self._rules(uow).delete(rule_id)
            await uow.audit.record(
                self._entry("delete", principal, origin, before, before=self._show(before))
            )
            await uow.commit()
        self._known.forget()

    @abstractmethod
    def _rules(self, uow: UnitOfWork) -> RuleRepository[Wanted, Made]:
        """Where they are stored."""

    @abstractmethod
    def _new(self, values: Mapping[str, Any]) -> Wanted:
        """A rule to make."""

    @abstractmethod
    def _with(self, before: Made, changes: Mapping[str, Any]) -> Wanted:
        """What a rule becomes by changes."""

    @abstractmethod
    def _show(self, rule: Made) -> dict[str, Any]:
        """What the audit trail keeps of a rule."""

    def _require_right(self, principal: Principal, rule: NewToolRule) -> None:
        """See to it that a principal may make such a rule at all, in a group of their own.

        Raises:
            NotAuthorized: Only root may.
        """
        if rule.group_id is None and not principal.user.is_root:
            raise NotAuthorized("A rule for everybody is for root.")

    @abstractmethod
    def _require_sense(self, rule: Wanted) -> None:
        """See to it that what a rule becomes is one.

        Raises:
            BadRequest: It is none.
        """

    async def _take(self, uow: UnitOfWork, principal: Principal, rule_id: int) -> Made:
        """The rule, held until it is changed; refused in the words that its reader may hear."""
        with _refusals(missing=self._missing):
            seen = await self._rules(uow).get(rule_id)
            if seen.group_id is not None and not principal.user.is_root:
                await uow.groups.administer(seen.group_id)
            self._require_right(principal, seen)
            return await self._rules(uow).lock(rule_id)

    @asynccontextmanager
    async def _room_for(self, principal: Principal) -> AsyncIterator[None]:
        """See to it that there is room for one more; nobody else makes one until the end."""
        most = RULES_MAX if principal.user.is_root else RULES_MAX - ROOTS_SHARE
        async with self._one_at_a_time, self._database.unit_of_work(_SYSTEM) as uow:
            if await self._rules(uow).hold_count() >= most:
                raise self._too_many(f"there are {most} rules already")
            yield

    def _entry(
        self,
        act: str,
        principal: Principal,
        origin: Origin,
        rule: Made,
        *,
        before: object = None,
        after: object = None,
    ) -> AuditEntry:
        return audit_entry(
            f"{self._kind}.{act}",
            principal,
            origin,
            resource=(self._kind, str(rule.id)),
            group_id=rule.group_id,
            details={"before": before, "after": after},
        )


@contextmanager
def _refusals(*, missing: type[ResourceNotFound]) -> Iterator[None]:
    try:
        yield
    except AccessDenied as exc:
        raise NotGroupAdmin from exc
    except NotFound as exc:
        raise missing from exc
