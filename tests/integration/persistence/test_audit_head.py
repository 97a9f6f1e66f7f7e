"""What a server remembers of the chain, against the database's owner, who has not its folder."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from persistence.audit_chain import AuditChain
from persistence.audit_head import FILE, HeadMemory
from persistence.audit_verification import GRACE, verify_chain
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.errors import AuditChainBroken, AuditHeadUnusable
from persistence.records import AuditEntry
from persistence.repositories.audit_seals import SealLink
from tests.fixtures.rows import SYSTEM

FORGE = """
DELETE FROM audit_log WHERE action = 'user.create';
DELETE FROM audit_seals;
DELETE FROM audit_unsealed;
INSERT INTO audit_unsealed SELECT id FROM audit_log;
"""


@pytest.fixture
def memory(tmp_path: Path, key_ring: KeyRing) -> HeadMemory:
    return HeadMemory(tmp_path / "one", key_ring)


@pytest.fixture
async def owner(database: Database, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody for whom the triggers do not fire."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


async def write(database: Database, *actions: str) -> None:
    async with database.unit_of_work(SYSTEM) as uow:
        for action in actions:
            await uow.audit.record(AuditEntry(action=action, resource_type="user"))
        await uow.commit()


async def sealed(chain: AuditChain, database: Database, seals: int = 3) -> SealLink:
    """So many seals over a few entries each; the end of the chain."""
    for _ in range(seals):
        await write(database, "user.create", "user.list")
        await chain.seal_batch()
    head = await chain.head()
    assert head is not None
    return head


async def test_a_trail_that_was_made_of_what_was_left_is_not_sealed_again(
    database: Database, key_ring: KeyRing, memory: HeadMemory, owner: asyncpg.Connection
) -> None:
    chain = AuditChain(database, key_ring, memory)
    head = await sealed(chain, database)
    await owner.execute(FORGE)

    with pytest.raises(AuditChainBroken, match="position 3 that this server remembers"):
        await chain.seal_batch()
    report = await verify_chain(database, key_ring, memory=memory)

    assert report.first_fault is not None
    assert (report.seals, report.waiting, report.remembered) == (0, 3, head)
    assert report.first_fault.sentence == (
        "the seal at position 3 that this server remembers is not in the chain"
    )
    assert report.first_fault.position == 3


async def test_an_operator_may_take_the_chain_as_it_is(
    database: Database, key_ring: KeyRing, memory: HeadMemory, owner: asyncpg.Connection
) -> None:
    chain = AuditChain(database, key_ring, memory)
    await sealed(chain, database)
    await owner.execute(FORGE)
    memory.forget()
    assert (await chain.seal_batch()).entries == 3
    assert (await verify_chain(database, key_ring, memory=memory)).is_whole
    assert memory.recall() == await chain.head()


async def test_a_backdated_entry_does_not_open_even_before_it_is_sealed(
    database: Database, key_ring: KeyRing, memory: HeadMemory, owner: asyncpg.Connection
) -> None:
    chain = AuditChain(database, key_ring, memory)
    await write(database, "user.create")
    await owner.execute("UPDATE audit_log SET created_at = created_at - interval '3 days'")
    await chain.seal_batch()
    report = await verify_chain(database, key_ring, memory=memory)
    assert report.first_fault is not None
    assert report.first_fault.sentence.endswith("was not written by this installation")


@pytest.mark.parametrize("cut", ["position = 3", "position >= 1"])
async def test_a_chain_whose_end_was_cut_off_is_not_gone_on_with(
    database: Database,
    key_ring: KeyRing,
    memory: HeadMemory,
    owner: asyncpg.Connection,
    cut: str,
) -> None:
    chain = AuditChain(database, key_ring, memory)
    await sealed(chain, database)
    await owner.execute(
        f"DELETE FROM audit_log WHERE id IN (SELECT unnest(entry_ids) FROM audit_seals WHERE {cut})"
    )
    await owner.execute(f"DELETE FROM audit_seals WHERE {cut}")
    with pytest.raises(AuditChainBroken):  # even though nothing waits
        await chain.seal_batch()
    without = await verify_chain(database, key_ring)
    assert without.is_whole  # as far as anybody can tell who has seen nothing
    report = await verify_chain(database, key_ring, memory=memory)
    assert report.faults == 1


async def test_servers_with_folders_of_their_own_remember_each_others_seals(
    database: Database, key_ring: KeyRing, memory: HeadMemory, tmp_path: Path
) -> None:
    other = HeadMemory(tmp_path / "two", key_ring)
    head = await sealed(AuditChain(database, key_ring, memory), database)
    assert other.recall() is None
    idle = AuditChain(database, key_ring, other)
    assert (await idle.seal_batch()).entries == 0
    assert other.recall() == head

    later = await sealed(idle, database, 2)
    assert memory.recall() == head
    assert (await verify_chain(database, key_ring, memory=memory)).is_whole
    assert (await AuditChain(database, key_ring, memory).seal_batch()).entries == 0
    assert memory.recall() == later


async def test_servers_that_seal_in_turn_never_take_each_others_seals_for_forged(
    database: Database, key_ring: KeyRing, memory: HeadMemory, tmp_path: Path
) -> None:
    folders = (memory, memory, HeadMemory(tmp_path / "two", key_ring))

    async def seal(folder: HeadMemory) -> None:
        chain = AuditChain(database, key_ring, folder)
        for _ in range(10):
            await write(database, "user.create")
            await chain.seal_batch()

    await asyncio.gather(*(seal(folder) for folder in folders))
    await AuditChain(database, key_ring, memory).catch_up()
    for folder in folders:
        assert (await verify_chain(database, key_ring, memory=folder)).is_whole


async def test_a_seal_that_no_holder_of_the_keys_made_is_not_remembered(
    database: Database, key_ring: KeyRing, memory: HeadMemory, owner: asyncpg.Connection
) -> None:
    chain = AuditChain(database, key_ring, memory)
    head = await sealed(chain, database)
    await owner.execute(
        "INSERT INTO audit_seals SELECT 4, entry_ids, entry_digests, digest, now() "
        "FROM audit_seals WHERE position = 3"
    )
    await chain.seal_batch()
    assert memory.recall() == head


@pytest.mark.parametrize("change", ["position", "digest", "proof", "rubbish", "empty"])
async def test_a_head_that_was_changed_is_a_fault_and_nothing_is_sealed(
    database: Database, key_ring: KeyRing, memory: HeadMemory, change: str
) -> None:
    chain = AuditChain(database, key_ring, memory)
    await sealed(chain, database)
    kept = json.loads(memory.path.read_text())
    forged = kept | {"position": 2} if change == "position" else kept | {change: "00" * 32}
    text = {"rubbish": '{"position": []}', "empty": ""}.get(change, json.dumps(forged))
    memory.path.write_text(text)

    with pytest.raises(AuditHeadUnusable, match=FILE):
        await chain.seal_batch()
    report = await verify_chain(database, key_ring, memory=memory)
    assert report.first_fault is not None
    assert report.first_fault.sentence.startswith(f"{FILE} was changed")


async def test_the_head_is_a_file_of_ones_own_and_nothing_else_is_left_beside_it(
    database: Database, key_ring: KeyRing, memory: HeadMemory
) -> None:
    head = await sealed(AuditChain(database, key_ring, memory), database)
    assert memory.recall() == head
    assert [path.name for path in memory.path.parent.iterdir()] == [FILE]
    assert memory.path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_takes_no_head_is_named(key_ring: KeyRing, tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.touch()
    memory = HeadMemory(nowhere / "folder", key_ring)
    with pytest.raises(AuditHeadUnusable, match="cannot be written"):
        memory.keep(SealLink(position=1, digest=bytes(32)))


async def test_a_seal_much_younger_than_its_entries_is_a_warning(
    database: Database, key_ring: KeyRing, memory: HeadMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = AuditChain(database, key_ring, memory)
    await sealed(chain, database, 1)
    monkeypatch.setattr("persistence.audit_verification.GRACE", timedelta(seconds=-GRACE.seconds))
    report = await verify_chain(database, key_ring, memory=memory)
    assert (report.late_seals, report.first_late_seal, report.is_whole) == (1, 1, True)


async def test_a_first_seal_whose_entries_were_changed_is_a_fault_and_not_another_key(
    database: Database, key_ring: KeyRing, owner: asyncpg.Connection
) -> None:
    await sealed(AuditChain(database, key_ring), database)
    await owner.execute(
        "UPDATE audit_log SET action = 'x.y' WHERE id IN "
        "(SELECT unnest(entry_ids) FROM audit_seals WHERE position = 1)"
    )
    await owner.execute(
        "UPDATE audit_seals SET sealed_at = sealed_at + interval '1 s' WHERE position = 1"
    )
    report = await verify_chain(database, key_ring)
    assert report.first_fault is not None
    assert (report.first_fault.position, report.faults) == (1, 3)
