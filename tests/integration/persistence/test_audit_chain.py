"""The sealed audit trail, attacked by somebody who owns the database but not the keys."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from persistence import audit_chain
from persistence.access import AccessScope
from persistence.audit_chain import AuditChain
from persistence.audit_verification import GRACE, ChainReport, verify_chain
from persistence.database import Database, open_database
from persistence.encryption import KeyRing
from persistence.errors import EncryptionKeyError
from persistence.models import audit_log, audit_seals
from persistence.pool import IDLE_TRANSACTION_SECONDS
from persistence.records import AuditEntry
from persistence.repositories.audit_seals import SealLink
from persistence.settings import DatabaseSettings
from tests.fixtures.rows import SYSTEM

# Another value for each column, as SQL over the one that is there.
CHANGES = {
    "created_at": "created_at - interval '1 microsecond'",
    "action": "'user.read'",
    "resource_type": "'session'",
    "resource_hash": "repeat('0', 64)",
    "success": "NOT success",
    "actor_id": "actor_id + 1",
    "actor_name": "NULL",
    "group_id": "1",
    "ip": "'192.0.2.9'",
    "correlation_hash": "NULL",
    "body": "(SELECT body FROM audit_log WHERE id = (SELECT max(id) FROM audit_log))",
}
SEAL_CHANGES = {
    "position": "position + 1000",
    "entry_ids": "entry_ids[2:] || entry_ids[1]",
    "entry_digests": "array_replace(entry_digests, entry_digests[1], entry_digests[2])",
    "digest": "sha256(digest)",
    "sealed_at": "sealed_at - interval '1 microsecond'",
}


async def write_entries(database: Database, count: int, *, action: str = "user.create") -> None:
    """Write entries, all with different bodies."""
    async with database.unit_of_work(SYSTEM) as uow:
        for number in range(count):
            await uow.audit.record(
                AuditEntry(
                    action=action,
                    resource_type="user",
                    resource_id=str(number),
                    actor_id=number,
                    actor_name="anna",
                    ip="192.0.2.1",
                    correlation_id=f"request-{number}",
                    details={"number": number},
                )
            )
        await uow.commit()


async def seal_all(database: Database, key_ring: KeyRing) -> SealLink:
    """Seal what waits; return the end of the chain."""
    chain = AuditChain(database, key_ring)
    await chain.catch_up()
    head = await chain.head()
    assert head is not None
    return head


@pytest.fixture
async def trail(database: Database, key_ring: KeyRing) -> SealLink:
    """Three seals over three entries each."""
    for _ in range(3):
        await write_entries(database, 3)
        head = await seal_all(database, key_ring)
    return head


@pytest.fixture
async def owner(database: Database, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody for whom the triggers do not fire."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


async def entry_at(owner: asyncpg.Connection, position: int, index: int) -> int:
    ids = await owner.fetchval("SELECT entry_ids FROM audit_seals WHERE position = $1", position)
    return int(ids[index])


@asynccontextmanager
async def another_replica(url: str, key_ring: KeyRing, folder: Path) -> AsyncIterator[Database]:
    settings = DatabaseSettings(url=SecretStr(url))
    async with open_database(settings, key_ring=key_ring, data_dir=folder) as opened:
        yield opened


def fault_of(report: ChainReport) -> tuple[str, int | None, int | None]:
    assert report.first_fault is not None
    fault = report.first_fault
    return fault.sentence, fault.position, fault.entry_id


async def test_a_trail_that_nobody_touched_is_whole(
    database: Database, key_ring: KeyRing, trail: SealLink
) -> None:
    await write_entries(database, 2)
    report = await verify_chain(database, key_ring, since=trail)
    assert report.is_whole
    assert (report.seals, report.entries, report.waiting, report.head) == (3, 9, 2, trail)


async def test_a_trail_without_entries_is_whole(database: Database, key_ring: KeyRing) -> None:
    report = await verify_chain(database, key_ring)
    assert (report.is_whole, report.seals, report.head) == (True, 0, None)


def test_the_attacks_below_know_every_column() -> None:
    assert CHANGES.keys() | {"id"} == set(audit_log.c.keys())  # another id is a deletion
    assert SEAL_CHANGES.keys() == set(audit_seals.c.keys())


@pytest.mark.parametrize("column", CHANGES)
async def test_a_changed_entry_is_found(
    database: Database, key_ring: KeyRing, trail: SealLink, owner: asyncpg.Connection, column: str
) -> None:
    victim = await entry_at(owner, 2, 1)
    await owner.execute(
        f"UPDATE audit_log SET {column} = {CHANGES[column]} WHERE id = $1",
        victim,
    )
    report = await verify_chain(database, key_ring)
    assert fault_of(report) == (f"the entry {victim} was changed", 2, victim)
    assert report.faults == 1


async def test_a_deleted_entry_is_found(
    database: Database, key_ring: KeyRing, trail: SealLink, owner: asyncpg.Connection
) -> None:
    victim = await entry_at(owner, 2, 1)
    await owner.execute("DELETE FROM audit_log WHERE id = $1", victim)
    report = await verify_chain(database, key_ring)
    assert fault_of(report) == (f"the entry {victim} was deleted", 2, victim)
    assert report.faults == 1


async def test_an_entry_that_was_inserted_past_the_trigger_is_found(
    database: Database, key_ring: KeyRing, trail: SealLink, owner: asyncpg.Connection
) -> None:
    inserted = await owner.fetchval(
        "INSERT INTO audit_log (action, resource_type, success, body) "
        "SELECT action, resource_type, success, body FROM audit_log LIMIT 1 RETURNING id"
    )
    report = await verify_chain(database, key_ring)
    sentence = f"the entry {inserted} has no seal and waits for none"
    assert fault_of(report) == (sentence, None, inserted)


async def test_an_entry_that_somebody_without_the_keys_has_sealed_is_found(
    database: Database, key_ring: KeyRing, trail: SealLink, database_url: str
) -> None:
    stranger = await asyncpg.connect(database_url)
    inserted = await stranger.fetchval(
        "INSERT INTO audit_log (action, resource_type, success, body) "
        "SELECT 'user.delete', resource_type, success, body FROM audit_log LIMIT 1 RETURNING id"
    )
    await stranger.close()
    await write_entries(database, 1)

    await seal_all(database, key_ring)  # it stalls nothing

    report = await verify_chain(database, key_ring)
    sentence = f"the entry {inserted} was not written by this installation"
    assert fault_of(report) == (sentence, 4, inserted)
    assert (report.entries, report.waiting, report.faults) == (11, 0, 1)


async def test_an_entry_that_was_deleted_before_it_was_sealed_is_found(
    database: Database, key_ring: KeyRing, trail: SealLink, owner: asyncpg.Connection
) -> None:
    await write_entries(database, 2)
    victim = await owner.fetchval("SELECT min(entry_id) FROM audit_unsealed")
    await owner.execute("DELETE FROM audit_log WHERE id = $1", victim)
    await seal_all(database, key_ring)  # it stalls nothing
    report = await verify_chain(database, key_ring)
    assert fault_of(report) == (
        f"the entry {victim} was deleted before it was sealed",
        None,
        victim,
    )


@pytest.mark.parametrize(("age", "is_fault"), [("1 minute", False), ("1 hour", True)])
async def test_an_entry_that_the_seals_passed_over_is_found_after_a_grace(
    database: Database,
    key_ring: KeyRing,
    trail: SealLink,
    owner: asyncpg.Connection,
    age: str,
    is_fault: bool,
) -> None:
    await write_entries(database, 2)
    late = await owner.fetchval("SELECT min(entry_id) FROM audit_unsealed")
    await owner.execute("DELETE FROM audit_unsealed WHERE entry_id = $1", late)
    await seal_all(database, key_ring)
    await owner.execute("INSERT INTO audit_unsealed VALUES ($1)", late)
    await owner.execute(
        f"UPDATE audit_log SET created_at = created_at - interval '{age}' WHERE id = $1",
        late,
    )
    report = await verify_chain(database, key_ring)
    assert report.is_whole is not is_fault
    if is_fault:
        assert fault_of(report) == (f"the entry {late} was passed over by the seals", None, late)


@pytest.mark.parametrize("column", SEAL_CHANGES)
async def test_a_changed_seal_is_found(
    database: Database, key_ring: KeyRing, trail: SealLink, owner: asyncpg.Connection, column: str
) -> None:
    await owner.execute(
        f"UPDATE audit_seals SET {column} = {SEAL_CHANGES[column]} WHERE position = 2"
    )
    report = await verify_chain(database, key_ring)
    sentence, position, _ = fault_of(report)
    assert "the seal at position 2" in sentence
    assert position == 2


async def test_a_removed_seal_is_found(
    database: Database, key_ring: KeyRing, trail: SealLink, owner: asyncpg.Connection
) -> None:
    await owner.execute("DELETE FROM audit_seals WHERE position = 2")
    report = await verify_chain(database, key_ring)
    assert fault_of(report) == ("the seal at position 2 is missing", 2, None)


async def test_seals_in_another_order_are_found(
    database: Database, key_ring: KeyRing, trail: SealLink, owner: asyncpg.Connection
) -> None:
    for before, after in ((2, 9), (3, 2), (9, 3)):
        await owner.execute(
            "UPDATE audit_seals SET position = $2 WHERE position = $1", before, after
        )
    sentence, position, _ = fault_of(await verify_chain(database, key_ring))
    assert "does not follow" in sentence
    assert position == 2


async def test_seals_and_entries_that_were_cut_off_are_found_by_who_has_seen_the_head(
    database: Database, key_ring: KeyRing, trail: SealLink, owner: asyncpg.Connection
) -> None:
    await owner.execute(
        "DELETE FROM audit_log WHERE id IN (SELECT unnest(entry_ids) FROM audit_seals "
        "WHERE position = 3)"
    )
    await owner.execute("DELETE FROM audit_seals WHERE position = 3")
    cut = await verify_chain(database, key_ring, since=trail)
    sentence, position, _ = fault_of(cut)
    assert sentence.endswith("its end was cut off")
    assert position == 2

    await write_entries(database, 3)
    await seal_all(database, key_ring)  # the chain has grown again
    regrown = await verify_chain(database, key_ring, since=trail)
    assert fault_of(regrown) == ("the seal at position 3 is not the one that was seen", 3, None)


async def test_seals_that_were_cut_off_alone_are_found_by_anybody(
    database: Database, key_ring: KeyRing, trail: SealLink, owner: asyncpg.Connection
) -> None:
    first = await entry_at(owner, 3, 0)
    await owner.execute("DELETE FROM audit_seals WHERE position = 3")
    report = await verify_chain(database, key_ring)
    assert fault_of(report) == (f"the entry {first} has no seal and waits for none", None, first)
    assert report.faults == 3


async def test_a_seal_of_other_keys_is_found(
    database: Database, key_ring: KeyRing, trail: SealLink
) -> None:
    stranger = KeyRing([KeyRing.generate_key()])
    await write_entries(database, 1)
    await seal_all(database, stranger)
    sentence, position, _ = fault_of(await verify_chain(database, key_ring))
    assert "the seal at position 4" in sentence
    assert position == 4


async def test_other_keys_than_the_trails_cannot_tell(
    database_url: str, trail: SealLink, tmp_path: Path
) -> None:
    with pytest.raises(EncryptionKeyError, match="other keys"):
        async with another_replica(database_url, KeyRing([KeyRing.generate_key()]), tmp_path):
            pass


async def test_the_chain_stays_whole_when_a_new_key_is_put_in_front(
    database_url: str, tmp_path: Path
) -> None:
    first, second = KeyRing.generate_key(), KeyRing.generate_key()
    old, new = KeyRing([first]), KeyRing([second, first])
    async with another_replica(database_url, old, tmp_path) as database:
        await write_entries(database, 2)
        await seal_all(database, old)
    async with another_replica(database_url, new, tmp_path) as database:
        await write_entries(database, 2)
        await seal_all(database, new)
        report = await verify_chain(database, new)
    assert (report.is_whole, report.entries) == (True, 4)


async def test_faults_are_counted_beyond_the_first(
    database: Database, key_ring: KeyRing, trail: SealLink, owner: asyncpg.Connection
) -> None:
    await owner.execute("UPDATE audit_log SET ip = 'elsewhere'")
    report = await verify_chain(database, key_ring)
    assert (report.faults, report.entries, report.seals) == (9, 9, 3)


async def test_entries_of_a_transaction_that_ends_late_are_sealed_when_it_ends(
    database: Database, key_ring: KeyRing
) -> None:
    async with database.unit_of_work(SYSTEM) as slow:
        await slow.audit.record(AuditEntry(action="user.create", resource_type="user"))
        await write_entries(database, 2)
        await seal_all(database, key_ring)
        assert (await verify_chain(database, key_ring)).entries == 2
        await slow.commit()
    await seal_all(database, key_ring)
    report = await verify_chain(database, key_ring)
    assert (report.is_whole, report.entries, report.seals) == (True, 3, 2)


async def test_a_backlog_is_sealed_in_bounded_batches(
    database: Database, key_ring: KeyRing, owner: asyncpg.Connection
) -> None:
    count = 2 * audit_chain.BATCH_ENTRIES + 1
    await write_entries(database, count)
    await seal_all(database, key_ring)
    lengths = await owner.fetch(
        "SELECT cardinality(entry_ids) AS n FROM audit_seals ORDER BY position"
    )
    assert [row["n"] for row in lengths] == [audit_chain.BATCH_ENTRIES] * 2 + [1]
    assert (await verify_chain(database, key_ring)).is_whole


async def test_two_replicas_write_and_seal_at_once_and_make_one_chain(
    database: Database, database_url: str, key_ring: KeyRing, tmp_path: Path
) -> None:
    async def write(replica: Database) -> None:
        for _ in range(20):
            await write_entries(replica, 2)

    async def seal(replica: Database) -> None:
        chain = AuditChain(replica, key_ring)
        while not written.is_set():
            await chain.seal_batch()

    written = asyncio.Event()
    async with another_replica(database_url, key_ring, tmp_path) as other:
        sealing = [asyncio.create_task(seal(replica)) for replica in (database, other, other)]
        await asyncio.gather(*(write(replica) for replica in (database, other, database, other)))
        written.set()
        await asyncio.gather(*sealing)
    await seal_all(database, key_ring)
    report = await verify_chain(database, key_ring)
    assert report.is_whole, report.first_fault
    assert (report.entries, report.waiting) == (160, 0)


async def test_one_process_at_a_time_seals_and_the_others_come_back(
    database: Database, key_ring: KeyRing
) -> None:
    await write_entries(database, 1)
    chain = AuditChain(database, key_ring)
    async with database.unit_of_work(SYSTEM) as first:
        assert await first.audit_seals.claim() is not None
        batch = await chain.seal_batch()
        assert (batch.entries, batch.more) == (0, True)
    batch = await chain.seal_batch()
    assert (batch.entries, batch.more) == (1, False)


async def test_a_sealer_that_dies_half_way_leaves_the_entries_to_the_next(
    database: Database, key_ring: KeyRing
) -> None:
    await write_entries(database, 1)
    chain = AuditChain(database, key_ring)
    async with database.unit_of_work(SYSTEM) as dying:
        now = await dying.audit_seals.claim()
        assert now is not None
        [entry] = await dying.audit_seals.waiting(10)
        seal = audit_chain.make_seal(
            audit_chain.GENESIS,
            [entry.entry_id],
            [entry.digest],
            sealed_at=now,
            key_ring=key_ring,
        )
        await dying.audit_seals.add(seal)
    assert (await chain.seal_batch()).entries == 1
    assert (await verify_chain(database, key_ring)).is_whole


async def test_entries_from_before_there_were_seals_are_sealed_like_others(
    database: Database, key_ring: KeyRing, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    body = key_ring.encrypt_json({"resource_id": "7"}, context="audit_log.body")
    await connection.execute(
        "INSERT INTO audit_log (action, resource_type, success, body) "
        "VALUES ('user.create', 'user', true, $1)",
        body,
    )
    await connection.close()
    await seal_all(database, key_ring)
    assert (await verify_chain(database, key_ring)).is_whole


@pytest.mark.parametrize("table", ["audit_log", "audit_seals"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
async def test_the_trail_is_only_ever_added_to_by_right_and_by_trigger(
    database: Database, database_url: str, trail: SealLink, table: str, change: str
) -> None:
    column = "action" if table == "audit_log" else "digest"
    statement = change.format(table, column, column)
    connection = await asyncpg.connect(database_url)
    with pytest.raises(asyncpg.RaiseError, match="only ever added to"):
        await connection.execute(statement)
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE youworker_app")
        await connection.execute(SYSTEM.sql_settings)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(statement)
    await connection.close()


@pytest.mark.parametrize("scope", [AccessScope(user_id=1), AccessScope(user_id=1, is_root=True)])
async def test_nobody_but_the_system_sees_what_waits_or_adds_a_seal(
    database: Database, database_url: str, trail: SealLink, scope: AccessScope
) -> None:
    await write_entries(database, 1)
    connection = await asyncpg.connect(database_url)
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE youworker_app")
        await connection.execute(scope.sql_settings)
        assert await connection.fetchval("SELECT count(*) FROM audit_unsealed") == 0
        assert await connection.execute("DELETE FROM audit_unsealed") == "DELETE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(
                    "INSERT INTO audit_seals (position, entry_ids, entry_digests, digest) "
                    "VALUES (99, '{}', '{}', '')"
                )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute("INSERT INTO audit_unsealed VALUES (1)")
    await connection.close()


def test_the_grace_is_longer_than_any_transaction_may_idle() -> None:
    assert timedelta(seconds=IDLE_TRANSACTION_SECONDS) < GRACE
