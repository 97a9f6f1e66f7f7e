"""Titles and tags over real HTTP: changed by owners, and what documents are found by."""

import json

import pytest

from tests.fixtures.product import Product
from tests.integration.server.people import Person, make_group

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEAVE = b"The vacation policy of Zephyr Labs grants thirty one days of leave to every employee."
TRAVEL = b"The vacation of travelling salesmen at Zephyr Labs is policy of the travel office."


async def upload(owner: Person, name: str, data: bytes, **fields: str) -> int:
    answer = await owner.client.post(
        "/v1/ingest/upload", files={"files": (name, data)}, data=fields
    )
    assert answer.status_code == 200, answer.text
    document_id: int = answer.json()["files"][0]["document_id"]
    return document_id


async def listed(person: Person, query: str) -> list[int]:
    answer = await person.client.get(f"/v1/documents?{query}")
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert page["total"] == len(page["documents"])
    return [each["id"] for each in page["documents"]]


async def found(person: Person, **request: object) -> set[int]:
    body = {"query": "vacation policy of Zephyr Labs"} | request
    answer = await person.client.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["complete"] is True
    return {hit["source"]["document_id"] for hit in answer.json()["hits"]}


async def edit(person: Person, document_id: int, **body: object):
    return await person.client.patch(f"/v1/documents/{document_id}", json=body)


async def test_documents_are_listed_by_tag_type_group_and_status(ada: Person, bob: Person):
    group = await make_group(ada)
    leave = await upload(ada, "a.txt", LEAVE, tags='["hr", "ä/ü"]', group_id=str(group))
    travel = await upload(ada, "b.md", b"# Travel\n\n" + TRAVEL, tags='["hr"]')
    assert await listed(ada, "tag=hr") == [travel, leave]
    assert await listed(ada, "tag=hr&tag=%C3%A4/%C3%BC") == [leave]
    assert await listed(ada, "tag=hr&mime=text/markdown") == [travel]
    assert await listed(ada, f"tag=hr&group_id={group}") == [leave]
    assert await listed(ada, "tag=hr&status=indexed&limit=100") == [travel, leave]
    for nothing in ("tag=h", "tag=hr&tag=none", "status=failed", "mime=image/png"):
        assert await listed(ada, nothing) == []
    assert await listed(bob, "tag=hr") == []


async def test_tags_are_kept_as_written_and_found_in_any_letter_case(ada: Person):
    document = await upload(ada, "a.txt", LEAVE, tags=" Legal , Größe, LEGAL ")

    answer = await ada.client.get(f"/v1/documents/{document}")

    assert answer.json()["tags"] == ["Legal", "Größe"]
    for query in ("tag=legal", "tag=LEGAL&tag=gr%C3%B6sse", "tag=%20Legal%20"):
        assert await listed(ada, query) == [document]
    assert await found(ada, tags=["lEGAL"]) == {document}


@pytest.mark.parametrize(
    "query",
    [
        "tag=",
        "tag=%20%20",
        "tag=" + "x" * 65,
        "tag=a%00b",
        "status=done",
        "mime=a%00b",
        "&".join(["tag=x"] * 33),
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(ada: Person, query: str):
    answer = await ada.client.get(f"/v1/documents?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_a_search_can_be_kept_to_tags(ada: Person, bob: Person):
    leave = await upload(ada, "a.txt", LEAVE)
    travel = await upload(ada, "b.txt", TRAVEL)
    await edit(ada, leave, tags=["leave", "both"])
    await edit(ada, travel, tags=["travel", "both"])
    assert await found(ada) == {leave, travel}
    assert await found(ada, tags=["both"]) == {leave, travel}
    assert await found(ada, tags=["leave"]) == {leave}
    assert await found(ada, tags=["leave", "travel"]) == set()
    assert await found(ada, tags=["both"], document_ids=[travel]) == {travel}
    assert await found(ada, tags=["leave"], document_ids=[travel]) == set()
    assert await found(ada, tags=["no-such"]) == set()
    assert await found(bob, tags=["both"]) == set()


async def test_an_owner_changes_title_and_tags(ada: Person):
    document = await upload(ada, "a.txt", LEAVE, tags='["old"]')
    answer = await edit(ada, document, title="Days of leave", tags=["new", "new", "日本"])
    assert answer.status_code == 200
    assert (answer.json()["title"], answer.json()["tags"]) == ("Days of leave", ["new", "日本"])
    assert answer.json()["filename"] == "a.txt"
    assert (await edit(ada, document, tags=[])).json()["title"] == "Days of leave"
    assert await listed(ada, "tag=new") == []
    hits = (await ada.client.post("/v1/search", json={"query": "days of leave"})).json()["hits"]
    assert hits[0]["source"]["title"] == "Days of leave"


async def test_one_change_holds_as_a_whole_or_not_at_all(ada: Person, bob: Person):
    document = await upload(ada, "a.txt", LEAVE)
    theirs = await make_group(bob)
    before = (await ada.client.get(f"/v1/documents/{document}")).json()
    answer = await edit(ada, document, title="x", tags=["y"], group_id=theirs)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "GROUP_NOT_FOUND")
    assert (await ada.client.get(f"/v1/documents/{document}")).json() == before
    mine = await make_group(ada, bob)
    answer = (await edit(ada, document, title="x", tags=["y"], group_id=mine)).json()
    assert (answer["title"], answer["tags"], answer["group_id"]) == ("x", ["y"], mine)
    assert await listed(bob, "tag=y") == [document]


async def test_who_only_reads_changes_nothing(ada: Person, bob: Person):
    group = await make_group(ada, bob)
    document = await upload(ada, "a.txt", LEAVE, group_id=str(group))
    answer = await edit(bob, document, title="taken over", tags=["mine"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "NOT_AUTHORIZED")
    assert (await bob.client.get(f"/v1/documents/{document}")).json()["title"] != "taken over"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": None},
        {"title": ""},
        {"title": "x" * 256},
        {"title": "two\nlines"},
        {"title": "\ud800"},
        {"tags": ["a\0b"]},
        {"tags": [""]},
        {"tags": [" "]},
        {"tags": ["x" * 65]},
        {"tags": [f"{number}" for number in range(33)]},
        {"tags": "hr"},
        {"owner_id": 1, "title": "x"},
    ],
)
async def test_a_change_that_makes_no_sense_is_refused(ada: Person, body: dict[str, object]):
    document = await upload(ada, "a.txt", LEAVE)
    answer = await ada.client.patch(
        f"/v1/documents/{document}",
        content=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_the_audit_trail_tells_that_and_not_what(shared_product: Product, ada: Person):
    document = await upload(ada, "a.txt", LEAVE, tags='["old-secret"]')
    await edit(ada, document, title="secret-title", tags=["new-secret", "other-secret"])
    await edit(ada, document, title="secret-title")
    answer = await shared_product.client.get(
        f"/v1/audit?resource_type=document&resource_id={document}&action=document.update"
    )
    [entry] = answer.json()["entries"]
    assert entry["details"] == {"title_changed": True, "tags_added": 2, "tags_removed": 1}
    assert "secret" not in answer.text
