"""Bytes to document, in the process that may be killed for it.

This imports heavy parsers: nothing that serves requests may import it.
"""

from pathlib import PurePath

from loaders.document import Element, ElementKind, LoadedDocument
from loaders.errors import EmptyDocument
from loaders.formats import csv, html, markdown, pdf, text
from loaders.media_type import MediaType, RecognisedFile, recognise

_LONGEST_TITLE_CHARS = 200


def read_document(data: bytes, filename: str) -> LoadedDocument:
    """Read a file of any kind that can be read.

    Raises:
        LoaderError: the file cannot be read; the class says why.
    """
    file = recognise(data, filename)
    if file.media_type is MediaType.PDF:
        content = pdf.load(data)
        return LoadedDocument(
            title=_title(content.title, filename),
            mime=file.media_type,
            elements=tuple(content.elements),
            pages=content.pages,
        )
    elements = _read_text(file)
    if not elements:
        raise EmptyDocument("the file holds no text")
    return LoadedDocument(
        title=_title(_own_title(file, elements), filename),
        mime=file.media_type,
        elements=tuple(elements),
    )


def warm_up() -> None:
    """Read something of every kind, so that what a parser loads on first use is there."""
    read_document(b"Words.\n\nAnd more words.\n- a\n- b", "a.txt")
    read_document(b"# Words\n\n|a|b|\n|-|-|\n|1|2|\n\n```\ncode\n```", "a.md")
    read_document(b"<html><h1>Words</h1><table><tr><td>a</td></tr></table>", "a.html")
    read_document("Stra\xdfe\n".encode("latin-1"), "a.txt")
    read_document(bytes(range(0xC0, 0xFF)) * 8, "a.txt")
    read_document(b"a,b\n1,2\n", "a.csv")


def _read_text(file: RecognisedFile) -> list[Element]:
    match file.media_type:
        case MediaType.HTML:
            return html.load(file.text)
        case MediaType.MARKDOWN:
            return markdown.load(file.text)
        case MediaType.CSV:
            return csv.load(file.text, delimiter=file.delimiter or ",")
        case _:
            return text.load(file.text)


def _own_title(file: RecognisedFile, elements: list[Element]) -> str | None:
    if file.media_type is MediaType.HTML and (title := html.find_title(file.text)):
        return title
    headings = (each for each in elements if each.kind is ElementKind.HEADING)
    first = next(headings, None)
    return first.text if first is not None and first.level == 1 else None


def _title(own: str | None, filename: str) -> str:
    title = " ".join((own or PurePath(filename).stem or filename).split())
    return title[:_LONGEST_TITLE_CHARS] or "untitled"
