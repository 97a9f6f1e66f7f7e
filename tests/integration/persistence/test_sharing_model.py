"""Membership, sharing and visibility against a model of them that fits into a page."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import (
    AccessDenied,
    LastGroupAdmin,
    MembershipExists,
    NotAMember,
    NotFound,
    PersistenceError,
)
from persistence.records import GroupRole
from persistence.unit_of_work import UnitOfWork
from tests.fixtures.rows import SYSTEM

USERS = 3
PROVIDED = 2
"""How many groups the identity provider knows."""

Error = type[PersistenceError] | None


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that a user tries; numbers pick among what there is by then."""

    act: str
    actor: int = 0
    other: int = 0
    group: int = 0
    document: int = 0
    role: GroupRole = "member"


@dataclass
class Model:
    """What should be the case."""

    members: dict[int, dict[int, GroupRole]] = field(default_factory=dict)
    provided: dict[str, int] = field(default_factory=dict)
    documents: dict[int, tuple[int, int | None]] = field(default_factory=dict)
    """The owner of each, and the group that it is shared with."""
    locked_out: set[int] = field(default_factory=set)

    def refusal(self, actor: int, group: int) -> Error:
        """Why the actor may not change the group."""
        role = self.members.get(group, {}).get(actor)
        return NotFound if role is None else AccessDenied if role == "member" else None

    def is_last_admin(self, group: int, user: int) -> bool:
        roles = self.members[group]
        others = {each for each, role in roles.items() if role == "admin"} - {user}
        return roles[user] == "admin" and not others - self.locked_out

    def end_membership(self, group: int, user: int) -> None:
        del self.members[group][user]
        for document, (owner, shared_with) in self.documents.items():
            if (owner, shared_with) == (user, group):
                self.documents[document] = (owner, None)

    def visible(self, user: int) -> set[int]:
        mine = self.groups(user)
        return {
            document
            for document, (owner, shared_with) in self.documents.items()
            if owner == user or shared_with in mine
        }

    def groups(self, user: int) -> dict[int, tuple[GroupRole, int]]:
        """The user's groups: the user's own role, and how many are in."""
        return {
            group: (roles[user], len(roles))
            for group, roles in self.members.items()
            if user in roles
        }


class World:
    """The model and the database, which must agree after every step."""

    def __init__(self, database: Database, users: list[int]) -> None:
        self._database = database
        self._users = users
        self._tag = secrets.token_hex(8)
        self._made = 0
        self._model = Model()

    async def take(self, step: Step) -> None:
        actor = self._users[step.actor]
        if actor in self._model.locked_out and step.act not in {"lock out or let in", "provide"}:
            return  # who is locked out calls nothing
        needs_group = {"add", "remove", "change role", "delete group"}
        if step.act in needs_group and not self._model.members:
            return
        if step.act in {"share", "unshare", "delete document"} and not self._model.documents:
            return
        await getattr(self, "_" + step.act.replace(" ", "_"))(step, actor)
        await self._compare()

    async def _compare(self) -> None:
        for user in self._users:
            async with self._database.unit_of_work(AccessScope(user_id=user)) as uow:
                documents = (await uow.documents.list(limit=100)).items
                visible = await uow.documents.visible(list(self._model.documents))
                groups = (await uow.groups.list(limit=100)).items
            expected = self._model.visible(user)
            assert {each.id for each in documents} == set(visible) == expected
            for each in documents:
                assert self._model.documents[each.id] == (each.owner_id, each.group_id)
            found = {each.id: (each.role, each.member_count) for each in groups}
            assert found == self._model.groups(user)
        async with self._database.unit_of_work(SYSTEM) as uow:
            for group, roles in self._model.members.items():
                members = await uow.memberships.list(group)
                assert {each.user_id: each.role for each in members} == roles

    async def _try(
        self, actor: int, work: Callable[[UnitOfWork], Awaitable[object]], expected: Error
    ) -> bool:
        """Do it; tell whether it was done, which must be as the model says."""
        refused: Error = None
        async with self._database.unit_of_work(AccessScope(user_id=actor)) as uow:
            try:
                await work(uow)
                await uow.commit()
            except PersistenceError as exc:
                refused = type(exc)
        assert refused == expected
        return refused is None

    async def _make_group(self, step: Step, actor: int) -> None:
        self._made += 1
        async with self._database.unit_of_work(AccessScope(user_id=actor)) as uow:
            group = await uow.groups.create(f"{self._tag} {self._made}")
            await uow.commit()
        self._model.members[group.id] = {actor: "admin"}

    async def _delete_group(self, step: Step, actor: int) -> None:
        group = self._group(step)
        expected = self._model.refusal(actor, group)
        if await self._try(actor, lambda uow: uow.groups.delete(group), expected):
            for user in list(self._model.members[group]):
                self._model.end_membership(group, user)
            del self._model.members[group]

    async def _add(self, step: Step, actor: int) -> None:
        group, other = self._group(step), self._users[step.other]
        expected = self._model.refusal(actor, group)
        if expected is None and other in self._model.locked_out:
            expected = NotFound
        elif expected is None and other in self._model.members[group]:
            expected = MembershipExists
        if await self._try(
            actor, lambda uow: uow.memberships.add(group, other, step.role), expected
        ):
            self._model.members[group][other] = step.role

    async def _change_role(self, step: Step, actor: int) -> None:
        group, other = self._group(step), self._users[step.other]
        expected = self._model.refusal(actor, group)
        if expected is None and other not in self._model.members[group]:
            expected = NotFound
        elif expected is None and step.role != "admin" and self._model.is_last_admin(group, other):
            expected = LastGroupAdmin
        if await self._try(
            actor, lambda uow: uow.memberships.change_role(group, other, step.role), expected
        ):
            self._model.members[group][other] = step.role

    async def _remove(self, step: Step, actor: int) -> None:
        group, other = self._group(step), self._users[step.other]
        roles = self._model.members[group]
        expected = self._model.refusal(actor, group)
        if actor == other and roles.get(actor) == "member":
            expected = None
        elif expected is None and other not in roles:
            expected = NotFound
        elif expected is None and self._model.is_last_admin(group, other):
            expected = LastGroupAdmin
        if await self._try(actor, lambda uow: uow.memberships.remove(group, other), expected):
            self._model.end_membership(group, other)

    async def _upload(self, step: Step, actor: int) -> None:
        self._made += 1
        async with self._database.unit_of_work(AccessScope(user_id=actor)) as uow:
            document = await uow.documents.create(
                title="t",
                filename="f",
                mime="text/plain",
                size_bytes=1,
                content_hash=str(self._made),
                blob=f"{self._tag} {self._made}",
            )
            await uow.documents.mark_indexed(document.id, 1)
            await uow.commit()
        self._model.documents[document.id] = (actor, None)

    async def _share(self, step: Step, actor: int) -> None:
        if self._model.members:
            await self._set_group(step, actor, self._group(step))

    async def _unshare(self, step: Step, actor: int) -> None:
        await self._set_group(step, actor, None)

    async def _set_group(self, step: Step, actor: int, group: int | None) -> None:
        document = self._document(step)
        expected: Error = None
        if self._model.documents[document][0] != actor:
            expected = NotFound
        elif group is not None and actor not in self._model.members[group]:
            expected = NotAMember
        if await self._try(actor, lambda uow: uow.documents.share(document, group), expected):
            self._model.documents[document] = (actor, group)

    async def _delete_document(self, step: Step, actor: int) -> None:
        document = self._document(step)
        expected = None if self._model.documents[document][0] == actor else NotFound
        if await self._try(actor, lambda uow: uow.documents.delete(document), expected):
            del self._model.documents[document]

    async def _lock_out_or_let_in(self, step: Step, actor: int) -> None:
        active = actor in self._model.locked_out
        async with self._database.unit_of_work(SYSTEM) as uow:
            await uow.users.set_active(actor, active=active)
            await uow.commit()
        self._model.locked_out ^= {actor}

    async def _provide(self, step: Step, actor: int) -> None:
        """Log in with an identity provider, which names any of its groups."""
        known = [f"{self._tag} provided {number}" for number in range(PROVIDED)]
        names = [name for bit, name in enumerate(known) if step.group >> bit & 1]
        async with self._database.unit_of_work(SYSTEM) as uow:
            await uow.groups.sync_from_provider(actor, names)
            await uow.commit()
        async with self._database.unit_of_work(AccessScope(user_id=actor)) as uow:
            mine = {each.name: each.id for each in (await uow.groups.list(limit=100)).items}
        for name in names:
            self._model.provided.setdefault(name, mine[name])
            self._model.members.setdefault(mine[name], {})[actor] = "member"
        for name, group in self._model.provided.items():
            if name not in names and actor in self._model.members[group]:
                self._model.end_membership(group, actor)

    def _group(self, step: Step) -> int:
        return sorted(self._model.members)[step.group % len(self._model.members)]

    def _document(self, step: Step) -> int:
        return sorted(self._model.documents)[step.document % len(self._model.documents)]


ACTS = [
    *("add", "add", "share", "share", "remove", "change role"),  # what others hang on, more often
    *("make group", "upload", "unshare", "delete group", "delete document"),
    *("lock out or let in", "provide"),
]
STEPS = st.lists(
    st.builds(
        Step,
        act=st.sampled_from(ACTS),
        actor=st.integers(0, USERS - 1),
        other=st.integers(0, USERS - 1),
        group=st.integers(0, 3),
        document=st.integers(0, 3),
        role=st.sampled_from(["member", "admin"]),
    ),
    min_size=5,
    max_size=20,
)
BEGINNING = [
    *(Step(act="make group", actor=user) for user in (0, 1)),
    *(Step(act="upload", actor=user) for user in range(USERS)),
    Step(act="add", actor=0, other=1, role="admin"),
]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
@example(
    steps=[
        Step(act="share", actor=1, document=1),
        Step(act="lock out or let in", actor=0),
        Step(act="remove", actor=1, other=1),
        Step(act="remove", actor=1, other=0),
        Step(act="delete group", actor=1),
    ]
)
@example(
    steps=[
        Step(act="add", actor=0, other=2),
        Step(act="share", actor=2, document=2),
        Step(act="remove", actor=2, other=1),
        Step(act="remove", actor=2, other=2),
    ]
)
@example(
    steps=[
        Step(act="provide", actor=2, group=1),
        Step(act="provide", actor=1, group=3),
        Step(act="share", actor=2, document=2, group=2),
        Step(act="provide", actor=2, group=2),
    ]
)
async def test_what_is_visible_is_what_the_model_says(
    database: Database, steps: list[Step]
) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        users = [await uow.users.create(f"user-{secrets.token_hex(8)}") for _ in range(USERS)]
        await uow.commit()
    world = World(database, [user.id for user in users])
    for step in [*BEGINNING, *steps]:
        await world.take(step)
