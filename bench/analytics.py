"""How long figures take the more there is to count.

    python -m bench.analytics [--database-url URL] [--messages 1000000] [--users 1000]

Messages are written as rows of the real table, with the triggers that count them, in steps that
double up to the number asked for; each is one of a year, of one of the users, and has a session, a
call of a model and one of a tool for every so many. At each step three questions are put: a year of
everybody, a month of everybody and a year of one user, at once after the writing and when the job
has added it all up. The floor is the same count made from the tables themselves, without sums.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import asyncpg
from pydantic import SecretStr

from bench.postgres import open_server
from persistence.access import AccessScope
from persistence.database import Database, open_database
from persistence.encryption import KeyRing
from persistence.settings import DatabaseSettings
from persistence.usage_records import UsageReport, UsageSpan
from server.analytics.rolling import roll_up

STEPS = 4
"""How often the number of messages doubles."""
QUESTIONS = 40
DAYS = 365
LAST = date(2025, 12, 31)
YEAR = UsageSpan(first=LAST - timedelta(days=DAYS - 1), last=LAST, period="month")
MONTH = UsageSpan(first=LAST - timedelta(days=29), last=LAST)
PER_SESSION, PER_CALL = 10, 2
_SOME_TIME = "timestamptz '2025-01-01 00:00+00' + random() * interval '365 days'"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What came of one step; medians and 95th percentiles in milliseconds."""

    messages: int
    rows_of_sums: int
    written_per_second: float
    without_counting: float
    """How many more are written in a second without triggers: over those written with them."""
    rolled_up_per_second: float
    year_of_all: tuple[float, float]
    month_of_all: tuple[float, float]
    year_of_one: tuple[float, float]
    recount_of_all: float
    """The same year from the tables themselves."""


async def measure(url: str, folder: Path, options: argparse.Namespace) -> list[Figures]:
    """Measures every step on one database."""
    settings = DatabaseSettings(url=SecretStr(url))
    key_ring = KeyRing([KeyRing.generate_key()])
    async with open_database(settings, key_ring=key_ring, data_dir=folder) as database:
        connection = await asyncpg.connect(url)
        try:
            users = await _make_users(connection, options.users)
            steps = []
            written = 0
            for step in range(STEPS):
                target = options.messages >> (STEPS - 1 - step)
                steps.append(await _step(database, connection, users, target - written, target))
                written = target
            return steps
        finally:
            await connection.close()


async def _make_users(connection: asyncpg.Connection, count: int) -> list[int]:
    rows = await connection.fetch(
        "INSERT INTO users (username, username_key) SELECT 'bench-' || n, 'bench-' || n"
        " FROM generate_series(1, $1) n RETURNING id",
        count,
    )
    await connection.execute(
        "INSERT INTO chat_sessions (user_id, session_hash, session_id, thread_id, created_at)"
        f" SELECT id, 'first', '', gen_random_uuid(), {_SOME_TIME} FROM users"
    )
    await connection.execute(
        "INSERT INTO runs (id, chat_session_id, user_id, model, status, lease_owner, lease_until)"
        " SELECT gen_random_uuid(), id, user_id, 'a model', 'queued', '', now()"
        " FROM chat_sessions"
    )
    return [row["id"] for row in rows]


async def _step(
    database: Database, connection: asyncpg.Connection, users: list[int], more: int, total: int
) -> Figures:
    trial = min(more, 20_000)
    plain = await _write(connection, trial, counted=False)
    counted = await _write(connection, trial, counted=True)
    seconds = await _write(connection, more - trial, counted=True) if more > trial else 0.0
    began = time.perf_counter()
    rolled = await roll_up(database)
    roll_seconds = time.perf_counter() - began
    await connection.execute("ANALYZE usage_days; ANALYZE usage_totals; ANALYZE usage_facts")
    root = AccessScope(user_id=users[0], is_root=True)
    one = AccessScope(user_id=users[len(users) // 2])

    async def of_all(span: UsageSpan) -> UsageReport:
        async with database.unit_of_work(root) as uow:
            return await uow.usage.of_all(span)

    async def own() -> UsageReport:
        async with database.unit_of_work(one) as uow:
            return await uow.usage.own(YEAR)

    began = time.perf_counter()
    await connection.fetch(_RECOUNT)
    recount = time.perf_counter() - began
    return Figures(
        messages=total,
        rows_of_sums=await connection.fetchval("SELECT count(*) FROM usage_days"),
        written_per_second=round(more / (counted + seconds)),
        without_counting=round(counted / plain, 2),
        rolled_up_per_second=round(rolled / roll_seconds),
        year_of_all=await _ask(lambda: of_all(YEAR)),
        month_of_all=await _ask(lambda: of_all(MONTH)),
        year_of_one=await _ask(own),
        recount_of_all=round(recount * 1000, 1),
    )


async def _write(connection: asyncpg.Connection, count: int, *, counted: bool) -> float:
    """Writes so many messages and what belongs to them; without counting, takes them back."""
    began = time.perf_counter()
    transaction = connection.transaction()
    await transaction.start()
    if not counted:
        await connection.execute("SET LOCAL session_replication_role = replica")
    for statement in _WRITES:
        await connection.execute(statement, count)
    if counted:
        await transaction.commit()
    else:
        await transaction.rollback()
    return time.perf_counter() - began


_A_RUN = (
    "(SELECT id AS run, chat_session_id AS session, user_id AS owner,"
    " row_number() OVER (ORDER BY id) AS place, count(*) OVER () AS many FROM runs) r"
    " JOIN generate_series(1, {}) n ON r.place = 1 + (n * 7919) % r.many"
)
_WRITES = (
    (
        "INSERT INTO messages (chat_session_id, run_id, role, body, created_at)"
        f" SELECT session, run, 'user', '', {_SOME_TIME} FROM {_A_RUN.format('$1::bigint')}"
    ),
    (
        "INSERT INTO chat_sessions (user_id, session_hash, session_id, thread_id, created_at)"
        f" SELECT owner, gen_random_uuid()::text, '', gen_random_uuid(), {_SOME_TIME}"
        f" FROM {_A_RUN.format(f'$1::bigint / {PER_SESSION}')}"
    ),
    (
        "INSERT INTO model_calls (user_id, run_id, model, purpose, tokens_in, tokens_out,"
        " estimated, latency_ms, created_at)"
        f" SELECT owner, run, 'model ' || n % 3, 'answer', 900, 80, false, 700, {_SOME_TIME}"
        f" FROM {_A_RUN.format(f'$1::bigint / {PER_CALL}')}"
    ),
    (
        "INSERT INTO tool_runs (run_id, call_id, tool, body, status, latency_ms, started_at)"
        " SELECT run, gen_random_uuid()::text, 'server.tool ' || n % 20, '', 'end', 12,"
        f" {_SOME_TIME}"
        f" FROM {_A_RUN.format(f'$1::bigint / {PER_CALL}')}"
    ),
)
_RECOUNT = """
SELECT 'message', role, date_trunc('month', created_at) AS begins, count(*), 0 FROM messages
GROUP BY 2, 3
UNION ALL SELECT 'session', '', date_trunc('month', created_at), count(*), 0 FROM chat_sessions
GROUP BY 3
UNION ALL SELECT 'model', model, date_trunc('month', created_at), count(*),
    sum(tokens_in + tokens_out) FROM model_calls GROUP BY 2, 3
UNION ALL SELECT 'tool', tool, date_trunc('month', started_at), count(*), sum(latency_ms)
FROM tool_runs GROUP BY 2, 3
"""


async def _ask(question: Callable[[], Awaitable[UsageReport]]) -> tuple[float, float]:
    taken = []
    for _ in range(QUESTIONS):
        began = time.perf_counter()
        await question()
        taken.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(taken), 1), round(statistics.quantiles(taken, n=20)[-1], 1)


def main() -> None:
    """Prints the figures of every step as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.analytics", description=__doc__)
    parser.add_argument("--database-url")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=1_000)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_server(options.database_url, Path(folder)) as url,
    ):
        for figures in asyncio.run(measure(url, Path(folder), options)):
            print(json.dumps(asdict(figures)))


if __name__ == "__main__":
    main()
