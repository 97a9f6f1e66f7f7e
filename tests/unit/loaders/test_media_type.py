"""What a file is: its bytes decide."""

import random
from contextlib import suppress

import pytest

from loaders.errors import EmptyDocument, LoaderError, UnsupportedMedia
from loaders.media_type import MediaType, recognise

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


@pytest.mark.parametrize("name", ["a.txt", "a.log", "a.py", "a", "a.json", "a.unknown"])
def test_prose_is_text(name: str) -> None:
    assert recognise(PROSE, name).media_type is MediaType.TEXT


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

    for name in ("a.csv", "a.txt"):
        file = recognise(data, name)
        assert (file.media_type, file.delimiter) == (MediaType.CSV, delimiter)


def test_an_untidy_table_is_csv_when_its_name_says_so() -> None:
    data = b"name|town\nAnna|Rome\nBob|Oslo|odd\n"
    assert recognise(data, "a.csv").delimiter == "|"
    assert recognise(data, "a.txt").media_type is MediaType.TEXT


def test_a_table_of_one_column_is_csv_when_its_name_says_so() -> None:
    assert recognise(b"name\nAnna\nBob\n", "a.csv").media_type is MediaType.CSV


def test_a_poem_with_commas_is_text() -> None:
    poem = b"Roses are red, violets are blue\nSugar is sweet, so are you\nThe end, it is true\n"
    assert recognise(poem, "a.txt").media_type is MediaType.TEXT


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00\xff\xfe",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"\xff\xd8\xff\xe0\x00\x10JFIF",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00\x00",
        b"{\\rtf1\\ansi plain text}",
        b"\x7fELF\x02\x01\x01\x00\x00",
        random.Random(3).randbytes(4000),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.pdf", "a.csv"])
def test_other_kinds_are_refused_whatever_their_name(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedMedia):
        recognise(data, name)


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
