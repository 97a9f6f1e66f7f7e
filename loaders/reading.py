"""Bytes to document, in the process that may be killed for it.

This imports heavy parsers: nothing that serves requests may import it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from loaders import encoding
from loaders.attachments import Attachments
from loaders.document import Element, ElementKind, LoadedDocument
from loaders.errors import EmptyDocument, LoaderError, UnreadableDocument
from loaders.formats import (
    csv,
    docx,
    epub,
    html,
    image,
    json,
    lines,
    mail,
    markdown,
    odf,
    pdf,
    pptx,
    rst,
    rtf,
    subtitles,
    text,
    xls,
    xlsx,
    xml,
)
from loaders.formats.content import Content
from loaders.media_type import MediaType, RecognisedFile
from loaders.ocr.recognition import warm_up_ocr
from loaders.ocr_choice import OcrChoice
from loaders.recognition import recognise
from loaders.titles import find_title
from loaders.work import work_in_hand

_SHARE_OF_RECORDINGS = 2
"""Half of what may come out of a file may be recordings in it."""
_MAIL = b"""From: =?utf-8?q?J=C3=B6?= <a@b.c>
Date: Mon, 1 Jan 2024 10:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain; charset=iso-8859-15
Content-Transfer-Encoding: quoted-printable

W=F6rter
--x
Content-Disposition: attachment; filename="a.txt"
Content-Transfer-Encoding: base64

V29yZHM=
--x--
"""

Loader = Callable[[RecognisedFile], Content]

LOADERS: Mapping[MediaType, Loader] = {
    MediaType.TEXT: lambda file: Content(elements=text.load(file.text)),
    MediaType.CODE: lambda file: Content(elements=lines.load(file.text, ElementKind.CODE)),
    MediaType.LOG: lambda file: Content(elements=lines.load(file.text, ElementKind.TEXT)),
    MediaType.MARKDOWN: lambda file: markdown.load(file.text),
    MediaType.RST: lambda file: Content(elements=rst.load(file.text)),
    MediaType.HTML: lambda file: Content(
        elements=html.load(file.text), title=html.find_title(file.text)
    ),
    MediaType.XML: lambda file: Content(elements=xml.load(file.text)),
    MediaType.CSV: lambda file: Content(
        elements=csv.load(file.text, delimiter=file.delimiter or ",")
    ),
    MediaType.TSV: lambda file: Content(elements=csv.load(file.text, delimiter="\t")),
    MediaType.JSON: lambda file: Content(elements=json.load(file.text)),
    MediaType.JSON_LINES: lambda file: Content(elements=json.load_lines(file.text)),
    MediaType.SUBRIP: lambda file: Content(elements=subtitles.load(file.text)),
    MediaType.WEBVTT: lambda file: Content(elements=subtitles.load(file.text)),
    MediaType.PDF: lambda file: pdf.load(file.data),
    MediaType.RTF: lambda file: rtf.load(file.data),
    MediaType.DOCX: lambda file: docx.load(file.data),
    MediaType.PPTX: lambda file: pptx.load(file.data),
    MediaType.XLSX: lambda file: xlsx.load(file.data),
    MediaType.XLS: lambda file: xls.load(file.data),
    MediaType.ODT: lambda file: odf.load_text(file.data),
    MediaType.ODS: lambda file: odf.load_sheets(file.data),
    MediaType.EPUB: lambda file: epub.load(file.data),
    **dict.fromkeys(image.KINDS, lambda file: image.load(file.data, file.media_type)),
}
"""How each kind of file is read that holds no other files."""

MAIL_LOADERS = {MediaType.EMAIL: mail.load, MediaType.MAILBOX: mail.load_box}
"""How those are read that do."""


def read_document(data: bytes, filename: str) -> LoadedDocument:
    """Read a file of any kind that can be read.

    Raises:
        LoaderError: the file cannot be read; the class says why.
    """
    recorded_bytes = work_in_hand().limits.output_bytes // _SHARE_OF_RECORDINGS
    attachments = Attachments(_read_attachment, recorded_bytes=recorded_bytes)
    media_type, content = _read(data, filename, attachments)
    return LoadedDocument(
        title=find_title(content.title, content.elements, media_type, filename),
        mime=media_type,
        elements=tuple(content.elements),
        pages=content.pages,
    )


def warm_up(ocr: OcrChoice = OcrChoice()) -> str | None:  # noqa: B008 - a frozen value
    """Read something of every kind, so that what a parser loads on first use is there.

    Gives why pictures cannot be read, if they cannot; all else can.
    """
    read_document(b"Words.\n\nAnd more words.\n- a\n- b", "a.txt")
    read_document(b"# Words\n\n|a|b|\n|-|-|\n|1|2|\n\n```\ncode\n```", "a.md")
    read_document(b"<html><h1>Words</h1><table><tr><td>a</td></tr></table>", "a.html")
    read_document("Stra\xdfe\n".encode("latin-1"), "a.txt")
    encoding.warm_up()
    read_document(bytes(range(0xC0, 0xFF)) * 8, "a.txt")
    read_document(b"a,b\n1,2\n", "a.csv")
    read_document(b'{"a": "\xc3\xa9"}', "a.json")
    read_document(b"<?xml version='1.0'?><a>b</a>", "a.xml")
    read_document(b"Words\n=====\n\n.. note:: Words\n\n:math:`x`\n", "a.rst")
    read_document(_MAIL, "a.eml")
    image.warm_up()
    pdf.warm_up()
    return warm_up_ocr(ocr)


def _read(data: bytes, filename: str, attachments: Attachments) -> tuple[MediaType, Content]:
    file = recognise(data, filename)
    if file.media_type in MAIL_LOADERS:
        content = MAIL_LOADERS[file.media_type](data, attachments)
    else:
        content = LOADERS[file.media_type](file)
    elements = [_storable(each) for each in content.elements if each.text.strip()]
    if not elements:
        raise EmptyDocument("the file holds no text")
    return file.media_type, replace(content, elements=elements)


def _read_attachment(data: bytes, name: str, attachments: Attachments) -> list[Element]:
    try:
        return _read(data, name, attachments)[1].elements
    except (LoaderError, MemoryError):
        raise
    except RecursionError as exc:
        raise UnreadableDocument("it is nested too deeply") from exc
    except Exception as exc:  # a file of its own, as at the entry point: it harms no other
        raise UnreadableDocument(f"it cannot be read: {type(exc).__name__}") from exc


def _storable(element: Element) -> Element:
    """The element without what is no character: NULs, and halves of surrogate pairs."""
    text = element.text.replace("\x00", "")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return element if text == element.text else replace(element, text=text)
