"""What was used, against a recount of everything that happened."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import AccessDenied, DatabaseError, NotFound
from persistence.identifiers import new_uuid7
from persistence.models.usage import FIGURES
from persistence.pool import APP_ROLE
from persistence.usage_records import Usage, UsageReport, UsageSpan
from tests.fixtures.rows import SYSTEM, create_session, create_user, start_run

BEGIN = datetime(2025, 12, 28, tzinfo=UTC)
USERS = 3
ROOT = AccessScope(user_id=1, is_root=True)


@dataclass(frozen=True, kw_only=True)
class Act:
    """Something that somebody used, or the job's turn."""

    kind: str
    user: int = 0
    hours: int = 0
    name: str = "a"
    failed: bool = False
    amounts: tuple[int, int, int] = (0, 0, 0)

    @property
    def at(self) -> datetime:
        return BEGIN + timedelta(hours=self.hours)


acts = st.builds(
    Act,
    kind=st.sampled_from(["session", "message", "run", "model", "tool", "file", "job", "copy"]),
    user=st.integers(0, USERS - 1),
    hours=st.integers(0, 24 * 40),
    name=st.sampled_from(["a", "b"]),
    failed=st.booleans(),
    amounts=st.tuples(*[st.integers(0, 10**6)] * 3),
)
spans = st.builds(
    lambda start, length, period: UsageSpan(
        first=BEGIN.date() + timedelta(days=start),
        last=BEGIN.date() + timedelta(days=start + length),
        period=period,
    ),
    st.integers(-2, 42),
    st.integers(0, 42),
    st.sampled_from(["day", "week", "month"]),
)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What an act should count as."""

    user: int
    day: date
    kind: str
    name: str
    figures: dict[str, int]


@dataclass
class World:
    """Does acts as the product's statements would leave them, and remembers them."""

    connection: asyncpg.Connection
    database: Database
    users: list[int]
    places: list[tuple[int, Any, Any]]
    """Of each user a session, a run and an ingestion, to which things belong."""
    facts: list[Fact] = field(default_factory=list)

    async def do(self, act: Act) -> None:
        if act.kind == "job":
            async with self.database.unit_of_work(SYSTEM) as uow:
                await uow.usage.roll_up(limit=1 + act.hours % 7)
                await uow.commit()
        else:
            await getattr(self, f"_{act.kind}")(act)

    def _note(self, act: Act, name: str, **figures: int) -> None:
        self.facts.append(
            Fact(
                user=act.user,
                day=act.at.date(),
                kind=act.kind,
                name=name,
                figures={"count": 1, **figures},
            )
        )

    async def _session(self, act: Act) -> None:
        await self.connection.execute(
            "INSERT INTO chat_sessions (user_id, session_hash, session_id, thread_id, created_at)"
            " VALUES ($1, $2, '', gen_random_uuid(), $3)",
            self.users[act.user],
            secrets.token_hex(8),
            act.at,
        )
        self._note(act, "")

    async def _message(self, act: Act) -> None:
        role = "user" if act.name == "a" else "assistant"
        session, run, _ = self.places[act.user]
        await self._add_message(session, run, role, act.at)
        self._note(act, role)

    async def _copy(self, act: Act) -> None:
        session, _, _ = self.places[act.user]
        await self._add_message(session, None, "user", act.at)

    async def _add_message(self, session: int, run: Any, role: str, at: datetime) -> None:
        await self.connection.execute(
            "INSERT INTO messages (chat_session_id, run_id, role, body, created_at)"
            " VALUES ($1, $2, $3, '', $4)",
            session,
            run,
            role,
            at,
        )

    async def _run(self, act: Act) -> None:
        status = "error" if act.failed else "success"
        before, milliseconds, _ = act.amounts
        run = new_uuid7()
        await self.connection.execute(
            "INSERT INTO runs (id, chat_session_id, user_id, model, status, lease_owner,"
            " lease_until, worked_seconds, taken_at)"
            " VALUES ($1, $2, $3, 'a', 'queued', '', now(), $4, $5)",
            run,
            self.places[act.user][0],
            self.users[act.user],
            before,
            act.at - timedelta(milliseconds=milliseconds),
        )
        for _ in range(2):  # what is changed afterwards counts no second time
            await self.connection.execute(
                "UPDATE runs SET status = $2, finished_at = $3 WHERE id = $1", run, status, act.at
            )
        worked = 1000 * before + milliseconds
        self._note(act, status, failures=int(act.failed), milliseconds=worked)

    async def _model(self, act: Act) -> None:
        _, run, _ = self.places[act.user]
        tokens_in, tokens_out, latency_ms = act.amounts
        await self.connection.execute(
            "INSERT INTO model_calls (user_id, run_id, model, purpose, tokens_in, tokens_out,"
            " estimated, latency_ms, created_at)"
            " VALUES ($1, $2, $3, 'answer', $4, $5, false, $6, $7)",
            self.users[act.user],
            run if act.failed else None,
            act.name,
            *act.amounts,
            act.at,
        )
        self._note(
            act, act.name, tokens_in=tokens_in, tokens_out=tokens_out, milliseconds=latency_ms
        )

    async def _tool(self, act: Act) -> None:
        _, run, _ = self.places[act.user]
        call, status = secrets.token_hex(8), "error" if act.failed else "end"
        await self.connection.execute(
            "INSERT INTO tool_runs (run_id, call_id, tool, body, status, latency_ms, started_at)"
            " VALUES ($1, $2, $3, '', 'begun', 0, $4)",
            run,
            call,
            act.name,
            act.at,
        )
        await self.connection.execute(
            "UPDATE tool_runs SET status = $2, latency_ms = $3 WHERE call_id = $1",
            call,
            status,
            act.amounts[0],
        )
        self._note(act, act.name, failures=int(act.failed), milliseconds=act.amounts[0])

    async def _file(self, act: Act) -> None:
        status = "failed" if act.failed else "indexed"
        chunks, size, milliseconds = act.amounts
        file = new_uuid7()
        await self.connection.execute(
            "INSERT INTO ingest_files (id, run_id, user_id, position, kind, body, changed,"
            " created_at) VALUES ($1, $2, $3, 0, 'upload', '', 0, $4)",
            file,
            self.places[act.user][2],
            self.users[act.user],
            act.at - timedelta(milliseconds=milliseconds),
        )
        await self.connection.execute(
            "UPDATE ingest_files SET status = $2, finished_at = $3, chunks = $4, size_bytes = $5"
            " WHERE id = $1",
            file,
            status,
            act.at,
            chunks,
            size,
        )
        self._note(
            act,
            status,
            failures=int(act.failed),
            chunks=chunks,
            bytes=size,
            milliseconds=milliseconds,
        )

    def recount(self, span: UsageSpan, users: set[int]) -> dict[tuple[Any, ...], dict[str, int]]:
        sums: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: dict.fromkeys(FIGURES, 0))
        for fact in self.facts:
            if fact.user in users and span.first <= fact.day <= span.last:
                for key in (
                    (fact.kind, fact.name, None),
                    (fact.kind, None, _begin_of(fact.day, span.period)),
                ):
                    for figure, amount in fact.figures.items():
                        sums[key][figure] += amount
        return dict(sums)


def _begin_of(day: date, period: str) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def as_sums(report: UsageReport) -> dict[tuple[Any, ...], dict[str, int]]:
    def figures(usage: Usage) -> dict[str, int]:
        return {name: getattr(usage, name) for name in FIGURES}

    return {
        (each.kind, each.name, each.begins): figures(each)
        for each in (*report.by_name, *report.by_period)
    }


async def make_world(database: Database, connection: asyncpg.Connection) -> World:
    users = [(await create_user(database)).id for _ in range(USERS)]
    places = []
    for user in users:
        scope = AccessScope(user_id=user)
        session = await create_session(database, scope)
        run = await start_run(database, scope, session)
        ingestion = new_uuid7()
        await connection.execute(
            "INSERT INTO ingest_runs (id, user_id, body) VALUES ($1, $2, '')", ingestion, user
        )
        places.append((session.id, run.id, ingestion))
    await connection.execute("TRUNCATE usage_facts, usage_days, usage_totals")
    return World(connection=connection, database=database, users=users, places=places)


@pytest.fixture
async def owner(database: Database, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that may write whatever rows a test needs; `database` makes the tables."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def world(database: Database, owner: asyncpg.Connection) -> World:
    return await make_world(database, owner)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(done=st.lists(acts, max_size=40), span=spans)
async def test_what_is_told_is_what_a_recount_says(
    database: Database, owner: asyncpg.Connection, done: list[Act], span: UsageSpan
) -> None:
    world = await make_world(database, owner)
    for act in done:
        await world.do(act)
    async with database.unit_of_work(ROOT) as uow:
        told = as_sums(await uow.usage.of_all(span))
    assert told == world.recount(span, set(range(USERS)))
    for number, user_id in enumerate(world.users):
        async with database.unit_of_work(AccessScope(user_id=user_id)) as uow:
            assert as_sums(await uow.usage.own(span)) == world.recount(span, {number})


WHOLE = UsageSpan(first=date(2025, 1, 1), last=date(2030, 1, 1), period="month")


def some_calls(number: int) -> list[Act]:
    return [
        Act(kind="model", user=each % USERS, hours=each, amounts=(each, 1, 2))
        for each in range(number)
    ]


async def test_jobs_of_several_replicas_add_each_fact_once(
    database: Database, world: World
) -> None:
    for act in some_calls(60):
        await world.do(act)

    async def roll_up() -> int:
        async with database.unit_of_work(SYSTEM) as uow:
            taken = await uow.usage.roll_up(limit=7)
            await uow.commit()
        return taken

    taken = [await asyncio.gather(*(roll_up() for _ in range(4))) for _ in range(5)]
    assert sum(map(sum, taken)) == 60
    async with database.unit_of_work(ROOT) as uow:
        told = as_sums(await uow.usage.of_all(WHOLE))
    assert told == world.recount(WHOLE, set(range(USERS)))


async def test_a_job_that_breaks_off_has_added_nothing(database: Database, world: World) -> None:
    for act in some_calls(9):
        await world.do(act)
    async with database.unit_of_work(SYSTEM) as uow:
        assert await uow.usage.roll_up(limit=5) == 5
    async with database.unit_of_work(ROOT) as uow:
        told = as_sums(await uow.usage.of_all(WHOLE))
    assert told == world.recount(WHOLE, set(range(USERS)))


@pytest.mark.parametrize("rolled", [True, False])
async def test_what_an_erased_account_has_used_counts_for_everybody_together_alone(
    database: Database, owner: asyncpg.Connection, world: World, *, rolled: bool
) -> None:
    for act in some_calls(9):
        await world.do(act)
    if rolled:
        await world.do(Act(kind="job", hours=6))
        await world.do(Act(kind="job", hours=6))
    await owner.execute("DELETE FROM users WHERE id = $1", world.users[0])
    await world.do(Act(kind="job", hours=6))
    async with database.unit_of_work(ROOT) as uow:
        told = as_sums(await uow.usage.of_all(WHOLE))
    assert told == world.recount(WHOLE, set(range(USERS)))
    assert not await owner.fetch("SELECT FROM usage_days WHERE user_id = $1", world.users[0])
    assert not await owner.fetch("SELECT FROM usage_facts WHERE user_id = $1", world.users[0])


async def test_nobody_but_root_is_told_of_everybody(
    database: Database, owner: asyncpg.Connection, world: World
) -> None:
    for act in [*some_calls(9), Act(kind="job", hours=4)]:
        await world.do(act)
    scope = AccessScope(user_id=world.users[0])
    async with database.unit_of_work(scope) as uow:
        with pytest.raises(AccessDenied):
            await uow.usage.of_all(WHOLE)
    async with owner.transaction():
        await owner.execute(f"SET LOCAL ROLE {APP_ROLE}; {scope.sql_settings}")
        assert not await owner.fetch("SELECT FROM usage_totals")
        for table in ("usage_days", "usage_facts"):
            rows = await owner.fetch(f"SELECT DISTINCT user_id FROM {table}")
            assert {row["user_id"] for row in rows} <= {scope.user_id}


async def test_only_the_system_adds_up(database: Database, world: World) -> None:
    async with database.unit_of_work(ROOT) as uow:
        with pytest.raises(DatabaseError):
            await uow.usage.roll_up(limit=1)


async def in_group(
    database: Database, admin: AccessScope, owner: asyncpg.Connection, *, others: list[int]
) -> int:
    async with database.unit_of_work(admin) as uow:
        group = await uow.groups.create("crew", "")
        for user_id in others:
            await uow.memberships.add(group.id, user_id)
        await uow.commit()
    await owner.execute("UPDATE group_members SET joined_at = $1", BEGIN + timedelta(days=10))
    return group.id


async def test_a_groups_admin_is_told_of_its_members_since_they_came_in(
    database: Database, owner: asyncpg.Connection, world: World, scope: AccessScope
) -> None:
    done = [
        Act(kind="model", user=0, hours=24 * 9),
        Act(kind="model", user=0, hours=24 * 10),
        Act(kind="tool", user=1, hours=24 * 11, name="b"),
        Act(kind="job", hours=1),
        Act(kind="model", user=2, hours=24 * 12),
    ]
    for act in done:
        await world.do(act)
    group_id = await in_group(database, scope, owner, others=world.users)
    async with database.unit_of_work(scope) as uow:
        told = as_sums(await uow.usage.of_group(group_id, WHOLE))
    recounted = world.recount(
        UsageSpan(first=BEGIN.date() + timedelta(days=10), last=WHOLE.last, period="month"),
        set(range(USERS)),
    )
    assert told == recounted


async def test_members_and_strangers_are_told_nothing_of_a_group(
    database: Database,
    owner: asyncpg.Connection,
    world: World,
    scope: AccessScope,
    other_scope: AccessScope,
) -> None:
    group_id = await in_group(database, scope, owner, others=world.users)
    for act in some_calls(3 * 24 * 11):
        await world.do(act)
    for asking in (other_scope, AccessScope(user_id=world.users[0])):
        async with database.unit_of_work(asking) as uow:
            with pytest.raises(NotFound):
                await uow.usage.of_group(group_id, WHOLE)


async def test_a_small_group_is_not_told_of(
    database: Database, owner: asyncpg.Connection, world: World, scope: AccessScope
) -> None:
    """Its figures would be those of a person."""
    group_id = await in_group(database, scope, owner, others=world.users[:2])
    await world.do(Act(kind="model", user=0, hours=24 * 12))
    async with database.unit_of_work(scope) as uow:
        assert await uow.usage.of_group(group_id, WHOLE) == UsageReport()
