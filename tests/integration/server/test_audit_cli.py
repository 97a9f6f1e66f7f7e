"""`youworker audit` against a database by its address, and beside a running product."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from persistence.access import AccessScope
from persistence.audit_chain import AuditChain
from persistence.database import open_database
from persistence.encryption import KeyRing
from persistence.records import AuditEntry
from persistence.settings import DatabaseSettings
from tests.fixtures.ports import free_port
from tests.fixtures.product import Product

ENDS_SECONDS = 60
YOUWORKER = Path(sys.executable).with_name("youworker")
KEY = KeyRing.generate_key()


async def youworker(folder: Path, *arguments: str, **environment: str):
    """Runs the command in a folder; returns its exit code, output and complaint."""
    process = await asyncio.create_subprocess_exec(
        YOUWORKER,
        "audit",
        *arguments,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(ENDS_SECONDS):
        output, complaint = await process.communicate()
    return process.returncode, output.decode(), complaint.decode()


def settings_of(product: Product) -> dict[str, str]:
    assert product.settings.database.url is not None
    return {
        "DATABASE__URL": product.settings.database.url.get_secret_value(),
        "SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET": product.secrets.encryption_keys,
    }


async def test_a_whole_trail_is_verified_while_the_product_runs(product: Product, tmp_path: Path):
    await product.client.post("/v1/users", json={"username": "ada"})
    exported = (await product.client.get("/v1/audit/export")).text.splitlines()
    head = json.loads(exported[-1])["head"]
    seen = f"{head['position']}:{head['digest']}"

    code, output, _ = await youworker(tmp_path, "verify", "--json", **settings_of(product))
    again, text, _ = await youworker(
        tmp_path, "verify", "--since-head", seen, **settings_of(product)
    )

    report = json.loads(output)
    assert (code, report["whole"], report["faults"], report["first_fault"]) == (0, True, 0, None)
    assert (report["entries"], report["head"]) == (len(exported) - 1, head)
    assert again == 0
    assert text.startswith("whole: ")
    assert text.strip().endswith(f"head {seen}")


async def test_a_broken_trail_is_one_sentence_and_exit_code_one(
    product: Product, database_url: str, tmp_path: Path
):
    await product.client.post("/v1/users", json={"username": "ada"})
    await product.client.get("/v1/audit/export")  # seals
    owner = await asyncpg.connect(database_url)
    await owner.execute("SET session_replication_role = replica")
    victim = await owner.fetchval(
        "UPDATE audit_log SET actor_name = 'eve' WHERE action = 'user.create' RETURNING id"
    )
    await owner.close()

    code, output, _ = await youworker(tmp_path, "verify", **settings_of(product))
    again, answer, _ = await youworker(tmp_path, "verify", "--json", **settings_of(product))

    assert (code, again) == (1, 1)
    assert output.startswith(f"broken: the entry {victim} was changed (seal 1); 1 faults in ")
    assert json.loads(answer)["first_fault"]["entry_id"] == victim


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET": KEY},
        {"SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET": "no key"},
        {
            "SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET": KEY,
            "DATABASE__URL": f"postgresql://nobody@127.0.0.1:{free_port()}/none",
        },
    ],
    ids=["nothing", "no database", "malformed key", "no server"],
)
async def test_what_cannot_be_checked_is_exit_code_three_and_makes_nothing(
    tmp_path: Path, environment: dict[str, str]
):
    code, output, complaint = await youworker(tmp_path, "verify", **environment)
    assert (code, output) == (3, "")
    assert complaint.startswith("youworker: the audit trail cannot be checked: ")
    assert len(complaint.splitlines()) == 1
    failed, _, _ = await youworker(tmp_path, "export", "trail.ndjson", **environment)
    assert failed == 1
    assert list(tmp_path.iterdir()) == []


async def test_other_keys_and_other_tables_cannot_check(
    product: Product, empty_database_url: str, tmp_path: Path
):
    await product.client.post("/v1/users", json={"username": "ada"})
    await product.client.get("/v1/audit/export")
    other_keys = settings_of(product) | {"SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET": KEY}
    code, _, complaint = await youworker(tmp_path, "verify", **other_keys)
    assert (code, "other keys" in complaint) == (3, True)
    no_tables = settings_of(product) | {"DATABASE__URL": empty_database_url}
    code, _, complaint = await youworker(tmp_path, "verify", **no_tables)
    assert (code, "youworker migrate" in complaint) == (3, True)


async def test_an_export_is_a_file_of_ones_own_and_is_in_the_trail(
    product: Product, tmp_path: Path
):
    await product.client.post("/v1/users", json={"username": "ada"})
    target = tmp_path / "trail.ndjson"
    arguments = ("export", str(target), "--action", "user", "--succeeded")

    code, output, _ = await youworker(tmp_path, *arguments, **settings_of(product))
    again, _, complaint = await youworker(tmp_path, *arguments, **settings_of(product))
    _, piped, _ = await youworker(tmp_path, *arguments[:1], *arguments[2:], **settings_of(product))

    assert (code, output) == (0, "")
    assert target.stat().st_mode & 0o777 == 0o600
    *entries, end = [json.loads(line) for line in target.read_text().splitlines()]
    assert [entry["action"] for entry in entries] == ["user.create"]
    assert (end["entries"], end["head"]["position"] > 0) == (1, True)
    assert (again, "exists already" in complaint) == (2, True)
    assert [json.loads(line) for line in piped.splitlines()][:-1] == entries
    trail = (await product.client.get("/v1/audit", params={"action": "audit.export"})).json()
    assert trail["total"] == 2
    assert trail["entries"][0]["system_reason"] == "audit export at the command line"


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "--since-head", "7"),
        ("verify", "--since-head", "7:abcd"),
        ("verify", "--since-head", f"0:{'00' * 32}"),
        ("export", "--action", "no such action!"),
        ("export", "--resource-id", "7"),
        ("export", "nowhere/trail.ndjson"),
    ],
)
async def test_arguments_that_make_no_sense_are_wrong_usage(
    tmp_path: Path, arguments: tuple[str, ...]
):
    code, _, _ = await youworker(tmp_path, *arguments)
    assert code == 2
    assert list(tmp_path.iterdir()) == []


async def test_the_embedded_trail_is_verified_beside_its_product_and_without_it(tmp_path: Path):
    environment = {"SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET": KEY}
    key_ring = KeyRing([KEY])
    data_dir = tmp_path / ".data"
    async with open_database(DatabaseSettings(), key_ring=key_ring, data_dir=data_dir) as database:
        async with database.unit_of_work(AccessScope.system("tests")) as uow:
            await uow.audit.record(AuditEntry(action="user.create", resource_type="user"))
            await uow.commit()
        await AuditChain(database, key_ring).seal_batch()
        beside = await youworker(tmp_path, "verify", "--json", **environment)
        exported = await youworker(tmp_path, "export", **environment)
    alone = await youworker(tmp_path, "verify", "--json", **environment)

    assert (beside[0], json.loads(beside[1])["entries"]) == (0, 1), beside[2]
    actions = [json.loads(line).get("action") for line in exported[1].splitlines()]
    assert actions == ["audit.export", "user.create", None]
    assert (alone[0], json.loads(alone[1])["entries"]) == (0, 2), alone[2]


async def test_a_server_refuses_a_forged_chain_until_its_operator_takes_it(
    product: Product, database_url: str, tmp_path: Path
):
    here = settings_of(product) | {"DATA_DIR": str(product.settings.data_dir)}
    await product.client.post("/v1/users", json={"username": "ada"})
    await product.client.get("/v1/audit/export")  # seals
    owner = await asyncpg.connect(database_url)
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("DELETE FROM audit_log; DELETE FROM audit_seals")
    await owner.close()

    broken, output, _ = await youworker(tmp_path, "verify", **here)
    accepted, _, complaint = await youworker(tmp_path, "forget-head", **here)
    exported = (await product.client.get("/v1/audit/export")).text.splitlines()
    whole, report, _ = await youworker(tmp_path, "verify", "--json", **here)

    assert (broken, accepted, whole) == (1, 0, 0), complaint
    assert "that this server remembers is not in the chain" in output
    [forgotten] = [e for e in map(json.loads, exported) if e.get("action") == "audit.forget_head"]
    assert forgotten["details"]["before"]["position"] > 0
    assert json.loads(report)["remembered"] == json.loads(exported[-1])["head"]
