"""The parts of an e-mail: which are its text, and which are attached.

Headers may say anything: what the standard library stumbles over is taken as it was sent.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from functools import lru_cache
from typing import Any

from loaders.errors import LoaderLimit

_LONGEST_HEADER_CHARS = 16 * 1024
_LONGEST_SHOWN_CHARS = 1_000
_LONGEST_NAME_CHARS = 200
_FAILURES = (ValueError, LookupError, AttributeError, TypeError, AssertionError, RecursionError)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_PARSED_HEADERS_KEPT = 256
_MOST_PARTS = 1_000
_MUCH_MORE = 10
_SHORT_BYTES = 500
"""Of a page that says no more than this, some may be style and program."""
_ENCODINGS = frozenset({"base64", "quoted-printable"})
_MESSAGES = frozenset({"message/rfc822", "message/global", "message/news"})
_SIGNATURES = frozenset(
    {
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-signature",
    }
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part that holds something."""

    source: EmailMessage
    name: str
    """Of an attachment, without the folders that its sender may have put before it."""
    is_html: bool = False
    message: EmailMessage | None = None
    """The e-mail that is attached, if it is one."""

    @property
    def charset(self) -> str | None:
        """What the part says that its text is written in."""
        try:
            return self.source.get_content_charset()
        except _FAILURES:
            return None

    def read(self) -> bytes:
        """What it holds, as far as it can be decoded."""
        try:
            payload = self.source.get_payload(decode=True)
        except _FAILURES:
            return b""
        return payload if isinstance(payload, bytes) else b""


class _Message(EmailMessage):
    """Has an attached e-mail that is encoded, as none may be, taken for data to be decoded."""

    def get_content_maintype(self) -> str:
        """What the standard library parses a part by."""
        maintype = super().get_content_maintype()
        return "application" if maintype == "message" and _is_encoded(self) else maintype


def _parse_header(name: str, value: str) -> Any:
    """Parse what an honest header has, as thousands of parameters take seconds."""
    return policy.default.header_factory(name, value[:_LONGEST_HEADER_CHARS])


_POLICY = policy.default.clone(
    message_factory=_Message,
    # Each look at a header parses it: of thousands of parts, which are much alike, that took most
    # of the time.
    header_factory=lru_cache(maxsize=_PARSED_HEADERS_KEPT)(_parse_header),
)


def parse_message(data: bytes) -> EmailMessage:
    """The parts of an e-mail.

    Raises:
        RecursionError: they are nested too deeply.
    """
    return message_from_bytes(data.removeprefix(BOM_UTF8), policy=_POLICY)


def read_header(message: EmailMessage, name: str) -> str:
    """A header in one line; empty when there is none."""
    raw = next((v for key, v in message.raw_items() if key.lower() == name.lower()), None)
    if raw is None:
        return ""
    value = str(raw)
    if len(value) <= _LONGEST_HEADER_CHARS:
        try:
            value = str(message[name])
        except _FAILURES:
            value = str(raw)
    return _one_line(value)[:_LONGEST_SHOWN_CHARS]


def sort_parts(message: EmailMessage) -> tuple[list[Part], list[Part]]:
    """The parts that are the message's text, and those that are attached.

    Raises:
        LoaderLimit: there are too many.
    """
    body: list[Part] = []
    attached: list[Part] = []
    for count, (part, is_body) in enumerate(_parts(message)):
        if count == _MOST_PARTS:
            raise LoaderLimit(f"the e-mail has more than {_MOST_PARTS} parts")
        (body if is_body else attached).append(part)
    return body, [
        Part(source=part.source, name=part.name or f"attachment {number}", message=part.message)
        for number, part in enumerate(attached, 1)
    ]


def _parts(message: EmailMessage) -> Iterator[tuple[Part, bool]]:
    kind = message.get_content_type()
    held = message.get_payload() if message.is_multipart() else []
    children = [each for each in held if isinstance(each, EmailMessage)]
    attached = _attached_message(message, children) if kind in _MESSAGES else None
    if attached is not None:
        name = _file_name(message) or read_header(attached, "Subject")
        yield Part(source=message, name=name, message=attached), False
    elif kind == "multipart/alternative":
        yield from _best_alternative(children)
    elif children:
        for place, child in enumerate(children):
            if not (kind == "multipart/related" and place and _is_picture_of_the_text(child)):
                yield from _parts(child)
    elif kind not in _SIGNATURES:
        name = _file_name(message)
        is_body = kind in {"text/plain", "text/html"} and not name and not _is_attachment(message)
        yield Part(source=message, name=name, is_html=kind == "text/html"), is_body


def _attached_message(message: EmailMessage, children: list[EmailMessage]) -> EmailMessage | None:
    if children:
        return children[0]
    data = Part(source=message, name="").read()
    return parse_message(data) if data.strip() else None


def _is_encoded(message: EmailMessage) -> bool:
    encoding = str(message.get("Content-Transfer-Encoding", ""))
    return encoding.strip().lower() in _ENCODINGS


def _best_alternative(children: list[EmailMessage]) -> Iterator[tuple[Part, bool]]:
    """The same text in several forms: the plain one if it says as much; all that is attached."""
    found = [list(_parts(child)) for child in children]
    texts = [[part for part, is_body in parts if is_body] for parts in found]
    filled = [parts for parts in texts if any(part.read().strip() for part in parts)]
    plain = next((each for each in filled if not any(part.is_html for part in each)), None)
    page = next((each for each in filled if any(part.is_html for part in each)), [])
    for part in page if plain is None or (page and _says_less(plain, page)) else plain:
        yield part, True
    for parts in found:
        for part, is_body in parts:
            if not is_body:
                yield part, False


def _says_less(plain: list[Part], page: list[Part]) -> bool:
    """Whether the plain form only tells to look at the other one."""
    chars = sum(map(_visible_bytes, page))
    return chars > _MUCH_MORE * sum(len(part.read()) for part in plain) + _SHORT_BYTES


def _visible_bytes(part: Part) -> int:
    data = part.read()
    if not part.is_html:
        return len(data)
    body = data[max(data.lower().find(b"<body"), 0) :]
    return sum(len(b"".join(each.partition(b">")[2].split())) for each in body.split(b"<"))


def _is_picture_of_the_text(message: EmailMessage) -> bool:
    return message.get_content_maintype() == "image" and not _is_attachment(message)


def _is_attachment(message: EmailMessage) -> bool:
    try:
        return message.is_attachment()
    except _FAILURES:
        return True


def _file_name(message: Message) -> str:
    try:
        name = message.get_filename() or ""
    except _FAILURES:
        name = ""
    return re.split(r"[\\/]", _one_line(name))[-1].strip()[-_LONGEST_NAME_CHARS:]


def _one_line(value: str) -> str:
    return " ".join(_UNPRINTABLE.sub(" ", value).split())
