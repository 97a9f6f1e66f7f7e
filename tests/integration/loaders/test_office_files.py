"""Office files through the real reading process: good ones, and such as are made to do harm."""

import asyncio
import io
import struct
import zipfile
import zlib
from collections.abc import AsyncIterator

import docx
import psutil
import pytest
import pytest_asyncio

from loaders.errors import (
    DocumentEncrypted,
    EmptyDocument,
    LoaderError,
    LoaderLimit,
    UnreadableDocument,
    UnsupportedMedia,
)
from loaders.reader_process import ReaderProcess
from loaders.settings import IngestSettings
from tests.fixtures.office import (
    docx_of,
    epub_of,
    odf_of,
    old_office_of,
    xls_label,
    xls_of,
    xlsx_of,
    zip_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
PARAGRAPH = "<w:p><w:r><w:t>seen</w:t></w:r></w:p>"
CELLS = '<row r="1"><c r="A1" t="str"><v>seen</v></c></row>'
SHEET = (
    '<table:table table:name="seen"><table:table-row><table:table-cell><text:p>x</text:p>'
    "</table:table-cell></table:table-row></table:table>"
)
ENTITY = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def reader() -> AsyncIterator[ReaderProcess]:
    process = ReaderProcess(IngestSettings())
    await process.start()
    yield process
    await process.close()


GOOD = {
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": docx_of(PARAGRAPH),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": xlsx_of(
        {"S": f"<sheetData>{CELLS}</sheetData>"}
    ),
    "application/vnd.ms-excel": xls_of([xls_label(0, 0, "seen")]),
    "application/vnd.oasis.opendocument.text": odf_of("text", "<text:p>seen</text:p>"),
    "application/vnd.oasis.opendocument.spreadsheet": odf_of("spreadsheet", SHEET),
    "application/epub+zip": epub_of({"a.xhtml": "<html><body><p>seen</p></body></html>"}),
    "application/rtf": rb"{\rtf1\ansi\ansicpg1251{\fonttbl{\f1\fcharset128 x;}}{\f1\'93\'fa} seen}",
}


@pytest.mark.parametrize("mime", GOOD)
async def test_office_files_of_every_kind_become_text(reader: ReaderProcess, mime: str) -> None:
    document = await reader.read(GOOD[mime], "renamed.bin")

    assert document.mime == mime
    assert "seen" in document.text


def _bomb() -> bytes:
    """A document with a part of a gigabyte, packed into one megabyte."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packer.compress(bytes(MIB))
    packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    name = "word/media/a.xml"
    data = zip_of({"word/document.xml": PARAGRAPH, name: block * 1024}, stored=(name,))
    at = data.rindex(name.encode()) - 46
    method, size = struct.pack("<H", zipfile.ZIP_DEFLATED), struct.pack("<I", 1024 * MIB)
    return data[: at + 10] + method + data[at + 12 : at + 24] + size + data[at + 28 :]


def _lying(data: bytes, name: bytes) -> bytes:
    """The same archive with a part that says it is smaller than it is."""
    at = data.rindex(name) - 46 + 24
    return data[:at] + struct.pack("<I", 10) + data[at + 4 :]


def _truncated() -> bytes:
    document = docx.Document()
    document.add_paragraph("Words. " * 1000)
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()[:-1000]


def _many_paragraphs() -> bytes:
    opening = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    return docx_of(opening + b"<w:body>" + b"<w:p><w:r><w:t>x</w:t></w:r></w:p>" * 3_000_000)


def _matryoshka(depth: int = 8) -> bytes:
    data = docx_of(PARAGRAPH)
    for _ in range(depth):
        data = zip_of({f"{number}.docx": data for number in range(4)}, stored=("0.docx",))
    return data


HOSTILE = {
    "a gigabyte": (_bomb, LoaderLimit),
    "a lying size": (lambda: _lying(docx_of(PARAGRAPH * 50), b"word/document.xml"),
                     UnreadableDocument),
    "archives in archives": (_matryoshka, UnsupportedMedia),
    "an entity in a docx": (
        lambda: docx_of(f"{ENTITY}<x>&e;</x>".encode()), UnreadableDocument),
    "an entity in an xlsx": (
        lambda: xlsx_of({"S": f"{ENTITY}<x><row><c><v>&e;</v></c></row></x>".encode()}),
        UnreadableDocument),
    "an entity in a book": (
        lambda: zip_of({"META-INF/container.xml": f"{ENTITY}<c>&e;</c>"}), UnreadableDocument),
    "three million paragraphs": (_many_paragraphs, LoaderLimit),
    "nesting": (lambda: docx_of(b"<x>" * 1_000_000), UnreadableDocument),
    "nested tables": (
        lambda: docx_of("<w:tbl><w:tr><w:tc/><w:tc>" * 90 + PARAGRAPH
                        + "</w:tc></w:tr></w:tbl>" * 90), UnreadableDocument),
    "a truncated docx": (_truncated, UnreadableDocument),
    "a password": (lambda: old_office_of({"EncryptedPackage": bytes(9)}), DocumentEncrypted),
    "an old document": (lambda: old_office_of({"WordDocument": bytes(9)}), UnsupportedMedia),
    "an empty document": (lambda: docx_of(""), EmptyDocument),
    "an empty workbook": (lambda: xlsx_of({"S": "<sheetData/>"}), EmptyDocument),
    "a repeated row": (
        lambda: odf_of("spreadsheet", SHEET.replace(
            "<table:table-row>", '<table:table-row table:number-rows-repeated="1048576">'
        ).replace("<table:table-cell>", '<table:table-cell table:number-columns-repeated="1000">')),
        LoaderLimit),
    "a shared string used often": (
        lambda: odf_of("spreadsheet", SHEET.replace("x</text:p>", "x" * 100_000 + "</text:p>")
                       .replace("<table:table-cell>",
                                '<table:table-cell table:number-columns-repeated="16384">')),
        LoaderLimit),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_file_ends_as_one_error_and_harms_nothing(
    reader: ReaderProcess, name: str
) -> None:
    make, error = HOSTILE[name]
    data = await asyncio.to_thread(make)
    before = psutil.Process().memory_info().rss

    with pytest.raises(LoaderError) as caught:
        await reader.read(data, "a.docx")

    assert type(caught.value) is error
    assert "breaks the program" not in str(caught.value)
    assert psutil.Process().memory_info().rss < before + 64 * MIB
    assert "seen" in (await reader.read(docx_of(PARAGRAPH), "next.docx")).text


async def test_macros_are_never_text(reader: ReaderProcess) -> None:
    target = io.BytesIO(docx_of(PARAGRAPH))
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("word/vbaProject.bin", b"Sub AutoOpen() evil")
        archive.writestr("word/embeddings/oleObject1.bin", b"evil")

    assert (await reader.read(target.getvalue(), "a.docm")).text == "seen"


async def test_two_cells_at_the_ends_of_a_sheet_take_no_room(reader: ReaderProcess) -> None:
    far = '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    book = xlsx_of({"S": f"<sheetData>{CELLS}{far}</sheetData>"})

    assert (await reader.read(book, "a.xlsx")).text == "S\n\nseen\n\n2"
