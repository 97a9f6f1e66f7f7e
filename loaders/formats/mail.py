"""E-mails with what is attached to them, and boxes of e-mails."""

import re
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage

from loaders.attachments import Attachments, not_read
from loaders.document import Element, ElementKind
from loaders.encoding import decode
from loaders.errors import LoaderError, UnreadableDocument
from loaders.formats import html, text
from loaders.formats.content import Content
from loaders.formats.mail_parts import Part, parse_message, read_header, sort_parts

_SHOWN_HEADERS = ("From", "To", "Cc", "Date")
_BOX_LINE = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\n]*\n")
_QUOTED_BOX_LINE = re.compile(rb"^>(>*From )", re.M)


def load(data: bytes, attachments: Attachments) -> Content:
    """One message: its subject, who wrote to whom and when, its text, and what is attached.

    An attachment that cannot be read is named, and harms nothing else.

    Raises:
        UnreadableDocument: its parts are nested too deeply.
        LoaderLimit: there are too many of them.
    """
    try:
        message = parse_message(data)
        elements = list(_elements(message, attachments))
    except RecursionError as exc:
        raise UnreadableDocument("the parts of the e-mail are nested too deeply") from exc
    return Content(elements=elements, title=read_header(message, "Subject") or None)


def load_box(data: bytes, attachments: Attachments) -> Content:
    """All messages of a box, one after the other; none of them names the box."""
    messages = (each for each in _BOX_LINE.split(data) if each.strip())
    elements: list[Element] = []
    for message in messages:
        elements += _lowered(load(_QUOTED_BOX_LINE.sub(rb"\1", message), attachments).elements)
    return Content(elements=elements)


def _elements(message: EmailMessage, attachments: Attachments) -> Iterator[Element]:
    subject = read_header(message, "Subject")
    if subject:
        yield Element(kind=ElementKind.HEADING, text=subject)
    shown = [(name, read_header(message, name)) for name in _SHOWN_HEADERS]
    head = "\n".join(f"{name}: {value}" for name, value in shown if value)
    if head:
        yield Element(kind=ElementKind.TEXT, text=head)
    body, attached = sort_parts(message)
    for part in body:
        yield from _body_elements(part)
    for part in attached:
        yield from _attached_elements(part, attachments)


def _body_elements(part: Part) -> list[Element]:
    try:
        body = decode(part.read(), declared=part.charset)
        return html.load(body) if part.is_html else text.load(body)
    except LoaderError as exc:
        return [not_read("the text of the message", exc)]


def _attached_elements(part: Part, attachments: Attachments) -> Iterator[Element]:
    try:
        if part.message is not None:
            elements = list(_elements(part.message, attachments.enter()))
        else:
            elements = attachments.read(part.read(), part.name)
    except LoaderError as exc:
        yield not_read(part.name, exc)
        return
    yield Element(kind=ElementKind.HEADING, text=part.name)
    yield from _lowered(elements)


def _lowered(elements: list[Element]) -> Iterator[Element]:
    """The elements with their headings one level further down."""
    for element in elements:
        is_heading = element.kind is ElementKind.HEADING
        yield replace(element, level=element.level + 1) if is_heading else element
