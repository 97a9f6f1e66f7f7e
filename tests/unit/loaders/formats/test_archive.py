"""Archives: what their directory promises is checked, and nothing beyond it is given."""

import io
import random
import struct
import zipfile
from contextlib import suppress

import pytest

from loaders.errors import DocumentEncrypted, LoaderError, LoaderLimit, UnreadableDocument
from loaders.formats import archive as archive_module
from loaders.formats.archive import Archive
from tests.fixtures.office import zip_of

MIB = 1024 * 1024
SIZE_OFFSET = 24
FLAGS_OFFSET = 8
PLACE_OFFSET = 42


def _directory(data: bytes, name: bytes) -> int:
    """Where the directory's entry for a part begins."""
    return data.rindex(name) - 46


def _patched(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


def test_parts_are_found_whatever_the_case_of_their_names() -> None:
    archive = Archive(zip_of({"Word/Document.xml": "x", "a\\b.xml": "y"}))

    assert archive.read("word/document.XML") == b"x"
    assert archive.read("a/b.xml") == b"y"
    assert "word/other.xml" not in archive
    with pytest.raises(UnreadableDocument):
        archive.read("word/other.xml")


def test_what_would_inflate_to_too_much_is_refused_unopened() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(10):
            made.writestr(f"{number}.xml", bytes(MIB))
    data = target.getvalue()
    claimed = 0xFFFFFFF0
    for number in range(10):
        at = _directory(data, f"{number}.xml".encode()) + SIZE_OFFSET
        data = _patched(data, at, struct.pack("<I", claimed))

    with pytest.raises(LoaderLimit, match="inflate"):
        Archive(data)


def test_a_part_that_inflates_to_hundreds_of_times_its_size_is_refused() -> None:
    with pytest.raises(LoaderLimit, match="times"):
        Archive(zip_of({"a.xml": bytes(32 * MIB)}))


def test_a_part_gives_no_more_than_it_claims() -> None:
    data = zip_of({"a.xml": bytes(10 * MIB)})
    data = _patched(data, _directory(data, b"a.xml") + SIZE_OFFSET, struct.pack("<I", 100))

    with pytest.raises(UnreadableDocument):
        Archive(data).read("a.xml")


def test_parts_that_share_their_bytes_are_refused() -> None:
    data = zip_of({"a.xml": "x" * 100, "b.xml": "y" * 100})
    data = _patched(data, _directory(data, b"b.xml") + PLACE_OFFSET, struct.pack("<I", 0))

    with pytest.raises(UnreadableDocument, match="overlap"):
        Archive(data)


def test_a_part_with_a_password_is_told() -> None:
    data = zip_of({"a.xml": "x"})
    data = _patched(data, _directory(data, b"a.xml") + FLAGS_OFFSET, b"\x01")

    with pytest.raises(DocumentEncrypted):
        Archive(data)


@pytest.mark.parametrize("name", ["../a.xml", "/etc/passwd", "a/../../b", "..\\a"])
def test_names_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(UnreadableDocument):
        Archive(zip_of({name: "x"}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_parts_of_one_name_are_refused() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        made.writestr("a.xml", "x")
        made.writestr("A.xml", "y")

    with pytest.raises(UnreadableDocument):
        Archive(target.getvalue())


def test_too_many_entries_are_refused_before_they_are_listed() -> None:
    mark = b"PK\x01\x02" + bytes(42)

    with pytest.raises(LoaderLimit):
        Archive(mark * (archive_module.MAX_ENTRIES + 1) + b"PK\x05\x06" + bytes(18))


def test_an_uncommon_way_of_packing_is_refused() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("a.xml", "x")

    with pytest.raises(UnreadableDocument):
        Archive(target.getvalue())


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_archive_is_read_or_refused_and_nothing_else(seed: int) -> None:
    source = random.Random(seed)
    data = bytearray(zip_of({"a.xml": "words " * 50, "b/c.xml": "more"}))
    for _ in range(source.randrange(1, 6)):
        data[source.randrange(len(data))] = source.randrange(256)
    with suppress(LoaderError):
        archive = Archive(bytes(data[: source.choice([len(data), -9, 40])]))
        for name in archive.names:
            archive.read(name)
