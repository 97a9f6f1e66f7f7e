"""Uploads that stall, or whose user is locked out meanwhile, take nothing from the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.body_slots import PARALLEL_BODIES
from tests.fixtures.product import Product
from tests.integration.server.people import Person, open_person

TEXT = b"The walnut lighthouse opens in March."
ENDS_SECONDS = 20


@pytest.fixture
async def bob(product: Product) -> AsyncIterator[Person]:
    async with open_person(product, "bob") as person:
        yield person


@asynccontextmanager
async def stalled_upload(product: Product, person: Person) -> AsyncIterator[asyncio.StreamReader]:
    """Sends the beginning of an upload and no more; yields where the answer will be."""
    host, port = product.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        "POST /v1/ingest/upload HTTP/1.1",
        "Host: x",
        f"Authorization: {person.client.headers['authorization']}",
        "Content-Type: multipart/form-data; boundary=b",
        "Content-Length: 1000",
        "Expect: 100-continue",
        "",
        "",
    )
    writer.write("\r\n".join(head).encode())
    await writer.drain()
    try:
        yield reader
    finally:
        writer.close()


async def is_being_read(answer: asyncio.StreamReader) -> None:
    """The server asks for the body when it has a place for it."""
    async with asyncio.timeout(ENDS_SECONDS):
        assert b" 100 " in await answer.readuntil(b"\r\n\r\n")


async def status_of(answer: asyncio.StreamReader) -> int:
    async with asyncio.timeout(ENDS_SECONDS):
        return int((await answer.readline()).split()[1])


async def lock_out(product: Product, person: Person) -> None:
    answer = await product.client.patch(f"/v1/users/{person.id}", json={"is_active": False})
    assert answer.status_code == 200


async def test_as_many_stalled_uploads_of_one_user_as_there_are_places_stop_nobody_else(
    product: Product, bob: Person
):
    async with (
        stalled_upload(product, bob) as first,
        stalled_upload(product, bob) as second,
    ):
        assert PARALLEL_BODIES == 4
        # Before there are more: any two of four could be those that are read.
        await is_being_read(first)
        await is_being_read(second)
        async with stalled_upload(product, bob), stalled_upload(product, bob):
            assert (await product.upload("walnut.txt", TEXT))["success"] is True


async def test_an_upload_that_stalls_is_told_so_and_hung_up_on(
    product: Product, bob: Person, monkeypatch
):
    monkeypatch.setattr("server.body_pace.IDLE_SECONDS", 0.05)
    async with stalled_upload(product, bob) as answer:
        await is_being_read(answer)
        assert await status_of(answer) == 408
        async with asyncio.timeout(ENDS_SECONDS):
            rest = await answer.read()
    assert b"UPLOAD_TOO_SLOW" in rest


async def test_all_stalled_uploads_end_when_their_user_is_locked_out(product: Product, bob: Person):
    async with (
        stalled_upload(product, bob) as first,
        stalled_upload(product, bob) as second,
    ):
        await is_being_read(first)
        await is_being_read(second)
        await lock_out(product, bob)
        assert [await status_of(first), await status_of(second)] == [401, 401]


async def test_nothing_is_kept_of_an_upload_whose_user_is_locked_out_meanwhile(
    product: Product, bob: Person
):
    pause = product.model.hang_embedding()
    uploading = asyncio.create_task(
        bob.client.post("/v1/ingest/upload", files={"files": ("walnut.txt", TEXT)})
    )
    async with asyncio.timeout(ENDS_SECONDS):
        await pause.reached.wait()
        await lock_out(product, bob)
        answer = await uploading
    await product.client.patch(f"/v1/users/{bob.id}", json={"is_active": True})

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "NOT_AUTHENTICATED")
    assert (await bob.client.get("/v1/documents")).json()["total"] == 0
    blobs = product.settings.data_dir / "blobs"
    assert [path for path in blobs.rglob("*") if path.is_file()] == []


async def test_the_end_of_a_login_ends_its_uploads_and_those_of_no_other(
    product: Product, bob: Person
):
    key = bob.client.headers["authorization"].split()[1]
    login = await product.client.post("/v1/auth/login", json={"api_key": key})
    token = {"Authorization": f"Bearer {login.cookies['youworker_token']}"}
    product.client.cookies.clear()
    pause = product.model.hang_embedding()
    form = {"files": ("walnut.txt", TEXT)}
    uploading = asyncio.create_task(
        product.client.post("/v1/ingest/upload", files=form, headers=token)
    )
    async with stalled_upload(product, bob) as other:
        await is_being_read(other)
        async with asyncio.timeout(ENDS_SECONDS):
            await pause.reached.wait()
            left = await product.client.post("/v1/auth/logout", headers=token)
            answer = await uploading
        assert (left.status_code, answer.status_code) == (204, 401)
        assert (await bob.client.get("/v1/documents")).json()["total"] == 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await other.readline()
