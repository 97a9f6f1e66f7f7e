"""Sharing over real HTTP: what a group reads, when it begins and when it ends."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from tests.fakes.ollama_server import Pause, ScriptedCall, Turn
from tests.fixtures.product import Product
from tests.integration.server.people import Person, make_group, open_person, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

HANDBOOK = "The vacation policy of Zephyr Labs grants thirty one days of leave to every employee."
QUESTION = "vacation policy of Zephyr Labs"


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product: Product) -> Product:
    return shared_product


@pytest_asyncio.fixture(loop_scope="module")
async def ada(product) -> AsyncIterator[Person]:
    async with open_person(product, "ada") as person:
        yield person


@pytest_asyncio.fixture(loop_scope="module")
async def bob(product) -> AsyncIterator[Person]:
    async with open_person(product, "bob") as person:
        yield person


@pytest_asyncio.fixture(loop_scope="module")
async def eve(product) -> AsyncIterator[Person]:
    async with open_person(product, "eve") as person:
        yield person


async def upload(owner: Person, **fields: object) -> dict[str, object]:
    """Upload the handbook; return what is said of the file."""
    answer = await owner.client.post(
        "/v1/ingest/upload",
        # With a figure of the owner's own: of two that say the same a search shows one.
        files={"files": ("handbook.txt", f"{HANDBOOK} Copy {owner.id}.".encode())},
        data={name: str(value) for name, value in fields.items()},
    )
    assert answer.status_code == 200, answer.text
    file: dict[str, object] = answer.json()["files"][0]
    return file


async def share(owner: Person, document_id: object, group_id: int | None) -> dict[str, object]:
    body = {"is_private": True} if group_id is None else {"group_id": group_id}
    answer = await owner.client.patch(f"/v1/documents/{document_id}", json=body)
    assert answer.status_code == 200, answer.text
    document: dict[str, object] = answer.json()
    return document


async def found_by(person: Person) -> set[int]:
    """The documents that a search finds; makes sure that each opens, and no other is listed."""
    answer = await person.client.post("/v1/search", json={"query": QUESTION})
    assert answer.status_code == 200, answer.text
    sources = [hit["source"] for hit in answer.json()["hits"]]
    listed = (await person.client.get("/v1/documents")).json()["documents"]
    found = {source["document_id"] for source in sources}
    assert found == {document["id"] for document in listed}
    for source in sources:
        assert (await person.client.get(source["url"])).status_code == 200
        path = f"/v1/documents/{source['document_id']}"
        assert (await person.client.get(path)).status_code == 200
    return found


async def test_a_document_is_shared_from_the_start(ada: Person, bob: Person, eve: Person):
    group_id = await make_group(ada, bob)
    file = await upload(ada, group_id=group_id)
    assert (file["is_private"], file["group_id"]) == (False, group_id)
    assert await found_by(bob) == {file["document_id"]}
    assert await found_by(eve) == set()
    [seen] = (await bob.client.get("/v1/documents")).json()["documents"]
    assert (seen["owner_id"], seen["is_private"], seen["group_id"]) == (ada.id, False, group_id)


async def test_a_document_is_shared_and_unshared_at_once_and_nothing_is_embedded_for_it(
    product: Product, ada: Person, bob: Person
):
    group_id = await make_group(ada, bob)
    document_id = (await upload(ada))["document_id"]
    assert await found_by(bob) == set()
    await product.model.stop()  # sharing asks no model for anything
    shared = await share(ada, document_id, group_id)
    await product.model.start()
    assert (shared["is_private"], shared["group_id"]) == (False, group_id)
    assert await found_by(bob) == {document_id}
    source = (await bob.client.post("/v1/search", json={"query": QUESTION})).json()["hits"][0]

    assert (await share(ada, document_id, None))["is_private"] is True
    assert await found_by(bob) == set()
    assert (await bob.client.get(source["source"]["url"])).status_code == 404
    assert told(await bob.client.get(f"/v1/documents/{document_id}")) == (404, "DOCUMENT_NOT_FOUND")
    assert await found_by(ada) == {document_id}


async def test_a_document_moves_from_one_group_to_another(ada: Person, bob: Person, eve: Person):
    first, second = await make_group(ada, bob), await make_group(ada, eve)
    document_id = (await upload(ada, group_id=first))["document_id"]
    await share(ada, document_id, second)
    assert await found_by(bob) == set()
    assert await found_by(eve) == {document_id}
    assert await found_by(ada) == {document_id}


async def test_a_reader_changes_nothing_of_what_is_shared(ada: Person, bob: Person):
    group_id = await make_group(ada, bob)
    await ada.client.patch(f"/v1/groups/{group_id}/members/{bob.id}", json={"role": "admin"})
    document_id = (await upload(ada, group_id=group_id))["document_id"]
    path = f"/v1/documents/{document_id}"
    own_group = await make_group(bob)
    for method, body in (
        ("DELETE", None),
        ("PATCH", {"is_private": True}),
        ("PATCH", {"group_id": own_group}),
    ):
        answer = await bob.client.request(method, path, json=body)
        assert told(answer) == (403, "NOT_AUTHORIZED"), method
    assert await found_by(bob) == await found_by(ada) == {document_id}


async def test_what_others_keep_to_themselves_is_not_there_to_be_shared(ada: Person, eve: Person):
    document_id = (await upload(ada))["document_id"]
    group_id = await make_group(eve)
    for body in ({"is_private": True}, {"group_id": group_id}):
        theirs = await eve.client.patch(f"/v1/documents/{document_id}", json=body)
        missing = await eve.client.patch("/v1/documents/999999999", json=body)
        assert told(theirs) == (404, "DOCUMENT_NOT_FOUND")
        assert theirs.json() == missing.json()


async def test_nothing_is_shared_with_a_group_that_one_is_not_in(ada: Person, eve: Person):
    group_id = await make_group(eve)
    document_id = (await upload(ada))["document_id"]
    for group in (group_id, 999_999_999):
        patched = await ada.client.patch(f"/v1/documents/{document_id}", json={"group_id": group})
        uploaded = await ada.client.post(
            "/v1/ingest/upload",
            files={"files": ("other.txt", b"other words")},
            data={"group_id": str(group), "is_private": "false"},
        )
        assert told(patched) == told(uploaded) == (404, "GROUP_NOT_FOUND")
    assert await found_by(ada) == {document_id}
    assert await found_by(eve) == set()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"is_private": False},
        {"is_private": True, "group_id": 1},
        {"group_id": 0},
        {"group_id": None},
        {"group_id": "crew"},
        {"owner_id": 1},
    ],
)
async def test_an_unclear_wish_is_refused(ada: Person, body: dict[str, object]):
    document_id = (await upload(ada))["document_id"]
    answer = await ada.client.patch(f"/v1/documents/{document_id}", json=body)
    assert told(answer) == (400, "VALIDATION_ERROR")


async def test_the_same_file_again_changes_its_sharing_only_when_that_is_said(
    ada: Person, bob: Person
):
    group_id = await make_group(ada, bob)
    first = await upload(ada)
    for fields, group in (
        ({}, None),
        ({"group_id": group_id}, group_id),
        ({}, group_id),
        ({"is_private": "true"}, None),
    ):
        again = await upload(ada, **fields)
        assert (again["document_id"], again["status"]) == (first["document_id"], "unchanged")
        assert again["group_id"] == group
        assert await found_by(bob) == (set() if group is None else {first["document_id"]})


async def test_documents_are_listed_by_group(ada: Person, bob: Person, eve: Person):
    group_id = await make_group(ada, bob)
    document_id = (await upload(ada, group_id=group_id))["document_id"]
    await upload(bob)
    of_group = (await bob.client.get("/v1/documents", params={"group_id": group_id})).json()
    assert ([each["id"] for each in of_group["documents"]], of_group["total"]) == ([document_id], 1)
    assert (await bob.client.get("/v1/documents")).json()["total"] == 2
    strangers = await eve.client.get("/v1/documents", params={"group_id": group_id})
    assert strangers.json()["total"] == 0


async def test_who_leaves_or_is_put_out_reads_and_shares_no_more(
    ada: Person, bob: Person, eve: Person
):
    group_id = await make_group(ada, bob, eve)
    members = f"/v1/groups/{group_id}/members"
    of_ada = (await upload(ada, group_id=group_id))["document_id"]
    of_bob = (await upload(bob, group_id=group_id))["document_id"]
    assert await found_by(eve) == {of_ada, of_bob}

    await ada.client.delete(f"{members}/{bob.id}")
    assert await found_by(bob) == {of_bob}
    assert await found_by(eve) == await found_by(ada) == {of_ada}
    await eve.client.delete(f"{members}/{eve.id}")
    assert await found_by(eve) == set()

    await ada.client.post(members, json={"user_id": bob.id})
    assert await found_by(bob) == {of_ada, of_bob}
    assert await found_by(ada) == {of_ada}  # what was shared before stays private


async def test_a_deleted_group_leaves_its_documents_to_their_owners(ada: Person, bob: Person):
    group_id = await make_group(ada, bob)
    of_ada = (await upload(ada, group_id=group_id))["document_id"]
    of_bob = (await upload(bob, group_id=group_id))["document_id"]
    assert (await ada.client.delete(f"/v1/groups/{group_id}")).status_code == 204
    assert await found_by(ada) == {of_ada}
    assert await found_by(bob) == {of_bob}
    document = (await bob.client.get(f"/v1/documents/{of_bob}")).json()
    assert (document["is_private"], document["group_id"]) == (True, None)


async def test_sharing_and_unsharing_at_once_leave_index_and_database_agreed(
    ada: Person, bob: Person
):
    group_id = await make_group(ada, bob)
    document_id = (await upload(ada))["document_id"]
    for _ in range(4):
        await asyncio.gather(*(share(ada, document_id, group) for group in (group_id, None) * 3))
        document = (await ada.client.get(f"/v1/documents/{document_id}")).json()
        expected = set() if document["is_private"] else {document_id}
        assert await found_by(bob) == expected


async def test_a_share_that_is_revoked_while_the_agent_works_gives_it_nothing(
    product: Product, ada: Person, bob: Person
):
    """The run began, and its tools were told for whom, while the document was still shared."""
    group_id = await make_group(ada, bob)
    document_id = (await upload(ada, group_id=group_id))["document_id"]

    pause = Pause()
    again = ScriptedCall(tool="semantic__search", args={"query": f"{QUESTION} once more"})
    product.model.call("semantic__search", {"query": QUESTION})
    product.model.add(
        Turn(text="I look again.", calls=(again,), ending="hang", sent_pieces=1, pause=pause)
    )
    product.model.reply("That is all I know.")
    asking = asyncio.create_task(bob.client.post("/v1/chat", json={"text_input": "How many days?"}))
    async with asyncio.timeout(30):
        await pause.reached.wait()
    await share(ada, document_id, None)
    pause.release()
    answer = await asking

    assert answer.json()["content"].endswith("That is all I know."), answer.text
    results = [each for each in product.model.requests[-1].messages if each["role"] == "tool"]
    assert ["thirty one days" in each["content"] for each in results] == [True, False]


async def test_sharing_is_in_the_audit_trail_of_both_groups(product: Product, ada, bob):
    first, second = await make_group(ada, bob), await make_group(ada)
    document_id = (await upload(ada))["document_id"]
    for group in (first, first, second, None, None):
        await share(ada, document_id, group)

    assert product.settings.database.url is not None
    connection = await asyncpg.connect(product.settings.database.url.get_secret_value())
    rows = await connection.fetch(
        "SELECT action, group_id FROM audit_log "
        "WHERE actor_id = $1 AND action LIKE 'document.%share' ORDER BY id",
        ada.id,
    )
    await connection.close()
    assert [tuple(row) for row in rows] == [
        ("document.share", first),
        ("document.unshare", first),
        ("document.share", second),
        ("document.unshare", second),
    ]
