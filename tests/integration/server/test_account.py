"""One's account over real HTTP: counted, taken along; the other user's things are nobody's."""

import asyncio
import json
import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from uuid import uuid4
from zipfile import ZipFile

import asyncpg
import httpx
import orjson
import psutil
import pytest
import pytest_asyncio

from persistence.access import AccessScope
from persistence.audit_entries import open_body
from persistence.conversation_records import ChatSession
from persistence.identifiers import new_uuid7
from persistence.run_records import NewToolRun, RunClaim, RunInput
from server.account.export import AccountExport
from tests.fixtures.product import Product, client_for
from tests.fixtures.rows import create_session

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINE = "The zebra quartz handbook grants thirty one days of leave."
THEIRS = "The walrus onyx ledger lists the salaries of all employees."
HOSTILE_NAMES = (
    "../../etc/passwd",
    "con",
    "same.txt",
    "same.txt",
    "x" * 240 + ".txt",
    "دليل ההנחיות.txt",
    "exe\u202etxt.txt",
    "🦓 family 👨‍👩‍👧.txt",
)
GONE_SECONDS = 20
MIB = 1024 * 1024


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product):
    """The shared product as a user of this test's own sees it."""
    async with await shared_product.new_user(f"user-{uuid4().hex}") as client:
        yield replace(shared_product, client=client)


@pytest_asyncio.fixture(loop_scope="module")
async def other(shared_product):
    """Another user, who has a session and a document."""
    async with await shared_product.new_user(f"other-{uuid4().hex}") as client:
        theirs = replace(shared_product, client=client)
        theirs.model.reply(THEIRS)
        await theirs.stream(THEIRS, session_id="walrus")
        await theirs.upload("walrus.txt", THEIRS.encode())
        yield theirs


def database_of(product: Product):
    return product.resources.account._database


async def account_of(product: Product):
    answer = await product.client.get("/v1/account")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def scope_of(product: Product) -> AccessScope:
    return AccessScope(user_id=(await account_of(product))["user"]["id"])


async def export(product: Product) -> ZipFile:
    answer = await product.client.get("/v1/account/export")
    assert answer.status_code == 200, answer.text
    archive = ZipFile(BytesIO(answer.content))
    assert archive.testzip() is None
    return archive


def read(archive: ZipFile, name: str):
    return json.loads(archive.read(name))


async def put_original(product: Product, name: str, data: bytes) -> int:
    """A document with any bytes, as if it had been read; nothing of it is in the index."""
    blob = await product.resources.account._blobs.put(data)
    async with database_of(product).unit_of_work(await scope_of(product)) as uow:
        document = await uow.documents.create(
            title=name,
            filename=name,
            mime="application/octet-stream",
            size_bytes=len(data),
            content_hash=uuid4().hex,
            blob=blob,
        )
        await uow.documents.mark_indexed(document.id, 0)
        await uow.commit()
    return document.id


async def test_an_account_counts_what_is_ones_own(product: Product, other: Product):
    before = await account_of(product)
    product.model.reply("Thirty one.")
    await product.stream("How many?", session_id="days")
    await product.upload("handbook.txt", MINE.encode())
    after = await account_of(product)

    assert before["counts"] == {
        "sessions": 0,
        "messages": 0,
        "documents": 0,
        "bytes": 0,
        "api_keys": 1,
        "groups": 0,
    }
    assert after["counts"] == before["counts"] | {
        "sessions": 1,
        "messages": 2,
        "documents": 1,
        "bytes": len(MINE.encode()),
    }
    assert after["user"]["username"].startswith("user-")
    assert after["user"]["is_root"] is False


async def test_an_empty_account_is_exported_whole(product: Product):
    answer = await product.client.get("/v1/account/export")
    assert answer.headers["content-type"] == "application/zip"
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.headers["cache-control"] == "no-store"

    with await export(product) as archive:
        assert archive.namelist() == [
            "README.txt",
            "account.json",
            "api_keys.json",
            "groups.json",
            "authorizations.json",
            "model_calls.json",
            "ingest_runs.json",
            "documents.json",
        ]
        assert read(archive, "documents.json") == []
        assert read(archive, "account.json")["username"].startswith("user-")


async def test_conversations_are_exported_with_all_that_happened_in_them(product: Product):
    product.model.call("units__convert", {"value": 1, "from_unit": "km", "to_unit": "m"})
    product.model.reply("A thousand: perché no 🦓.", thinking="Let me see.")
    await product.stream("How many metres?", session_id="metres")
    history = (await product.client.get("/v1/chat/sessions/metres")).json()

    with await export(product) as archive:
        session = read(archive, "sessions/1.json")

    assert session["session"]["session_id"] == "metres"
    assert session["session"]["title"] == "How many metres?"
    exported = [{k: m[k] for k in ("id", "role", "content")} for m in session["messages"]]
    assert exported == [{k: m[k] for k in ("id", "role", "content")} for m in history["messages"]]
    assert session["messages"][1]["reasoning"] == "Let me see."
    assert session["messages"][1]["tool_events"][0]["tool"] == "units.convert"
    [run] = session["runs"]
    assert run["status"] == "success"
    [tool_run] = run["tool_runs"]
    assert tool_run["args"] == {"value": 1, "from_unit": "km", "to_unit": "m"}
    assert "1000" in tool_run["result"]


async def test_edited_messages_and_forks_are_exported_as_they_stand(product: Product):
    product.model.reply("A zebra.", when="What?")
    await product.stream("What?", session_id="s")
    first = (await product.client.get("/v1/chat/sessions/s")).json()["messages"]
    product.model.reply("A quagga.", when="What else?")
    body = {"message_id": first[0]["id"]}
    events = await product.stream("What else?", session_id="s", **body)
    fork = {"message_id": first[1]["id"], "session_id": "f"}
    await product.client.post("/v1/chat/sessions/s/fork", json=fork)

    with await export(product) as archive:
        session, forked = read(archive, "sessions/1.json"), read(archive, "sessions/2.json")
        calls = read(archive, "model_calls.json")

    said = [message["content"] for message in session["messages"]]
    assert said == ["What?", "A zebra.", "What else?", "A quagga."]
    run_id = events[0].data["run_id"]
    superseders = [message["superseded_by"] for message in session["messages"]]
    assert superseders == [run_id, run_id, None, None]
    assert [message["content"] for message in forked["messages"]] == ["What?", "A zebra."]
    assert session["runs"][-1]["id"] == run_id
    assert forked["runs"] == []
    assert [call["run_id"] for call in calls] == [first[0]["run_id"], run_id]
    assert {call["purpose"] for call in calls} == {"answer"}


async def test_originals_come_back_byte_for_byte_whatever_they_were_called(product: Product):
    sent = {}
    for number, name in enumerate(HOSTILE_NAMES):
        data = f"{MINE} {number}".encode()
        answer = await product.upload(name, data)
        [file] = answer["files"]
        sent[file["document_id"]] = (file["path"], data)
    odd = await put_original(product, "../../a\\b:c", os.urandom(3 * MIB + 7))

    with await export(product) as archive:
        names = archive.namelist()
        listed = {each["id"]: each for each in read(archive, "documents.json")}
        for document_id, (name, data) in sent.items():
            assert listed[document_id]["filename"] == name
            assert archive.read(listed[document_id]["path"]) == data
        assert len(archive.read(listed[odd]["path"])) == 3 * MIB + 7
        assert listed[odd]["path"] == f"documents/{odd}/.._.._a_b_c"

    assert len(set(names)) == len(names)
    for name in names:
        parts = name.split("/")
        assert ".." not in parts
        assert not name.startswith("/")
        assert not set(name) & set("\\:\u202e\0")
        assert max(len(part.encode()) for part in parts) < 256


@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs Info-ZIP's unzip")
async def test_unzip_finds_the_archive_in_order(product: Product, tmp_path):
    await product.upload("🦓 دليل.txt", MINE.encode())
    answer = await product.client.get("/v1/account/export")
    (tmp_path / "export.zip").write_bytes(answer.content)
    tested = await asyncio.to_thread(
        subprocess.run, ["unzip", "-t", tmp_path / "export.zip"], capture_output=True, check=False
    )
    assert tested.returncode == 0, tested.stdout


async def test_what_was_given_to_be_made_searchable_is_exported(product: Product):
    await product.upload("handbook.txt", MINE.encode(), tags='["house"]')
    await product.upload("empty.txt", b"")

    with await export(product) as archive:
        runs = read(archive, "ingest_runs.json")

    assert [(run["status"], run["order"]["tags"]) for run in runs] == [
        ("success", ["house"]),
        ("error", []),
    ]
    [[taken], [refused]] = [run["files"] for run in runs]
    assert (taken["name"], taken["status"]) == ("handbook.txt", "indexed")
    assert refused["failure"]["code"] == "EMPTY_DOCUMENT"


async def test_more_than_a_page_of_everything_is_exported(product: Product):
    database, scope = database_of(product), await scope_of(product)
    for number in range(203):
        await create_session(database, scope, f"session {number}")
    async with database.unit_of_work(scope) as uow:
        session = await uow.sessions.open("session 7")
        for number in range(203):
            await uow.messages.add(session.id, role="user", content=f"message {number}")
        for _ in range(23):
            await add_run(uow, session)
        await uow.commit()
    for number in range(103):
        await put_original(product, f"{number}.txt", b"%d" % number)

    with await export(product) as archive:
        sessions = [read(archive, name) for name in archive.namelist() if "sessions/" in name]
        originals = [archive.read(each["path"]) for each in read(archive, "documents.json")]

    names = [each["session"]["session_id"] for each in sessions]
    assert names == [f"session {number}" for number in range(203)]
    said = [message["content"] for message in sessions[7]["messages"]]
    assert said == [f"message {number}" for number in range(203)]
    assert [len(run["tool_runs"]) for run in sessions[7]["runs"]] == [1] * 23
    assert originals == [b"%d" % number for number in range(103)]


async def add_run(uow, session: ChatSession) -> None:
    run_id = new_uuid7()
    asked = RunInput(session_id=session.session_id, thread_id=session.thread_id, text="?")
    await uow.runs.start(
        run_id, session.id, model="m", run_input=asked, lease_owner="o", lease_seconds=60
    )
    await uow.tool_runs.add_many(
        [
            NewToolRun(
                run_id=run_id,
                call_id="1",
                tool="a tool",
                args={"half a character": "\ud83d", "a large number": 2**70},
                result=None,
                status="end",
                latency_ms=1,
                started_at=datetime.now(UTC),
            )
        ]
    )
    await uow.runs.finish(RunClaim(run_id=run_id, attempt=1, owner="o"), "success")


async def test_an_export_holds_no_secret_and_nothing_of_anybody_else(
    product: Product, other: Product
):
    key = (await product.client.post("/v1/api-keys", json={"name": "laptop"})).json()
    product.model.reply("Thirty one.")
    await product.stream("How many?", session_id="days")

    with await export(product) as archive:
        everything = b"\n".join(archive.read(name) for name in archive.namelist())
        keys = read(archive, "api_keys.json")
        readme = archive.read("README.txt").decode()
        names = archive.namelist()

    assert {each["name"] for each in keys} == {"t", "laptop"}
    assert key["key"].encode() not in everything
    for word in (b"key_hash", b"thread_id", b"blob", b"walrus"):
        assert word not in everything
    for name in set(names) - {"README.txt"}:
        assert name.split("/")[0] in readme


async def test_an_export_is_audited_before_it_begins_and_without_content(product: Product):
    await export(product)
    [entry] = await audit_entries(product, "account.export")
    assert entry["details"] is None
    assert entry["resource_id"] == str((await scope_of(product)).user_id)


async def audit_entries(product: Product, action: str):
    """What the trail holds of an act by this user, opened."""
    database, scope = database_of(product), await scope_of(product)
    connection = await asyncpg.connect(database.dsn)
    try:
        rows = await connection.fetch(
            "SELECT * FROM audit_log WHERE action = $1 AND actor_id = $2 ORDER BY id",
            action,
            scope.user_id,
        )
    finally:
        await connection.close()
    return [orjson.loads(open_body(row, database.key_ring)) for row in rows]


async def test_what_is_deleted_while_it_is_exported_is_left_out_and_noted(product: Product):
    product.model.reply("Thirty one.")
    await product.stream("How many?", session_id="days")
    kept = (await product.upload("kept.txt", MINE.encode()))["files"][0]["document_id"]
    gone = (await product.upload("gone.txt", b"Gone with the wind."))["files"][0]["document_id"]
    account = product.resources.account
    async with database_of(product).unit_of_work(await scope_of(product)) as uow:
        user = await uow.users.get((await scope_of(product)).user_id)

    contents = {}
    async for entry in AccountExport(account._database, account._blobs, user).entries():
        if entry.name == "sessions/1.json":
            await product.client.delete("/v1/chat/sessions/days")
        contents[entry.name] = b"".join([piece async for piece in entry.content])
        if entry.name == "documents.json":
            await product.client.delete(f"/v1/documents/{gone}")

    assert f"documents/{kept}/kept.txt" in contents
    assert f"documents/{gone}/gone.txt" not in contents
    assert json.loads(contents["left_out.json"]) == [
        {"kind": "session", "id": "days", "reason": "deleted meanwhile"},
        {"kind": "document", "id": gone, "reason": "deleted meanwhile"},
    ]


async def test_an_original_that_was_tampered_with_is_left_out_and_noted(product: Product):
    document_id = await put_original(product, "a.bin", b"a" * 100)
    async with database_of(product).unit_of_work(await scope_of(product)) as uow:
        document = await uow.documents.get(document_id)
    path = product.settings.data_dir / "blobs" / document.blob[:2] / document.blob
    path.write_bytes(b"\0" * 100)

    with await export(product) as archive:
        left_out = read(archive, "left_out.json")
    assert left_out == [
        {"kind": "document", "id": document_id, "reason": "its original cannot be read"}
    ]


async def test_a_reader_who_leaves_ends_the_work(product: Product):
    await put_original(product, "big.bin", os.urandom(64 * MIB))
    blobs = str(product.settings.data_dir / "blobs")

    def open_blobs() -> list[str]:
        return [f.path for f in psutil.Process().open_files() if f.path.startswith(blobs)]

    async with product.client.stream("GET", "/v1/account/export") as answer:
        pieces = answer.aiter_raw()
        received = 0
        while received < MIB:
            received += len(await anext(pieces))
        assert len(open_blobs()) == 1
    async with asyncio.timeout(GONE_SECONDS):
        while open_blobs():
            await asyncio.sleep(0)


@pytest.mark.parametrize("end", ["user", "login", "key"])
async def test_an_export_breaks_off_when_its_reader_may_not_go_on(
    shared_product: Product, product: Product, end
):
    await put_original(product, "big.bin", os.urandom(64 * MIB))
    user_id = (await account_of(product))["user"]["id"]
    key = product.client.headers["authorization"].split()[1]
    async with client_for(product.url, None) as client:
        login = await client.post("/v1/auth/login", json={"api_key": key})
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {login.cookies['youworker_token']}"
        [key_id] = [k["id"] for k in (await client.get("/v1/api-keys")).json()["api_keys"]]
        async with client.stream("GET", "/v1/account/export") as answer:
            pieces = answer.aiter_raw()
            await anext(pieces)
            ended = await {
                "user": lambda: shared_product.client.patch(
                    f"/v1/users/{user_id}", json={"is_active": False}
                ),
                "login": lambda: client.post("/v1/auth/logout"),
                "key": lambda: client.delete(f"/v1/api-keys/{key_id}"),
            }[end]()
            assert ended.is_success
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                async for _ in pieces:
                    pass


async def test_the_export_of_one_is_refused_to_a_stranger_and_to_a_narrow_key(product: Product):
    async with httpx.AsyncClient(base_url=product.url) as stranger:
        for method, path in (
            ("GET", "/v1/account"),
            ("GET", "/v1/account/export"),
            ("DELETE", "/v1/account/history"),
            ("DELETE", "/v1/account"),
        ):
            assert (await stranger.request(method, path)).status_code == 401
