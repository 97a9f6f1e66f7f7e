"""Buckets of tokens in a real PostgreSQL, drawn from by several replicas at once."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from persistence.autocommit import Autocommit
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.pool import APP_ROLE, open_pool
from persistence.rate_limits import BucketLevel, Quota, RateLimiter
from tests.fixtures.plaintext_scan import find_in_database

USER = Quota(per_minute=100, burst=120)
SLOW = Quota(per_minute=1, burst=120)
"""Gives nothing back while a test runs."""
WIDE = Quota(per_minute=1, burst=100_000)
ADDRESS = "192.0.2.7"


async def take(
    limiter: RateLimiter,
    *,
    user_id: int | None = 1,
    user: Quota = SLOW,
    address: str = ADDRESS,
    per_address: Quota = WIDE,
) -> BucketLevel:
    return await limiter.take(
        address=address, address_quota=per_address, user_id=user_id, user_quota=user
    )


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


def open_replica(database_url: str):
    return open_pool(
        database_url,
        max_size=8,
        statement_timeout_seconds=10,
        application_name="replica",
        role=APP_ROLE,
    )


async def test_two_replicas_let_exactly_the_burst_pass(
    database_url: str, key_ring: KeyRing, database: Database
):
    async with open_replica(database_url) as pool:
        other = RateLimiter(Autocommit(pool, pool_timeout_seconds=30), key_ring=key_ring)
        levels = await asyncio.gather(
            *(take(limiter) for _ in range(100) for limiter in (database.rate_limits, other))
        )
    assert sum(level.allowed for level in levels) == 120
    allowed = sorted(level.remaining for level in levels if level.allowed)
    assert allowed == list(range(120))


async def test_the_default_burst_is_taken_to_its_last_token(database: Database):
    levels = [await take(database.rate_limits, user=SLOW) for _ in range(121)]
    assert [level.allowed for level in levels] == [True] * 120 + [False]
    assert [level.remaining for level in levels] == [*range(119, -1, -1), 0]
    assert levels[-1].quota == SLOW
    assert 0 < levels[-1].retry_after_seconds <= 60
    assert levels[0].retry_after_seconds == 1


@pytest.mark.parametrize("per_minute", [7, 70, 99, 100, 1_000_000])
async def test_a_bucket_gives_what_it_holds_whatever_its_rate(database: Database, per_minute: int):
    quota = Quota(per_minute=per_minute, burst=30)
    levels = [await take(database.rate_limits, user=quota) for _ in range(30)]
    assert all(level.allowed for level in levels)


async def test_tokens_come_back_with_time(database: Database, owner: asyncpg.Connection):
    while (await take(database.rate_limits, user=USER)).allowed:
        pass
    await owner.execute("UPDATE rate_limits SET full_at = full_at - interval '6 s'")
    passed = 0
    while (await take(database.rate_limits, user=USER)).allowed:
        passed += 1
    assert 10 <= passed <= 12  # ten in six seconds, and what the test itself took


async def test_a_rest_fills_a_bucket_to_its_burst_and_no_further(
    database: Database, owner: asyncpg.Connection
):
    await take(database.rate_limits)
    await owner.execute("UPDATE rate_limits SET full_at = now() - interval '1 day'")
    assert (await take(database.rate_limits)).remaining == 119


async def test_a_clock_that_was_set_back_locks_nobody_out_for_long(
    database: Database, owner: asyncpg.Connection
):
    await take(database.rate_limits, user=USER)
    await owner.execute("UPDATE rate_limits SET full_at = now() + interval '1 day'")
    level = await take(database.rate_limits, user=USER, user_id=1)
    assert not level.allowed
    assert level.retry_after_seconds <= 60
    await owner.execute("UPDATE rate_limits SET full_at = full_at - interval '61 s'")
    assert (await take(database.rate_limits, user=USER)).allowed


async def test_a_bucket_that_holds_nothing_gives_nothing(owner: asyncpg.Connection):
    rows = [
        await owner.fetchrow("SELECT * FROM youworker_take_tokens('{a}', '{60}', '{0}')")
        for _ in range(2)
    ]
    assert [row["allowed"] for row in rows] == [False, False]


async def test_whom_one_bucket_refuses_does_not_empty_the_other(database: Database):
    small = Quota(per_minute=1, burst=2)
    for _ in range(10):
        await take(database.rate_limits, user=small)
    level = await take(database.rate_limits, user_id=None, per_address=Quota(per_minute=1, burst=4))
    assert (level.allowed, level.remaining) == (True, 1)

    for _ in range(10):
        await take(
            database.rate_limits, user_id=2, user=SLOW, address="192.0.2.8", per_address=small
        )
    assert (await take(database.rate_limits, user_id=2)).remaining == 117


async def test_the_bucket_nearest_to_empty_speaks(database: Database):
    few = Quota(per_minute=1, burst=5)
    assert (await take(database.rate_limits, per_address=few)).quota == few
    assert (await take(database.rate_limits, user=few, user_id=3)).quota == few


async def test_users_and_addresses_have_a_bucket_each(database: Database):
    one = Quota(per_minute=1, burst=1)
    assert (await take(database.rate_limits, user_id=1, user=one)).allowed
    assert (await take(database.rate_limits, user_id=2, user=one)).allowed
    assert not (await take(database.rate_limits, user_id=2, user=one, address="::9")).allowed
    for address in ("192.0.2.7", "192.0.2.8", "2001:db8::1", "2001:db8:0:1::1", "::1", "", "x"):
        level = await take(database.rate_limits, user_id=None, address=address, per_address=one)
        assert level.allowed is (address != ADDRESS), address


async def test_an_ipv6_customer_has_one_bucket_for_all_addresses(database: Database):
    one = Quota(per_minute=1, burst=1)
    for address, allowed in (("2001:db8::1", True), ("2001:db8::ffff:1", False)):
        level = await take(database.rate_limits, user_id=None, address=address, per_address=one)
        assert level.allowed is allowed


async def test_no_address_is_stored_in_clear(database: Database, database_url: str):
    await take(database.rate_limits)
    assert await find_in_database(database_url, ADDRESS) == []


async def test_full_buckets_are_forgotten_now_and_then(
    database_url: str, key_ring: KeyRing, owner: asyncpg.Connection
):
    async with open_replica(database_url) as pool:
        limiter = RateLimiter(
            Autocommit(pool, pool_timeout_seconds=30),
            key_ring=key_ring,
            takes_between_clearings=5,
        )
        for user_id in range(4):
            await take(limiter, user_id=user_id)
        await owner.execute("UPDATE rate_limits SET full_at = now() - interval '1 s'")
        assert await owner.fetchval("SELECT count(*) FROM rate_limits") == 5
        await take(limiter, user_id=4)
    assert await owner.fetchval("SELECT count(*) FROM rate_limits") == 2


async def test_takers_and_clearers_do_not_lock_each_other_out(
    database_url: str, key_ring: KeyRing, database: Database
):
    fast = Quota(per_minute=60_000_000, burst=1)  # full again after a microsecond
    async with open_replica(database_url) as pool:
        limiter = RateLimiter(
            Autocommit(pool, pool_timeout_seconds=30),
            key_ring=key_ring,
            takes_between_clearings=2,
        )
        await asyncio.gather(
            *(
                take(limiter, user_id=n % 3, user=fast, per_address=fast, address=f"10.0.0.{n % 2}")
                for n in range(300)
            )
        )
