"""PDFs, pictures and recordings that are made to do harm, written byte by byte."""

import struct
import zlib
from collections.abc import Sequence

from tests.security.hostile_archives import MIB

_A4 = b"/MediaBox[0 0 595 842]"
_FONT = b"/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"


def make_pdf(objects: Sequence[bytes]) -> bytes:
    """A PDF of these objects, numbered from 1; the first is the catalogue."""
    parts = [b"%PDF-1.7\n"]
    offsets = []
    length = len(parts[0])
    for number, content in enumerate(objects, start=1):
        offsets.append(length)
        parts.append(b"%d 0 obj\n%b\nendobj\n" % (number, content))
        length += len(parts[-1])
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, table))
    parts.append(b"trailer\n<</Size %d/Root 1 0 R>>\n" % size)
    parts.append(b"startxref\n%d\n%%%%EOF\n" % length)
    return b"".join(parts)


def stream(content: bytes, entries: bytes = b"") -> bytes:
    """An object that is a stream."""
    return b"<</Length %d%b>>\nstream\n%b\nendstream" % (len(content), entries, content)


def words(text: bytes) -> bytes:
    """What paints a line of text."""
    return b"BT /F 12 Tf 50 700 Td (%b) Tj ET" % text


def pdf_of_pages(count: int) -> bytes:
    """So many pages, each with its number on it."""
    kids = b" ".join(b"%d 0 R" % (3 + 2 * number) for number in range(count))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d%b%b/Kids[%b]>>" % (count, _A4, _FONT, kids),
    ]
    for number in range(count):
        objects.append(b"<</Type/Page/Parent 2 0 R/Contents %d 0 R>>" % (4 + 2 * number))
        objects.append(stream(words(b"This is page %d." % (number + 1))))
    return make_pdf(objects)


def pdf_of_packed_pages(count: int) -> bytes:
    """So many pages, all in one stream of objects."""
    texts = [b"<</Type/Catalog/Pages 2 0 R>>"]
    kids = b" ".join(b"%d 0 R" % (3 + number) for number in range(count))
    texts.append(b"<</Type/Pages/Count %d%b/Kids[%b]>>" % (count, _A4, kids))
    texts += [b"<</Type/Page/Parent 2 0 R>>"] * count
    offsets, length = [], 0
    for text in texts:
        offsets.append(length)
        length += len(text) + 1
    index = b" ".join(b"%d %d" % pair for pair in enumerate(offsets, start=1)) + b" "
    packed = zlib.compress(index + b" ".join(texts))
    holder, table = len(texts) + 1, len(texts) + 2
    head = b"%PDF-1.7\n"
    first = b"%d 0 obj\n%b\nendobj\n" % (
        holder,
        stream(packed, b"/Type/ObjStm/N %d/First %d/Filter/FlateDecode" % (len(texts), len(index))),
    )
    rows = struct.pack(">BIH", 0, 0, 0xFFFF)
    rows += b"".join(struct.pack(">BIH", 2, holder, place) for place in range(len(texts)))
    rows += struct.pack(">BIH", 1, len(head), 0)
    rows += struct.pack(">BIH", 1, len(head) + len(first), 0)
    last = b"%d 0 obj\n%b\nendobj\n" % (
        table,
        stream(
            zlib.compress(rows),
            b"/Type/XRef/W[1 4 2]/Size %d/Root 1 0 R/Filter/FlateDecode" % (table + 1),
        ),
    )
    return head + first + last + b"startxref\n%d\n%%%%EOF\n" % (len(head) + len(first))


def pdf_of(page: bytes, *others: bytes, pages: bytes = b"") -> bytes:
    """One page; further objects are numbered from 4."""
    return make_pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            pages or b"<</Type/Pages/Count 1%b%b/Kids[3 0 R]>>" % (_A4, _FONT),
            page,
            *others,
        ]
    )


def pdf_with_a_huge_stream(mib: int) -> bytes:
    """A page whose content inflates to so much."""
    content = deflated(words(b"Words."), b" " * MIB, mib, b"")
    return pdf_of(
        b"<</Type/Page/Parent 2 0 R/Contents 4 0 R>>", stream(content, b"/Filter/FlateDecode")
    )


def pdf_with_looping_pages() -> bytes:
    """The pages hold themselves."""
    return pdf_of(b"<<>>", pages=b"<</Type/Pages/Count 2/Kids[2 0 R 2 0 R]/Parent 2 0 R>>")


def pdf_with_looping_tables() -> bytes:
    """The table of objects says that it goes on where it begins."""
    whole = pdf_of_pages(1)
    start = whole.rindex(b"xref\n0 ")
    return whole.replace(b"/Root 1 0 R", b"/Root 1 0 R/Prev %d" % start)


def pdf_with_looping_forms() -> bytes:
    """The page paints a form that paints itself twice."""
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 4 0 R>>>>"
    return pdf_of(
        b"<</Type/Page/Parent 2 0 R/Contents 5 0 R/Resources<</XObject<</X 4 0 R>>>>>>",
        stream(b"/X Do /X Do", form),
        stream(b"/X Do"),
    )


def pdf_with_forms_in_forms(depth: int) -> bytes:
    """The page paints a form that paints another ten times, which does so with the next."""
    head = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]"
    forms = [
        stream(b"/X Do " * 10, b"%b/Resources<</XObject<</X %d 0 R>>>>" % (head, number))
        for number in range(6, 6 + depth)
    ]
    return pdf_of(
        b"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</XObject<</X 5 0 R>>>>>>",
        stream(b"/X Do"),
        *forms,
        stream(b"0 0 1 1 re f", head),
    )


def pdf_with_deep_arrays(depth: int) -> bytes:
    """A page with a list in a list in a list."""
    return pdf_of(b"<</Type/Page/Parent 2 0 R/Odd " + b"[" * depth + b"]" * depth + b">>")


def deflated(head: bytes, unit: bytes, times: int, tail: bytes) -> bytes:
    """A zlib stream of one unit again and again."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = deflate.compress(head) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(unit) + deflate.flush(zlib.Z_FULL_FLUSH)
    end = deflate.compress(tail) + deflate.flush()
    checksum = zlib.adler32(head)
    for _ in range(times):
        checksum = zlib.adler32(unit, checksum)
    checksum = zlib.adler32(tail, checksum)
    return b"x\xda" + start + block * times + end + struct.pack(">I", checksum)


def png(width: int, height: int, *, bits: int, data: bytes, before: bytes = b"") -> bytes:
    """A grey picture that says it is so large."""
    header = struct.pack(">2I5B", width, height, bits, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + before
        + png_chunk(b"IDAT", data)
        + png_chunk(b"IEND", b"")
    )


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A piece of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def black_png(width: int, height: int) -> bytes:
    """A black picture, in truth as large as it says."""
    rows = 500
    row = bytes(1 + (width + 7) // 8)
    return png(width, height, bits=1, data=deflated(b"", row * rows, height // rows, b""))


def tiff(width: int, height: int, *, strip: int, next_page: int = 0) -> bytes:
    """A picture of one strip that says it is so large, and where the next page begins."""
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (278, 4, 1, height),
        (279, 4, 1, strip),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<2H2I", *entry) for entry in entries)
    body = bytes(64)
    return (
        struct.pack("<2sHI", b"II", 42, 8 + len(body))
        + body
        + directory
        + struct.pack("<I", next_page)
    )


def looping_tiff() -> bytes:
    """A picture whose second page is its first."""
    return tiff(8, 8, strip=64, next_page=8 + 64)


def jpeg(width: int, height: int) -> bytes:
    """A picture that says it is so large, and then says nothing."""
    frame = struct.pack(">2sHB2H", b"\xff\xc0", 11, 8, height, width) + bytes((1, 1, 0x11, 0))
    scan = b"\xff\xda" + bytes((0, 8, 1, 1, 0, 0, 63, 0))
    return b"\xff\xd8" + frame + scan + bytes(100) + b"\xff\xd9"


def gif(width: int, height: int) -> bytes:
    """A picture of one dot on a canvas that says it is so large."""
    return (
        struct.pack("<6s2H3B", b"GIF89a", width, height, 0x80, 0, 0)
        + bytes((0, 0, 0, 255, 255, 255))
        + struct.pack("<B4HB", 0x2C, 0, 0, width, height, 0)
        + bytes((2, 2, 0x44, 1, 0, 0x3B))
    )


def wav(samples: bytes, *, claimed: int | None = None, rate: int = 16_000) -> bytes:
    """A recording that says how long it is, true or not."""
    size = len(samples) if claimed is None else claimed
    form = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size) + samples
    return b"RIFF" + struct.pack("<I", (size + 36) % 2**32) + body
