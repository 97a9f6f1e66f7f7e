"""Texts that are made to do harm: what is plain to write, and hard to read."""

import base64
from pathlib import Path

from tests.security.hostile_archives import (
    DRAWING,
    MIB,
    SHEET,
    SLIDE,
    WORD,
    make_docx,
    make_epub,
    make_odt,
    make_pptx,
    make_xlsx,
)

_WITNESS = "Honest words."


def fetching_files(secret: Path) -> dict[str, bytes]:
    """By name, files of every kind that ask for another file to be put into them."""
    path, url = str(secret), secret.as_uri()
    declared = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "{url}">]>'
    word = (
        f'{declared}<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>{_WITNESS} &e;</w:t></w:r>'
        "</w:p></w:body></w:document>"
    )
    slide = (
        f'{declared}<p:sld xmlns:p="{SLIDE}" xmlns:a="{DRAWING}"><p:cSld><p:spTree><p:sp>'
        f"<p:txBody><a:p><a:r><a:t>{_WITNESS} &e;</a:t></a:r></a:p></p:txBody></p:sp></p:spTree>"
        "</p:cSld></p:sld>"
    )
    sheet = (
        f'{declared}<worksheet xmlns="{SHEET}"><sheetData><row r="1"><c r="A1" t="inlineStr"><is>'
        f"<t>{_WITNESS} &e;</t></is></c></row></sheetData></worksheet>"
    )
    office = "urn:oasis:names:tc:opendocument:xmlns"
    odt = (
        f'{declared}<office:document-content xmlns:office="{office}:office:1.0" '
        f'xmlns:text="{office}:text:1.0"><office:body><office:text><text:p>{_WITNESS} &e;</text:p>'
        "</office:text></office:body></office:document-content>"
    )
    page = f'<html xmlns="http://www.w3.org/1999/xhtml"><body><p>{_WITNESS} &e;</p></body></html>'
    included = (
        f'<html xmlns="http://www.w3.org/1999/xhtml" xmlns:i="http://www.w3.org/2001/XInclude"><body>'
        f'<p>{_WITNESS}</p><i:include href="{url}" parse="text"/></body></html>'
    )
    return {
        "entity.docx": make_docx(word.encode()),
        "entity.pptx": make_pptx(slide.encode()),
        "entity.xlsx": make_xlsx(sheet.encode()),
        "entity.odt": make_odt(odt.encode()),
        "entity.epub": make_epub((declared + page).encode()),
        "entity.xml": f"{declared}<x>{_WITNESS} &e;</x>".encode(),
        "entity.html": (declared.replace("DOCTYPE x", "DOCTYPE html") + page).encode(),
        "included.epub": make_epub(included.encode()),
        "included.xml": included.encode(),
        "linked.html": (
            f'<html><p>{_WITNESS}</p><iframe src="{url}"></iframe><object data="{url}"></object>'
            f'<link rel="import" href="{url}"><img src="{url}"></html>'
        ).encode(),
        "linked.md": f'{_WITNESS}\n\n![]({url})\n\n<iframe src="{url}"></iframe>\n'.encode(),
        "included.rst": f"{_WITNESS}\n\n.. include:: {path}\n".encode(),
        "literal.rst": f"{_WITNESS}\n\n.. include:: {path}\n   :literal:\n".encode(),
        "raw.rst": f"{_WITNESS}\n\n.. raw:: html\n   :file: {path}\n".encode(),
        "raw-url.rst": f"{_WITNESS}\n\n.. raw:: html\n   :url: {url}\n".encode(),
        "table.rst": f"{_WITNESS}\n\n.. csv-table::\n   :file: {path}\n".encode(),
        "table-url.rst": f"{_WITNESS}\n\n.. csv-table::\n   :url: {url}\n".encode(),
        "field.rtf": (
            r"{\rtf1 " + _WITNESS + r"{\field{\*\fldinst INCLUDETEXT " "" + path + r"}{\fldrslt }}}"
        ).encode(),
        "external.eml": (
            "From: a@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
            f"{_WITNESS}\r\n--b\r\nContent-Type: message/external-body; access-type=local-file; "
            f'name="{path}"\r\n\r\nContent-Type: text/plain\r\n\r\n--b--\r\n'
        ).encode(),
    }


def laughing_xml() -> bytes:
    """A text of ten letters that stands for a thousand million."""
    entities = "".join(f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 10))
    return (f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{entities}]><x>&l9;</x>').encode()


def laughing_docx() -> bytes:
    """The same in a Word document."""
    document = (
        f'<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>&l9;</w:t></w:r></w:p></w:body>'
        "</w:document>"
    )
    return make_docx(laughing_xml().replace(b"<x>&l9;</x>", document.encode()))


def deep_docx(depth: int) -> bytes:
    """A table in a table in a table."""
    table = "<w:tbl><w:tr><w:tc>", "</w:tc></w:tr></w:tbl>"
    return make_docx(
        (
            f'<w:document xmlns:w="{WORD}"><w:body>{table[0] * depth}<w:p><w:r><w:t>deep</w:t>'
            f"</w:r></w:p>{table[1] * depth}</w:body></w:document>"
        ).encode()
    )


def docx_with_macros(document: bytes) -> bytes:
    """A document with a program in it."""
    return make_docx(document, ("word/vbaProject.bin", b"Sub AutoOpen() Shell calc End Sub"))


def sheet(*rows: str, dimension: str = "A1") -> bytes:
    """A sheet of these rows, and the size that it claims."""
    return (
        f'<worksheet xmlns="{SHEET}"><dimension ref="{dimension}"/><sheetData>'
        f"{''.join(rows)}</sheetData></worksheet>"
    ).encode()


def cell(place: str, text: str) -> str:
    """A row of one cell."""
    row = place.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return f'<row r="{row}"><c r="{place}" t="inlineStr"><is><t>{text}</t></is></c></row>'


def mail(body: bytes, headers: bytes = b"") -> bytes:
    """A message."""
    first = b"From: a@example.org\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"
    return first + headers + b"\r\n" + body


def mail_of_parts(count: int) -> bytes:
    """A message with so many attachments."""
    part = b"--b\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nx\r\n"
    return mail(part * count + b"--b--\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n")


def mail_of_levels(depth: int) -> bytes:
    """A message in a message in a message."""
    return mail(
        b"Content-Type: message/rfc822\r\n\r\n" * depth + b"deep",
        b"Content-Type: message/rfc822\r\n",
    )


def mail_of_nested_parts(depth: int) -> bytes:
    """Parts in parts in parts."""
    body = b"deep"
    kind = b"Content-Type: text/plain\r\n"
    for level in range(depth):
        edge = b"b%d" % level
        body = b"--" + edge + b"\r\n" + kind + b"\r\n" + body + b"\r\n--" + edge + b"--\r\n"
        kind = b"Content-Type: multipart/mixed; boundary=" + edge + b"\r\n"
    return mail(body, kind)


def mail_with(name: bytes, content: bytes) -> bytes:
    """A message with something attached."""
    return mail(
        b"--b\r\n\r\nSee the attachment.\r\n--b\r\nContent-Disposition: attachment; filename="
        + name
        + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(content)
        + b"\r\n--b--\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
    )


def slow_markdown() -> dict[str, bytes]:
    """By name, what takes careless readers of Markdown a time that grows with its square."""
    return {
        "brackets": b"[" * 50_000,
        "links": b"[a](" * 20_000,
        "emphasis": b"*a **b " * 15_000,
        "underlines": b"_" * 50_000,
        "backticks": b"".join(b"`" * n + b"a " for n in range(1, 400)),
        "quotes": b">" * 50_000 + b"a",
        "lists": b"".join(b"  " * n + b"- a\n" for n in range(2_000)),
        "comments": b"<!--" * 30_000,
        "tags": b"<a " * 30_000,
        "entities": b"&" * 100_000,
        "pipes": b"|" * 5_000 + b"\n" + b"|-" * 5_000 + b"\n" + b"|a" * 5_000,
        "references": b"[a]: <" * 20_000,
        "autolinks": b"<http://" * 20_000,
        "spaces": b"a" + b" " * 200_000 + b"b",
        "rules": b"- " * 50_000 + b"x",
        "fences": b"```\n" * 20_001,
    }


HUGE_CELL_MIB = 20


def csv_with_a_huge_field() -> bytes:
    """Two columns; one field is twenty million letters long."""
    return b"a,b\n1," + b"x" * (HUGE_CELL_MIB * MIB) + b"\n3,4\n"
