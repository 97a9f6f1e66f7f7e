import asyncio
from pathlib import Path

import pytest

from persistence.blobs import SEGMENT_BYTES, BlobStore
from persistence.encryption import KeyRing
from persistence.errors import DecryptionError, NotFound
from tests.fixtures.plaintext_scan import find_in_folder


@pytest.fixture
def store(tmp_path: Path, key_ring: KeyRing) -> BlobStore:
    return BlobStore(tmp_path, key_ring)


def stored_file(root: Path) -> Path:
    (path,) = (each for each in root.rglob("*") if each.is_file())
    return path


@pytest.mark.parametrize("size", [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, 2 * SEGMENT_BYTES + 7])
async def test_a_blob_of_any_size_comes_back(store: BlobStore, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    name = await store.put(data[:size])
    assert await store.get(name) == data[:size]
    assert b"".join([piece async for piece in store.stream(name)]) == data[:size]


@pytest.mark.parametrize(
    "start", [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 2 * SEGMENT_BYTES + 6]
)
async def test_a_blob_is_read_from_any_place_on(store: BlobStore, start: int) -> None:
    data = bytes(range(251)) * ((2 * SEGMENT_BYTES + 7) // 251 + 1)
    data = data[: 2 * SEGMENT_BYTES + 7]
    name = await store.put(data)
    assert b"".join([piece async for piece in store.stream(name, start=start)]) == data[start:]


async def test_nothing_comes_from_behind_the_end_of_a_blob(store: BlobStore) -> None:
    name = await store.put(b"data")
    for start in (4, SEGMENT_BYTES, 5 * SEGMENT_BYTES):
        assert b"".join([piece async for piece in store.stream(name, start=start)]) == b""


async def test_equal_blobs_have_names_of_their_own(store: BlobStore) -> None:
    names = await asyncio.gather(*(store.put(b"same") for _ in range(20)))
    assert len(set(names)) == 20


async def test_nothing_of_a_blob_can_be_read_on_the_disk(store: BlobStore, tmp_path: Path) -> None:
    await store.put("the phrase — vertraulich".encode() * 100)
    assert find_in_folder(tmp_path, "the phrase — vertraulich") == []


async def test_only_the_owner_may_read_the_files(store: BlobStore, tmp_path: Path) -> None:
    await store.put(b"data")
    path = stored_file(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "0" * 31, "G" * 32, "0" * 32])
async def test_an_unknown_name_is_not_found(store: BlobStore, name: str) -> None:
    with pytest.raises(NotFound):
        await store.get(name)


async def test_a_deleted_blob_is_gone_and_may_be_deleted_again(
    store: BlobStore, tmp_path: Path
) -> None:
    name = await store.put(b"data")
    await store.delete(name)
    await store.delete(name)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    with pytest.raises(NotFound):
        await store.get(name)


async def test_a_blob_that_is_deleted_while_it_is_streamed_is_read_to_its_end(
    store: BlobStore,
) -> None:
    name = await store.put(b"x" * (2 * SEGMENT_BYTES))
    pieces = store.stream(name)
    first = await anext(pieces)
    await store.delete(name)
    assert len(first) + sum([len(piece) async for piece in pieces]) == 2 * SEGMENT_BYTES


async def test_a_blob_that_was_cut_at_a_segment_is_refused(
    store: BlobStore, tmp_path: Path
) -> None:
    name = await store.put(b"x" * (2 * SEGMENT_BYTES))
    path = stored_file(tmp_path)
    stored = path.read_bytes()
    path.write_bytes(stored[: len(stored) // 2])
    with pytest.raises(DecryptionError):
        await store.get(name)
    path.write_bytes(b"")
    with pytest.raises(DecryptionError):
        await store.get(name)


async def test_a_blob_under_the_name_of_another_is_refused(
    store: BlobStore, tmp_path: Path
) -> None:
    first, second = await store.put(b"first"), await store.put(b"second")
    (tmp_path / first[:2] / first).replace(tmp_path / second[:2] / second)
    with pytest.raises(DecryptionError):
        await store.get(second)


async def test_a_file_in_clear_is_refused(store: BlobStore, tmp_path: Path) -> None:
    name = await store.put(b"data")
    stored_file(tmp_path).write_bytes(b"plain text")
    with pytest.raises(DecryptionError):
        await store.get(name)


@pytest.mark.parametrize("size", [0, 5, 2 * SEGMENT_BYTES + 5])
async def test_a_rotated_blob_needs_only_the_new_key(tmp_path: Path, size: int) -> None:
    old, new = KeyRing.generate_key(), KeyRing.generate_key()
    data = bytes(size)
    name = await BlobStore(tmp_path, KeyRing([old])).put(data)
    both = BlobStore(tmp_path, KeyRing([new, old]))
    assert await both.rotate(name)
    assert not await both.rotate(name)
    assert await BlobStore(tmp_path, KeyRing([new])).get(name) == data
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [name]


async def test_a_damaged_blob_stays_as_it_is_when_it_is_rotated(tmp_path: Path) -> None:
    old, new = KeyRing.generate_key(), KeyRing.generate_key()
    name = await BlobStore(tmp_path, KeyRing([old])).put(bytes(2 * SEGMENT_BYTES))
    path = next(path for path in tmp_path.rglob(name))
    damaged = path.read_bytes()[:-10]
    path.write_bytes(damaged)
    with pytest.raises(DecryptionError):
        await BlobStore(tmp_path, KeyRing([new, old])).rotate(name)
    assert path.read_bytes() == damaged
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [name]
