"""Archives that are made to do harm, written byte by byte: no honest program makes them."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

MIB = 1024 * 1024

_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
    'relationships">{}</Relationships>'
)
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
SLIDE = "http://schemas.openxmlformats.org/presentationml/2006/main"


@dataclass(frozen=True, kw_only=True)
class Packed:
    """The bytes of an entry as they lie in the archive, and what the archive says of them."""

    data: bytes
    size: int
    crc: int
    flags: int = 0


def pack_stored(data: bytes) -> Packed:
    """Something small, deflated."""
    return pack_repeated(data, b"", 0, b"")


def pack_repeated(head: bytes, unit: bytes, times: int, tail: bytes) -> Packed:
    """A long text of which most is one unit again and again; takes the time of its checksum."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = deflate.compress(head) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(unit) + deflate.flush(zlib.Z_FULL_FLUSH)
    end = deflate.compress(tail) + deflate.flush()
    crc = zlib.crc32(head)
    for _ in range(times):
        crc = zlib.crc32(unit, crc)
    return Packed(
        data=start + block * times + end,
        size=len(head) + len(unit) * times + len(tail),
        crc=zlib.crc32(tail, crc),
    )


def make_archive(entries: Iterable[tuple[str, bytes | Packed]]) -> bytes:
    """A ZIP file of these entries, as its directory says, true or not."""
    body = io.BytesIO()
    directory = io.BytesIO()
    count = 0
    for name, content in entries:
        packed = content if isinstance(content, Packed) else pack_stored(content)
        offset = body.tell()
        body.write(_local_header(name, packed) + packed.data)
        directory.write(_directory_entry(name, packed, offset))
        count += 1
    return _closed(body.getvalue(), directory.getvalue(), count)


def make_overlapping_archive(name: str, kernel: Packed, times: int) -> bytes:
    """A ZIP file of which all entries are the same bytes."""
    body = _local_header(name, kernel) + kernel.data
    directory = b"".join(
        _directory_entry(name if number == 0 else f"{number}.xml", kernel, 0)
        for number in range(times)
    )
    return _closed(body, directory, times)


def _local_header(name: str, packed: Packed) -> bytes:
    encoded = name.encode()
    return (
        struct.pack(
            "<4s5H3I2H", b"PK\x03\x04", 20, packed.flags, 8, 0, 0x21, packed.crc,
            len(packed.data), packed.size, len(encoded), 0,
        )
        + encoded
    )  # fmt: skip


def _directory_entry(name: str, packed: Packed, offset: int) -> bytes:
    encoded = name.encode()
    return (
        struct.pack(
            "<4s6H3I5H2I", b"PK\x01\x02", 20, 20, packed.flags, 8, 0, 0x21, packed.crc,
            len(packed.data), packed.size, len(encoded), 0, 0, 0, 0, 0, offset,
        )
        + encoded
    )  # fmt: skip


def _closed(body: bytes, directory: bytes, count: int) -> bytes:
    shown = min(count, 0xFFFF)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, shown, shown, len(directory), len(body), 0)
    return body + directory + end


def relations(*targets: tuple[str, str]) -> bytes:
    """A part that leads from one part to others, of a kind each."""
    return _RELATIONS.format(
        "".join(
            f'<Relationship Id="r{number}" Type="{_RELATION}/{kind}" Target="{target}"/>'
            for number, (kind, target) in enumerate(targets, start=1)
        )
    ).encode()


def _types(part: str, kind: str) -> bytes:
    """What kind of document an Office archive says that it is."""
    return (
        '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/'
        f'content-types"><Override PartName="/{part}" ContentType="application/vnd.'
        f'openxmlformats-officedocument.{kind}.main+xml"/></Types>'
    ).encode()


def make_docx(document: bytes | Packed, *others: tuple[str, bytes | Packed]) -> bytes:
    """A Word document of this main part."""
    return make_archive(
        [
            ("[Content_Types].xml", _types("word/document.xml", "wordprocessingml.document")),
            ("_rels/.rels", relations(("officeDocument", "word/document.xml"))),
            ("word/document.xml", document),
            *others,
        ]
    )


def make_pptx(slide: bytes | Packed) -> bytes:
    """A presentation of one slide."""
    main = (
        f'<p:presentation xmlns:p="{SLIDE}" xmlns:r="{_RELATION}"><p:sldIdLst>'
        '<p:sldId id="256" r:id="r1"/></p:sldIdLst></p:presentation>'
    ).encode()
    return make_archive(
        [
            (
                "[Content_Types].xml",
                _types("ppt/presentation.xml", "presentationml.presentation"),
            ),
            ("_rels/.rels", relations(("officeDocument", "ppt/presentation.xml"))),
            ("ppt/presentation.xml", main),
            ("ppt/_rels/presentation.xml.rels", relations(("slide", "slides/slide1.xml"))),
            ("ppt/slides/slide1.xml", slide),
        ]
    )


def make_xlsx(sheet: bytes | Packed, *others: tuple[str, bytes | Packed]) -> bytes:
    """A workbook of one sheet."""
    main = (
        f'<workbook xmlns="{SHEET}" xmlns:r="{_RELATION}"><sheets>'
        '<sheet name="Sheet" sheetId="1" r:id="r1"/></sheets></workbook>'
    ).encode()
    targets = [("worksheet", "worksheets/sheet1.xml"), ("sharedStrings", "sharedStrings.xml")]
    return make_archive(
        [
            ("[Content_Types].xml", _types("xl/workbook.xml", "spreadsheetml.sheet")),
            ("_rels/.rels", relations(("officeDocument", "xl/workbook.xml"))),
            ("xl/workbook.xml", main),
            ("xl/_rels/workbook.xml.rels", relations(*targets[: 1 + bool(others)])),
            ("xl/worksheets/sheet1.xml", sheet),
            *others,
        ]
    )


def make_odt(content: bytes | Packed) -> bytes:
    """An OpenDocument text of this content."""
    kind = b"application/vnd.oasis.opendocument.text"
    return make_archive([("mimetype", kind), ("content.xml", content)])


def make_epub(chapter: bytes | Packed, *others: tuple[str, bytes | Packed]) -> bytes:
    """A book of one chapter."""
    container = (
        b'<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        b'<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/>'
        b"</rootfiles></container>"
    )
    package = (
        b'<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><manifest>'
        b'<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
        b'<spine><itemref idref="a"/></spine></package>'
    )
    return make_archive(
        [
            ("mimetype", b"application/epub+zip"),
            ("META-INF/container.xml", container),
            ("book.opf", package),
            ("a.xhtml", chapter),
            *others,
        ]
    )


def word_paragraphs(times: int) -> Packed:
    """As many paragraphs of one letter."""
    unit = b"<w:p><w:r><w:t>x</w:t></w:r></w:p>" * 1000
    head = f'<w:document xmlns:w="{WORD}"><w:body>'.encode()
    return pack_repeated(head, unit, times // 1000, b"</w:body></w:document>")


def filled(head: bytes, mib: int, tail: bytes) -> Packed:
    """So many MiB of one letter between two tags."""
    return pack_repeated(head, b"a" * MIB, mib, tail)


def lying(packed: Packed, size: int) -> Packed:
    """The same entry, of which the directory says that it holds less."""
    return replace(packed, size=size)


def nested(levels: int) -> bytes:
    """An archive in an archive in an archive."""
    data = make_archive([("bomb.txt", filled(b"", 64, b""))])
    for level in range(levels):
        outer = io.BytesIO()
        with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
            for copy in range(4):
                archive.writestr(f"{level}-{copy}.zip", data)
        data = outer.getvalue()
    return data
