"""Documents over real HTTP: uploaded, searched, cited, deleted; nobody else's."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest
import pytest_asyncio
from fpdf import FPDF

from persistence.access import AccessScope
from server.documents.names import is_clean
from tests.fixtures.product import Product

pytestmark = pytest.mark.asyncio(loop_scope="module")

HANDBOOK = "The vacation policy of Zephyr Labs grants thirty one days of leave to every employee."


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product):
    """The shared product as a user of this test's own sees it."""
    async with await shared_product.new_user(f"user-{uuid4().hex}") as client:
        yield replace(shared_product, client=client)


@pytest_asyncio.fixture(loop_scope="module")
async def other(shared_product):
    """Another user of the same product."""
    async with await shared_product.new_user(f"other-{uuid4().hex}") as client:
        yield client


def pdf(*pages: str) -> bytes:
    document = FPDF()
    document.set_font("Helvetica", size=12)
    for page in pages:
        document.add_page()
        document.multi_cell(0, 8, page)
    return bytes(document.output())


async def search(client, query: str):
    answer = await client.post("/v1/search", json={"query": query})
    assert answer.status_code == 200, answer.text
    return answer.json()["hits"]


async def test_an_uploaded_pdf_is_found_with_its_page_and_title(product: Product):
    taken = await product.upload("handbook.pdf", pdf("Welcome to the company.", HANDBOOK))

    assert taken["success"] is True
    assert taken["files"][0]["mime"] == "application/pdf"
    hits = await search(product.client, "vacation policy days of leave")
    assert "thirty one days" in hits[0]["snippet"]
    assert hits[0]["source"]["page"] == 2
    assert hits[0]["source"]["document_id"] == taken["files"][0]["document_id"]


async def test_a_citation_opens_for_its_owner_and_for_nobody_else(product: Product, other):
    await product.upload("handbook.txt", HANDBOOK.encode())
    [hit, *_] = await search(product.client, "vacation policy")
    url = hit["source"]["url"]

    mine = await product.client.get(url)
    assert HANDBOOK in mine.json()["text"]
    theirs = await other.get(url)
    missing = await other.get(f"/v1/sources/{uuid4()}")
    assert theirs.status_code == 404
    assert theirs.json() == missing.json()


async def test_the_agent_answers_from_a_document_and_names_its_source(product: Product):
    await product.upload("handbook.md", f"# Leave\n\n{HANDBOOK}".encode())
    product.model.call("semantic__search", {"query": "vacation policy of Zephyr Labs"})
    product.model.reply("Thirty one days.")

    events = await product.stream("How many days of leave do I get?", session_id="leave")

    [sources] = [event.data for event in events if event.event == "sources"]
    assert sources[0]["title"]
    assert "thirty one days" in sources[0]["snippet"]
    asked = product.model.requests[-1].messages[-1]
    assert "thirty one days" in asked["content"]
    history = (await product.client.get("/v1/chat/sessions/leave")).json()
    assert history["messages"][-1]["sources"][0]["url"] == sources[0]["url"]


async def test_another_users_documents_are_never_found_listed_or_deleted(product: Product, other):
    taken = await product.upload("handbook.txt", HANDBOOK.encode())
    document_id = taken["files"][0]["document_id"]
    assert await search(other, "vacation policy of Zephyr Labs") == []
    assert (await other.get("/v1/documents")).json()["total"] == 0
    for method in ("GET", "DELETE"):
        theirs = await other.request(method, f"/v1/documents/{document_id}")
        missing = await other.request(method, "/v1/documents/999999")
        assert theirs.status_code == 404
        assert theirs.json() == missing.json()
    product.model.call("semantic__search", {"query": "vacation policy of Zephyr Labs"})
    product.model.reply("I do not know.")
    answer = (await other.post("/v1/chat", json={"text_input": "How many days?"})).json()
    assert answer["sources"] == []
    assert "thirty one" not in str(product.model.requests[-1].messages)
    assert len(await search(product.client, "vacation policy of Zephyr Labs")) == 1


async def test_the_same_bytes_are_taken_once(product: Product):
    first = await product.upload("a.txt", HANDBOOK.encode())
    second = await product.upload("b.txt", HANDBOOK.encode())

    assert second["files"][0]["status"] == "unchanged"
    assert second["files"][0]["document_id"] == first["files"][0]["document_id"]
    assert (await product.client.get("/v1/documents")).json()["total"] == 1


async def test_the_same_bytes_uploaded_at_once_are_taken_once(product: Product):
    await asyncio.gather(*(product.upload(f"{n}.txt", HANDBOOK.encode()) for n in range(4)))

    assert (await product.client.get("/v1/documents")).json()["total"] == 1
    assert len(await search(product.client, "vacation policy of Zephyr Labs")) == 1


async def test_a_deleted_document_leaves_nothing(product: Product):
    before = originals(product)
    taken = await product.upload("handbook.txt", HANDBOOK.encode())
    document_id = taken["files"][0]["document_id"]
    [hit] = await search(product.client, "vacation policy of Zephyr Labs")

    assert (await product.client.delete(f"/v1/documents/{document_id}")).status_code == 204

    assert await search(product.client, "vacation policy of Zephyr Labs") == []
    assert (await product.client.get(hit["source"]["url"])).status_code == 404
    assert (await product.client.get(f"/v1/documents/{document_id}")).status_code == 404
    await until_kept(product, before)


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("broken.pdf", b"%PDF-1.7\nthis is no pdf at all", "UNREADABLE_DOCUMENT"),
        ("image.bin", b"\x89PNG\r\n\x1a\n" + bytes(200), "UNREADABLE_DOCUMENT"),
        ("program", b"\x7fELF" + bytes(range(256)) * 4, "UNSUPPORTED_MEDIA"),
        ("empty.txt", b"", "EMPTY_DOCUMENT"),
        ("blank.txt", b"  \n\t ", "EMPTY_DOCUMENT"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_and_leaves_nothing(
    product: Product, name, data, code
):
    before = originals(product)
    taken = await product.upload(name, data)

    assert taken["success"] is False
    assert taken["status"] == "error"
    assert [error["code"] for error in taken["errors"]] == [code]
    assert (await product.client.get("/v1/documents")).json()["total"] == 0
    await until_kept(product, before)


async def test_a_bad_file_does_not_fail_its_neighbours(product: Product):
    answer = await product.client.post(
        "/v1/ingest/upload",
        files=[
            ("files", ("broken.pdf", b"%PDF-1.7\nnonsense")),
            ("files", ("good.txt", HANDBOOK.encode())),
        ],
    )
    body = answer.json()
    assert (body["status"], body["files_processed"], body["totals"]["files"]) == ("partial", 1, 2)
    assert [error["path"] for error in body["errors"]] == ["broken.pdf"]
    assert len(await search(product.client, "vacation policy of Zephyr Labs")) == 1


async def test_an_upload_that_is_no_form_or_has_no_file_is_refused(product: Product):
    no_form = await product.client.post("/v1/ingest/upload", content=b"x")
    no_file = await product.client.post("/v1/ingest/upload", files={"other": ("a", b"x")})
    bad_tags = await product.client.post(
        "/v1/ingest/upload", files={"files": ("a", b"x")}, data={"tags": "{}"}
    )
    cut = await product.client.post(
        "/v1/ingest/upload",
        content=b"--b\r\nContent-Disposition: form-data",
        headers={"Content-Type": "multipart/form-data"},
    )
    for answer in (no_form, no_file, bad_tags, cut):
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


async def test_too_many_files_are_refused_with_how_many_there_may_be(product: Product):
    most = product.settings.api.max_upload_files
    files = [("files", (f"{number}.txt", b"x")) for number in range(most + 1)]

    answer = await product.client.post("/v1/ingest/upload", files=files)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "TOO_MANY_FILES")
    assert error["message"] == f"At most {most} files are taken in one request."
    assert error["details"] == {"max_files": most}


async def test_an_upload_cut_inside_its_second_file_is_refused_and_leaves_nothing(
    product: Product,
):
    part = 'Content-Disposition: form-data; name="files"; filename="{}"\r\n\r\n{}'
    body = f"--b\r\n{part.format('a.txt', HANDBOOK)}\r\n--b\r\n{part.format('b.txt', 'And th')}"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}

    cut = await product.client.post("/v1/ingest/upload", content=body, headers=headers)
    whole = f"{body}\r\n--b--\r\n"

    assert cut.status_code == 400
    assert cut.json()["error"]["message"] == "The upload broke off."
    assert (await product.client.get("/v1/documents")).json()["total"] == 0
    taken = await product.client.post("/v1/ingest/upload", content=whole, headers=headers)
    assert taken.json()["files_processed"] == 2


def form_with_name(name: bytes) -> bytes:
    head = b'Content-Disposition: form-data; name="files"; filename="%s"' % name
    return b"--b\r\n%s\r\n\r\n%s\r\n--b--\r\n" % (head, HANDBOOK.encode())


@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "utf_7", "latin-1", '"utf-7"', "\xff", "-"])
async def test_a_form_in_any_charset_but_utf_8_is_refused(product: Product, charset):
    content_type = f"multipart/form-data; boundary=b; charset={charset}".encode("latin-1")
    answer = await product.client.post(
        "/v1/ingest/upload",
        content=form_with_name(b"x+2AA-.txt"),
        headers={b"Content-Type": content_type},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert (await product.client.get("/v1/documents")).json()["total"] == 0


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("année.txt".encode(), "année.txt"),
        (b"a\tb\x1bc\x7f.txt", "a b c .txt"),
        ("a\x85b\u2028c.txt".encode(), "a b c.txt"),
        (b"\xed\xa0\x80.txt", "í\xa0 .txt"),  # no UTF-8, hence read as Latin-1
        (b"\x1b\x1b", "unnamed"),
    ],
)
async def test_a_name_is_kept_as_one_line_of_text(product: Product, sent, kept):
    answer = await product.client.post(
        "/v1/ingest/upload",
        content=form_with_name(sent),
        headers={"Content-Type": "multipart/form-data; boundary=b; charset=UTF-8"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["files"][0]["path"] == kept
    [document] = (await product.client.get("/v1/documents")).json()["documents"]
    assert document["filename"] == kept


async def test_a_title_out_of_a_file_is_kept_as_one_line_of_text(product: Product):
    page = f"<html><title>Hand&#xd800;&#7;&#x85;book\x1b\x7f</title><p>{HANDBOOK}</p></html>"
    assert (await product.upload("handbook.html", page.encode()))["success"] is True
    [listed] = (await product.client.get("/v1/documents")).json()["documents"]
    assert listed["title"].startswith("Hand")
    assert listed["title"].endswith("book")
    assert is_clean(listed["title"])


@pytest.mark.parametrize("tags", ['["a\\u0000b"]', '["a\\nb"]', '["\\ud800"]'])
async def test_a_tag_that_is_not_one_line_of_text_is_refused(product: Product, tags):
    answer = await product.client.post(
        "/v1/ingest/upload", files={"files": ("a.txt", b"walnut")}, data={"tags": tags}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_a_name_that_no_answer_can_carry_breaks_no_list_when_it_is_there(product: Product):
    await product.upload("handbook.txt", HANDBOOK.encode())
    me = (await product.client.get("/v1/auth/me")).json()["id"]
    database = product.resources.account._database
    async with database.unit_of_work(AccessScope(user_id=me)) as uow:
        await uow.documents.create(
            title="x\ud800",
            filename="x\ud800.txt",
            mime="text/plain",
            size_bytes=1,
            content_hash=uuid4().hex,
            blob=uuid4().hex,
        )
        await uow.commit()

    documents = (await product.client.get("/v1/documents")).json()["documents"]

    assert [document["filename"] for document in documents] == ["x?.txt", "handbook.txt"]


@pytest.mark.parametrize(
    "fields",
    [
        {"is_private": "false"},
        {"is_private": "perhaps"},
        {"is_private": "true", "group_id": "7"},
        {"group_id": "0"},
        {"group_id": "-1"},
        {"group_id": "٧"},
        {"group_id": "9" * 19},
        {"group_id": "crew"},
    ],
)
async def test_an_upload_that_says_unclearly_who_may_read_it_is_refused(product: Product, fields):
    answer = await product.client.post(
        "/v1/ingest/upload", files={"files": ("handbook.txt", HANDBOOK.encode())}, data=fields
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert (await product.client.get("/v1/documents")).json()["total"] == 0


async def test_an_upload_may_say_that_it_is_private(product: Product):
    taken = await product.upload("handbook.txt", HANDBOOK.encode(), is_private="true")
    assert taken["success"] is True


async def test_an_embedding_server_that_stays_down_leaves_no_half_made_document(product: Product):
    before = originals(product)
    await product.model.stop()

    taken = await product.upload("handbook.txt", HANDBOOK.encode())

    assert (taken["status"], taken["files"]) == ("error", [])
    assert [error["code"] for error in taken["errors"]] == ["EXTERNAL_SERVICE_ERROR"]
    assert (await product.client.get("/v1/documents")).json()["total"] == 0
    await until_kept(product, before)
    await product.model.start()
    assert (await product.upload("handbook.txt", HANDBOOK.encode()))["success"] is True


async def test_nothing_near_is_an_empty_answer(product: Product):
    await product.upload("handbook.txt", HANDBOOK.encode())
    assert await search(product.client, "quantum chromodynamics lattice") == []


@pytest.mark.parametrize(
    "body", [{}, {"query": ""}, {"query": "x", "limit": 0}, {"query": "x" * 3000}]
)
async def test_a_malformed_search_is_refused(product: Product, body):
    answer = await product.client.post("/v1/search", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


async def until_kept(product: Product, expected: list[str]) -> None:
    """An original goes when it is settled that nobody needs it: a moment after the answer."""
    async with asyncio.timeout(10):
        while originals(product) != expected:
            await asyncio.sleep(0.01)


def originals(product: Product) -> list[str]:
    blobs = product.settings.data_dir / "blobs"
    return sorted(path.name for path in blobs.rglob("*") if path.is_file())
