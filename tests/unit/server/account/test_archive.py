"""A zip archive that is made while it is sent."""

import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import pytest

from server.account.archive import SEND_BYTES, Entry, zip_entries

NOW = datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)
MIB = 1024 * 1024


async def each(pieces: Iterable[bytes]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


def entry(name: str, *pieces: bytes, modified: datetime = NOW) -> Entry:
    return Entry(name=name, modified=modified, content=each(pieces))


async def entries(*made: Entry) -> AsyncIterator[Entry]:
    for each_entry in made:
        yield each_entry


async def test_what_goes_in_comes_out_under_its_name_and_time():
    big = os.urandom(3 * MIB)
    pieces = [
        piece
        async for piece in zip_entries(
            entries(
                entry("README.txt", b"read", b" me"),
                entry("documents/1/perché 🦓.bin", big[:MIB], big[MIB:]),
                entry("empty"),
                entry("old", b"x", modified=datetime(1900, 1, 1, tzinfo=UTC)),
            )
        )
    ]
    with ZipFile(BytesIO(b"".join(pieces))) as archive:
        assert archive.testzip() is None
        assert archive.read("README.txt") == b"read me"
        assert archive.read("documents/1/perché 🦓.bin") == big
        assert archive.read("empty") == b""
        assert archive.getinfo("README.txt").date_time == (2026, 1, 2, 3, 4, 6)
        assert archive.getinfo("old").date_time[0] == 1980


async def test_no_more_is_held_than_what_one_piece_brings():
    async def big() -> AsyncGenerator[bytes, None]:
        for _ in range(16):
            yield os.urandom(MIB)

    made = Entry(name="big", modified=NOW, content=big())
    sizes = [len(piece) async for piece in zip_entries(entries(made))]
    assert sum(sizes) > 16 * MIB
    assert max(sizes) < 2 * MIB + SEND_BYTES


@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs Info-ZIP's unzip")
async def test_another_program_finds_the_archive_in_order(tmp_path: Path):
    made = entries(entry("a/1.json", b"{}" * 1000), entry("empty"), entry("b.bin", os.urandom(MIB)))
    (tmp_path / "a.zip").write_bytes(b"".join([piece async for piece in zip_entries(made)]))
    tested = subprocess.run(["unzip", "-t", tmp_path / "a.zip"], capture_output=True, check=False)
    assert tested.returncode == 0, tested.stdout


async def test_an_archive_has_room_for_more_files_than_the_old_format_counts():
    async def many() -> AsyncIterator[Entry]:
        for number in range(66_000):
            yield entry(str(number))

    content = b"".join([piece async for piece in zip_entries(many())])
    with ZipFile(BytesIO(content)) as archive:
        assert len(archive.namelist()) == 66_000


async def test_an_archive_that_broke_off_does_not_open():
    async def broken() -> AsyncGenerator[bytes, None]:
        yield b"x"
        raise ConnectionError

    made = Entry(name="b", modified=NOW, content=broken())
    pieces = zip_entries(entries(entry("a", os.urandom(MIB)), made))
    sent = await anext(pieces)
    with pytest.raises(ConnectionError):
        await anext(pieces)
    with pytest.raises(BadZipFile):
        ZipFile(BytesIO(sent))
