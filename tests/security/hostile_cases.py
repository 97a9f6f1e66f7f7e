"""What is made to do harm, by the name under which it comes."""

from collections.abc import Callable

from tests.security import hostile_archives as archives
from tests.security import hostile_pages as pages
from tests.security import hostile_texts as texts
from tests.security.hostile_archives import MIB

Make = Callable[[], bytes]

BOMBS: dict[str, Make] = {
    "a gigabyte.docx": lambda: archives.make_docx(archives.filled(b"<a>", 1024, b"</a>")),
    "a gigabyte.pptx": lambda: archives.make_pptx(archives.filled(b"<a>", 1024, b"</a>")),
    "a gigabyte.xlsx": lambda: archives.make_xlsx(archives.filled(b"<a>", 1024, b"</a>")),
    "a gigabyte.odt": lambda: archives.make_odt(archives.filled(b"<a>", 1024, b"</a>")),
    "a gigabyte.epub": lambda: archives.make_epub(archives.filled(b"<p>", 1024, b"</p>")),
    "a gigabyte of strings.xlsx": lambda: archives.make_xlsx(
        texts.sheet(), ("xl/sharedStrings.xml", archives.filled(b"<a>", 1024, b"</a>"))
    ),
    "a gigabyte beside the text.docx": lambda: archives.make_docx(
        b"<a/>", ("word/media/image1.bmp", archives.filled(b"BM", 1024, b""))
    ),
    "three million paragraphs.docx": lambda: archives.make_docx(
        archives.word_paragraphs(3_000_000)
    ),
    "a gigabyte that says ten bytes.docx": lambda: archives.make_docx(
        archives.lying(archives.filled(b"<a>", 1024, b"</a>"), 10)
    ),
    "a gigabyte that says ten bytes.epub": lambda: archives.make_epub(
        archives.lying(archives.filled(b"<p>", 1024, b"</p>"), 10)
    ),
    "all entries are the same bytes.docx": lambda: archives.make_overlapping_archive(
        "word/document.xml", archives.filled(b"<a>", 8, b"</a>"), 2_000
    ),
    "many entries.docx": lambda: archives.make_docx(
        b"<a/>", *((f"word/{number}.xml", b"") for number in range(70_000))
    ),
    "a text that stands for a gigabyte.xml": texts.laughing_xml,
    "a text that stands for a gigabyte.docx": texts.laughing_docx,
    "a gigabyte on a page.pdf": lambda: pages.pdf_with_a_huge_stream(1024),
    "a form that paints itself twice.pdf": pages.pdf_with_looping_forms,
    "forms that paint each other ten times.pdf": lambda: pages.pdf_with_forms_in_forms(20),
    "fifty thousand dots square.png": lambda: pages.black_png(50_000, 50_000),
    "fifty thousand dots square, but empty.png": lambda: pages.png(
        50_000, 50_000, bits=8, data=b"x"
    ),
    "four thousand million dots square.png": lambda: pages.png(
        2**31 - 1, 2**31 - 1, bits=16, data=b"x"
    ),
    "a gigabyte of remarks.png": lambda: pages.png(
        8, 8, bits=8, data=pages.deflated(b"", bytes(72), 1, b""),
        before=pages.png_chunk(b"zTXt", b"a\x00\x00" + pages.deflated(b"", b"a" * MIB, 1024, b"")),
    ),
    "four thousand million dots square.tif": lambda: pages.tiff(2**32 - 1, 2**32 - 1, strip=64),
    "a strip of four gigabytes.tif": lambda: pages.tiff(60_000, 60_000, strip=2**32 - 1),
    "pages without end.tif": pages.looping_tiff,
    "sixty thousand dots square.jpg": lambda: pages.jpeg(65_500, 65_500),
    "sixty thousand dots square.gif": lambda: pages.gif(65_500, 65_500),
    "ten thousand attachments.eml": lambda: texts.mail_of_parts(10_000),
    "a bomb attached.eml": lambda: texts.mail_with(
        b"bomb.docx", archives.make_docx(archives.filled(b"<a>", 1024, b"</a>"))
    ),
    "first cell and last.xlsx": lambda: archives.make_xlsx(
        texts.sheet(texts.cell("A1", "first"), texts.cell("XFD1048576", "last"))
    ),
    "a field of twenty megabytes.csv": texts.csv_with_a_huge_field,
}  # fmt: skip
HONEST_BOMBS = {
    "a gigabyte of remarks.png",
    "pages without end.tif",
    "ten thousand attachments.eml",
    "a bomb attached.eml",
    "first cell and last.xlsx",
    "a field of twenty megabytes.csv",
    "a gigabyte beside the text.docx",
    "a gigabyte on a page.pdf",
}
"""What is small and true in them may be read."""

BROKEN: dict[str, Make] = {
    "pages that hold themselves.pdf": pages.pdf_with_looping_pages,
    "a table that goes on where it begins.pdf": pages.pdf_with_looping_tables,
    "lists in lists.pdf": lambda: pages.pdf_with_deep_arrays(200_000),
    "tables in tables.docx": lambda: texts.deep_docx(2_000),
    "lists in lists.json": lambda: b"[" * 200_000 + b"]" * 200_000,
    "objects in objects.json": lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a number of a million figures.json": lambda: b'{"a": ' + b"9" * 1_000_000 + b"}",
    "half of a pair.json": lambda: b'{"a": "\\ud800", "b": "honest"}',
    "nothing.json": lambda: b'{"a": "x\\u0000y"}',
    "no number.json": lambda: b'{"a": NaN, "b": Infinity}',
    "a mark first.json": lambda: b'\xef\xbb\xbf{"a": "honest"}',
    "elements in elements.html": lambda: b"<html>" + b"<div>" * 300_000 + b"deep",
    "elements in elements.xml": lambda: b"<?xml version='1.0'?>" + b"<a>" * 300_000,
    "elements in elements.epub": lambda: archives.make_epub(b"<html>" + b"<div>" * 300_000),
    "attributes without end.html": lambda: b"<html><p " + b"a=1 " * 500_000 + b">honest</p>",
    "messages in messages.eml": lambda: texts.mail_of_levels(5_000),
    "parts in parts.eml": lambda: texts.mail_of_nested_parts(1_000),
    "an unknown charset.eml": lambda: texts.mail(
        b"honest\r\n", b'Content-Type: text/plain; charset="x-no-such"\r\n'
    ),
    "a charset that is none.eml": lambda: texts.mail(
        b"honest\r\n", b'Content-Type: text/plain; charset="rot13"\r\n'
    ),
    "a header of five megabytes.eml": lambda: texts.mail(
        b"honest\r\n", b"X-Long: " + b"x" * 5_000_000 + b"\r\n"
    ),
    "a subject in an unknown charset.eml": lambda: texts.mail(
        b"honest\r\n", b"Comments: =?x-no-such?q?=FF?=\r\n"
    ),
    "no base64.eml": lambda: texts.mail(b"\xff!!!", b"Content-Transfer-Encoding: base64\r\n"),
    "a mark that is never closed.csv": lambda: b'a,b\n1,"' + b"x\n" * 1_000_000,
    "a hundred thousand columns.csv": lambda: b",".join([b"x"] * 100_000) + b"\n" * 3,
    "a size that lies.xlsx": lambda: archives.make_xlsx(
        texts.sheet(*(texts.cell(f"A{row}", f"honest {row}") for row in range(1, 21)))
    ),
    "groups in groups.rtf": lambda: rb"{\rtf1 " + b"{" * 300_000 + b"deep",
    "bytes that lie.rtf": lambda: rb"{\rtf1 honest {\*\bin2147483647 x}}",
    "letters that are none.rtf": lambda: rb"{\rtf1\ansi\ansicpg99999 \'ff\u99999999? honest}",
    "one line of ten megabytes.txt": lambda: b"x" * 10_000_000,
    "half of a letter.txt": lambda: "honest".encode("utf-16") + b"x",
    "links in itself.rst": lambda: b"|a|\n\n.. |a| replace:: |a|\n",
    "lists in lists.rst": lambda: b"".join(b"  " * n + b"- a\n\n" for n in range(500)),
    "quotes in quotes.rst": lambda: b"".join(b" " * n + b"a\n\n" for n in range(1_000)),
}
HONEST = {
    "half of a pair.json", "a mark first.json", "an unknown charset.eml",
    "a charset that is none.eml", "a header of five megabytes.eml", "attributes without end.html",
    "a subject in an unknown charset.eml", "a size that lies.xlsx",
}  # fmt: skip
