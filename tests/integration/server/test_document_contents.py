"""Originals over real HTTP: handed out as they were given, to whoever may read, as files."""

import os

import pytest

from persistence.blobs import SEGMENT_BYTES
from tests.fixtures.product import Product
from tests.integration.server.people import Person, make_group

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = b"<!doctype html><title>Leave</title><p>Thirty one days.</p><script>steal()</script>"


async def upload(owner: Person, name: str, data: bytes, **fields: str) -> str:
    """Upload a file; return where its original is."""
    answer = await owner.client.post(
        "/v1/ingest/upload", files={"files": (name, data)}, data=fields
    )
    assert answer.status_code == 200, answer.text
    return f"/v1/documents/{answer.json()['files'][0]['document_id']}/content"


async def test_the_original_comes_back_as_a_file_that_no_browser_runs(ada: Person):
    url = await upload(ada, "leave.html", PAGE)
    answer = await ada.client.get(url)
    assert answer.content == PAGE
    headers = answer.headers
    assert headers["content-type"].startswith("text/html")
    assert headers["content-length"] == str(len(PAGE))
    assert headers["content-disposition"].startswith('attachment; filename="leave.html"')
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].endswith("; sandbox")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "plain", "encoded"),
    [
        ("plan für 2025.txt", "plan f_r 2025.txt", "plan%20f%C3%BCr%202025.txt"),
        ('a"b;c\\d.txt', "d.txt", "d.txt"),
        ("evil\u202etxt.exe.txt", "eviltxt.exe.txt", "eviltxt.exe.txt"),
        ("x%0d%0aSet-Cookie: a=b.txt", "x_0d_0aSet-Cookie_ a_b.txt", None),
    ],
)
async def test_the_name_is_told_so_that_everybody_reads_it_alike(
    ada: Person, name: str, plain: str, encoded: str | None
):
    url = await upload(ada, name, f"The file that is called {name}.".encode())
    answer = await ada.client.get(url)
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
    assert encoded is None or disposition.endswith(f"''{encoded}")
    assert "set-cookie" not in answer.headers


async def test_a_large_original_comes_whole_and_in_parts(ada: Person):
    data = PAGE + b"<!--" + os.urandom(1_300_000).hex().encode() + b"-->"
    url = await upload(ada, "large.html", data)
    size = len(data)
    assert size > 2 * SEGMENT_BYTES
    assert (await ada.client.get(url)).content == data
    for part, start, end in (
        ("bytes=0-9", 0, 9),
        ("bytes=5-5", 5, 5),
        ("bytes=10-", 10, size - 1),
        ("bytes=-5", size - 5, size - 1),
        (f"bytes={SEGMENT_BYTES - 1}-{2 * SEGMENT_BYTES}", SEGMENT_BYTES - 1, 2 * SEGMENT_BYTES),
        ("bytes=0-99999999", 0, size - 1),
        ("bytes=-99999999", 0, size - 1),
    ):
        answer = await ada.client.get(url, headers={"Range": part})
        assert (answer.status_code, answer.content) == (206, data[start : end + 1])
        assert answer.headers["content-range"] == f"bytes {start}-{end}/{size}"
        assert answer.headers["content-length"] == str(end + 1 - start)


@pytest.mark.parametrize(
    "part", ["bytes=9-5", "bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes=a-b", "bytes= 1-2"]
)
async def test_a_part_that_is_none_is_answered_with_all_of_it(ada: Person, part: str):
    url = await upload(ada, "leave.html", PAGE)
    answer = await ada.client.get(url, headers={"Range": part})
    assert (answer.status_code, answer.content) == (200, PAGE)


@pytest.mark.parametrize("part", ["bytes=1000-", "bytes=82-99", "bytes=-0"])
async def test_a_part_behind_the_end_is_refused(ada: Person, part: str):
    url = await upload(ada, "leave.html", PAGE)
    answer = await ada.client.get(url, headers={"Range": part})
    assert (answer.status_code, answer.json()["error"]["code"]) == (416, "RANGE_NOT_SATISFIABLE")
    assert answer.headers["content-range"] == f"bytes */{len(PAGE)}"


async def test_a_part_goes_with_the_content_that_it_was_begun_with(ada: Person):
    url = await upload(ada, "leave.html", PAGE)
    etag = (await ada.client.get(url)).headers["etag"]
    for validator, status in ((etag, 206), ('"another"', 200)):
        headers = {"Range": "bytes=0-4", "If-Range": validator}
        assert (await ada.client.get(url, headers=headers)).status_code == status


async def test_who_may_read_the_document_may_read_the_original_and_nobody_else(
    ada: Person, bob: Person
):
    url = await upload(ada, "leave.html", PAGE)
    nowhere = await bob.client.get("/v1/documents/999999999/content")
    theirs = await bob.client.get(url)
    assert (theirs.status_code, theirs.text) == (404, nowhere.text)
    group = await make_group(ada, bob)
    await ada.client.patch(url.removesuffix("/content"), json={"group_id": group})
    assert (await bob.client.get(url)).content == PAGE
    await ada.client.patch(url.removesuffix("/content"), json={"is_private": True})
    assert (await bob.client.get(url)).status_code == 404
    await ada.client.delete(url.removesuffix("/content"))
    assert (await ada.client.get(url)).status_code == 404


async def test_an_original_that_was_changed_on_the_disk_is_not_handed_out(
    shared_product: Product, ada: Person
):
    mark = os.urandom(8).hex()
    folder = shared_product.settings.data_dir
    before = set(folder.rglob("*"))
    url = await upload(ada, "leave.txt", f"The leave of {mark}.".encode())
    [blob] = [
        path for path in set(folder.rglob("*")) - before if path.is_file() and len(path.name) == 32
    ]
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    answer = await ada.client.get(url)
    assert (answer.status_code, mark in answer.text) == (500, False)
