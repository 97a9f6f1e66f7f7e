"""What a file is: its bytes decide."""

import random
from contextlib import suppress

import pytest

from loaders.errors import (
    EmptyDocument,
    LoaderError,
    UnsupportedMedia,
)
from loaders.media_type import MediaType
from loaders.recognition import recognise

PROSE = b"Dear reader, this is prose, and nothing else.\nIt has commas, too.\nAnd lines, plenty.\n"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"


@pytest.mark.parametrize("name", ["a.pdf", "a.txt", "a.html", "a", "a.docx", ""])
def test_a_pdf_is_a_pdf_whatever_its_name(name: str) -> None:
    assert recognise(PDF, name).media_type is MediaType.PDF


def test_a_pdf_may_begin_after_some_junk() -> None:
    assert recognise(b"\x00\x01junk\xff\n" + PDF, "a.pdf").media_type is MediaType.PDF


def test_prose_about_pdf_is_prose() -> None:
    assert recognise(b"A file begins with %PDF-1.7, they say.", "a").media_type is MediaType.TEXT


@pytest.mark.parametrize("suffix", ["pdf", "docx", "xlsx", "png", "mp3", "zip", "PDF"])
def test_text_that_claims_to_be_something_else_is_refused(suffix: str) -> None:
    with pytest.raises(UnsupportedMedia, match="named"):
        recognise(PROSE, f"a.{suffix}")


@pytest.mark.parametrize("name", ["a.txt", "a", "a.json", "a.xml", "a.srt", "a.eml", "a.unknown"])
def test_prose_is_text(name: str) -> None:
    assert recognise(PROSE, name).media_type is MediaType.TEXT


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.log", MediaType.LOG), ("a.py", MediaType.CODE), ("a.rst", MediaType.RST)],
)
def test_the_name_tells_dialects_that_the_content_does_not(name: str, kind: MediaType) -> None:
    assert recognise(PROSE, name).media_type is kind


@pytest.mark.parametrize(
    "markup",
    [
        b"<!DOCTYPE html><html><p>x</p>",
        b"  <HTML><body>x",
        b"\xef\xbb\xbf<!-- made by hand -->\n<!doctype HTML>\n<p>x",
        b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0'><html/>",
    ],
)
@pytest.mark.parametrize("name", ["a.html", "a.txt", "a.md"])
def test_a_page_is_html_whatever_its_name(markup: bytes, name: str) -> None:
    assert recognise(markup, name).media_type is MediaType.HTML


def test_a_fragment_is_html_when_its_name_says_so() -> None:
    assert recognise(b"<p>x</p>", "a.html").media_type is MediaType.HTML
    assert recognise(b"<p>x</p>", "a.txt").media_type is MediaType.TEXT


def test_prose_that_is_named_html_is_text() -> None:
    assert recognise(PROSE, "a.html").media_type is MediaType.TEXT


def test_the_encoding_that_a_page_declares_is_used() -> None:
    page = '<html><meta charset="windows-1250"><p>kůň</p></html>'
    assert "kůň" in recognise(page.encode("cp1250"), "a.html").text


def test_markdown_is_told_by_its_name() -> None:
    assert recognise(b"# Title\n\ntext", "README.MD").media_type is MediaType.MARKDOWN


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_clean_table_is_csv_whatever_its_name(delimiter: str) -> None:
    rows = [["name", "town", "zip"], ["Anna", "Rome", "00100"], ["Bob", "Oslo", "0150"]]
    data = "\n".join(delimiter.join(row) for row in rows).encode()

    kind = MediaType.TSV if delimiter == "\t" else MediaType.CSV
    for name in ("a.csv", "a.txt"):
        file = recognise(data, name)
        assert (file.media_type, file.delimiter) == (kind, delimiter)


def test_an_untidy_table_is_csv_when_its_name_says_so() -> None:
    data = b"name|town\nAnna|Rome\nBob|Oslo|odd\n"
    assert recognise(data, "a.csv").delimiter == "|"
    assert recognise(data, "a.txt").media_type is MediaType.TEXT


def test_a_table_of_one_column_is_csv_when_its_name_says_so() -> None:
    assert recognise(b"name\nAnna\nBob\n", "a.csv").media_type is MediaType.CSV


def test_a_poem_with_commas_is_text() -> None:
    poem = b"Roses are red, violets are blue\nSugar is sweet, so are you\nThe end, it is true\n"
    assert recognise(poem, "a.txt").media_type is MediaType.TEXT


BINARIES = [
    (b"{\\rtf1\\ansi plain text}", MediaType.RTF),
    (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", MediaType.PNG),
    (b"\xff\xd8\xff\xe0\x00\x10JFIF", MediaType.JPEG),
    (b"II*\x00\x08\x00\x00\x00", MediaType.TIFF),
    (b"MM\x00*\x00\x00\x00\x08", MediaType.TIFF),
    (b"RIFF\x24\x00\x00\x00WEBPVP8 ", MediaType.WEBP),
]


@pytest.mark.parametrize(("data", "kind"), BINARIES)
@pytest.mark.parametrize("name", ["a.txt", "a.pdf", "a.csv", "a"])
def test_a_binary_kind_is_told_by_its_bytes_whatever_its_name(
    data: bytes, kind: MediaType, name: str
) -> None:
    assert recognise(data, name).media_type is kind


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x05\x06" + bytes(18),
        b"RIFF\x24\x00\x00\x00AVI ",
        b"\x00\x00\x00\x18ftypheic",
        b"\x1f\x8b\x08\x00\x00",
        b"\x7fELF\x02\x01\x01\x00\x00",
        b"%!PS-Adobe-3.0\n",
        random.Random(3).randbytes(4000),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.pdf", "a.csv"])
def test_other_kinds_are_refused_whatever_their_name(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedMedia):
        recognise(data, name)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"a": 1}', MediaType.JSON),
        (b'\xef\xbb\xbf[{"a": 1}]', MediaType.JSON),
        (b'{"a": 1}\n{"a": 2}\n', MediaType.JSON_LINES),
        (b'<?xml version="1.0"?><feed/>', MediaType.XML),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n", MediaType.WEBVTT),
        (b"1\r\n00:00:01,000 --> 00:00:02,000\r\nHello\r\n", MediaType.SUBRIP),
        (b"From: a@b.c\nSubject: Hi\n\nHello", MediaType.EMAIL),
        (b"Received: by x\n\tfor y\nDate: today\n\nHello", MediaType.EMAIL),
        (b"From a@b.c Mon Jan  1 00:00:00 2024\nFrom: a@b.c\nTo: d@e.f\n\nHi", MediaType.MAILBOX),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a", "a.dat"])
def test_a_text_that_says_what_it_is_needs_no_name(data: bytes, kind: MediaType, name: str) -> None:
    assert recognise(data, name).media_type is kind


@pytest.mark.parametrize(
    "data",
    [
        b"[1] A reference\n[2] Another\n",
        b"{curly} prose",
        b"Date: today\nContent-Type: prose\n\nA note",
        b"From: me\nto you, with love",
        b"From here on 2024 it goes\n",
        b"ID3 is how tags of recordings begin",
        b"OggS is how others begin",
        b"RIFF is short for something",
    ],
)
def test_what_only_looks_like_it_is_text(data: bytes) -> None:
    assert recognise(data, "a.txt").media_type is MediaType.TEXT


@pytest.mark.parametrize("name", ["a.json", "a.geojson"])
def test_damaged_json_does_not_pass_for_prose(name: str) -> None:
    assert recognise(b'{"a": [1, 2', name).media_type is MediaType.JSON


def test_a_table_with_tabs_is_one() -> None:
    assert recognise(b"a\tb\n1\t2\n", "a.tsv").media_type is MediaType.TSV


def test_a_page_that_is_named_like_a_sheet_is_read_as_a_page() -> None:
    assert recognise(b"<html><table><tr><td>1</table>", "a.xls").media_type is MediaType.HTML


@pytest.mark.parametrize("data", [b"", b" \n\t", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00" * 9])
def test_a_file_without_content_is_empty(data: bytes) -> None:
    with pytest.raises(EmptyDocument):
        recognise(data, "a.txt")


@pytest.mark.parametrize("seed", range(60))
def test_any_bytes_are_recognised_or_refused_and_nothing_else(seed: int) -> None:
    source = random.Random(seed)
    data = source.randbytes(source.randrange(300))
    name = source.choice(["a.txt", "a.pdf", "a.csv", "a.html", "a", "\udcff.md"])
    with suppress(LoaderError):
        recognise(data, name)


@pytest.mark.timeout(20)
def test_a_file_that_begins_with_many_remarks_is_told_in_little_time() -> None:
    remarks = b"<?xml version='1.0'?>\n" + b"<!-- a -->\n" * 300

    assert recognise(remarks + b"<svg/>", "a").media_type is MediaType.XML
    assert recognise(remarks + b"<html><p>x", "a").media_type is MediaType.HTML
