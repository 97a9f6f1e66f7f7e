"""What the server and the process that reads files say to each other.

One message is one packet of JSON. A document is a short head of JSON, so many notes of the same
length, and the texts and recordings behind them: what it takes to unpack it is known before.
Nothing is pickled: a parser that a file has taken over can send wrong text, but cannot make the
server run anything.
"""

import math
import struct
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from loaders.attachments import MOST_FILES
from loaders.document import Element, ElementKind, LoadedDocument
from loaders.errors import LoaderError, LoaderLimit, UnreadableDocument, error_of_code
from loaders.limits import ReadLimits
from loaders.media_type import MediaType
from loaders.ocr_choice import OcrChoice

LARGEST_MESSAGE_BYTES = 16 * 1024
MOST_ELEMENTS = 200_000
"""Pieces of one document: each costs the server some hundred bytes beside its text."""
_LONGEST_FILENAME_CHARS = 512
_LONGEST_TITLE_CHARS = 1000
_LONGEST_MESSAGE_CHARS = 1000
_LARGEST_HEAD_BYTES = 64 * 1024
_MOST_PAGES = 10_000_000
_DEEPEST_LEVEL = 9
_KINDS = tuple(ElementKind)
_LENGTH = struct.Struct("<I")
# Kind, level, page or 0, seconds or NaN, bytes of text, bytes of a recording or 0.
_ELEMENT = struct.Struct("<BBIdII")
_PROGRESS = struct.Struct("<II")
PROGRESS_BYTES = _PROGRESS.size


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """Load the parsers: the first message of all."""

    ocr: OcrChoice


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """Read a file; three descriptors travel with it.

    They are where the file is, where the answer goes, and where it is noted how far reading is.
    """

    job: int
    filename: str
    limits: ReadLimits


@dataclass(frozen=True, kw_only=True)
class KillRequest:
    """Stop reading a file."""

    job: int


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The reading process has loaded its parsers, or could not."""

    problem: str | None = None
    ocr_problem: str | None = None
    """Why pictures cannot be read, though all else can."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The process that read one file is gone."""

    job: int
    exit_code: int
    """Negative: the signal that ended it."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a file is read; what the reader notes in a file that the server looks into.

    The server looks as often as it likes: a reader that a file has taken over cannot flood it.
    """

    done: int
    total: int


Request = StartRequest | ReadRequest | KillRequest
Report = Ready | Ended


def pack(message: Request | Report) -> bytes:
    """One message as one packet."""
    return orjson.dumps({"kind": type(message).__name__, **asdict(message)})


def unpack_request(packet: bytes) -> Request:
    """What the server asks for."""
    fields = orjson.loads(packet)
    kind = fields.pop("kind")
    if kind == "KillRequest":
        return KillRequest(**fields)
    if kind == "StartRequest":
        ocr = fields["ocr"]
        return StartRequest(ocr=OcrChoice(languages=tuple(ocr["languages"]), folder=ocr["folder"]))
    limits = ReadLimits(**fields.pop("limits"))
    return ReadRequest(limits=limits, **fields)


def unpack_report(packet: bytes) -> Report:
    """What the reading process tells."""
    fields = orjson.loads(packet)
    return Ready(**fields) if fields.pop("kind") == "Ready" else Ended(**fields)


def pack_progress(progress: Progress) -> bytes:
    """What is noted, always of the same length; the newest note stands over the one before."""
    return _PROGRESS.pack(progress.done, progress.total)


def unpack_progress(note: bytes) -> Progress | None:
    """What was noted; None if nothing was yet, or nothing that makes sense."""
    if len(note) != PROGRESS_BYTES:
        return None
    done, total = _PROGRESS.unpack(note)
    return Progress(done=done, total=total) if done <= total else None


def short_name(filename: str) -> str:
    """The end of a file's name, which fits into a message and still has its suffix."""
    return filename.encode("utf-8", "replace").decode()[-_LONGEST_FILENAME_CHARS:]


def pack_document(document: LoadedDocument) -> bytes:
    """A document as the answer to a request.

    Raises:
        LoaderLimit: it has too many pieces.
    """
    if len(document.elements) > MOST_ELEMENTS:
        raise LoaderLimit(f"the file falls into more than {MOST_ELEMENTS} pieces")
    texts = [each.text.encode("utf-8", "replace") for each in document.elements]
    notes = [
        _ELEMENT.pack(
            _KINDS.index(each.kind),
            min(max(each.level, 1), _DEEPEST_LEVEL),
            each.page or 0,
            math.nan if each.start_seconds is None else each.start_seconds,
            len(text),
            len(each.recording or b""),
        )
        for each, text in zip(document.elements, texts, strict=True)
    ]
    head = {
        "title": document.title,
        "mime": document.mime,
        "pages": document.pages,
        "elements": len(texts),
    }
    recordings = [each.recording for each in document.elements if each.recording]
    return b"".join((_pack_head(head), *notes, *texts, *recordings))


def pack_error(error: LoaderError) -> bytes:
    """A refusal as the answer to a request."""
    message = str(error)[:_LONGEST_MESSAGE_CHARS]
    return _pack_head({"error": {"code": error.code, "message": message}})


def unpack_answer(data: bytes) -> LoadedDocument:
    """The document that the answer holds.

    Whoever wrote it may have been taken over by a file: nothing is believed, and nothing is built
    that is larger than a document may be.

    Raises:
        LoaderError: the answer is a refusal, or is none at all.
    """
    try:
        (length,) = _LENGTH.unpack_from(data)
        if length > _LARGEST_HEAD_BYTES:
            raise ValueError("the head is too large")
        start = _LENGTH.size + length
        head: dict[str, Any] = orjson.loads(data[_LENGTH.size : start])
        if "error" in head:
            error = head["error"]
            message = str(error["message"])[:_LONGEST_MESSAGE_CHARS]
            raise error_of_code(str(error["code"]), message)
        return LoadedDocument(
            title=_text(head["title"])[:_LONGEST_TITLE_CHARS],
            mime=MediaType(head["mime"]),
            pages=None if head["pages"] is None else _count(head["pages"], _MOST_PAGES),
            elements=_unpack_elements(data, start, _count(head["elements"], MOST_ELEMENTS)),
        )
    except (struct.error, LookupError, TypeError, ValueError) as exc:
        raise UnreadableDocument("the file could not be read") from exc


def _pack_head(head: dict[str, Any]) -> bytes:
    packed = orjson.dumps(head)
    return _LENGTH.pack(len(packed)) + packed


def _unpack_elements(data: bytes, start: int, count: int) -> tuple[Element, ...]:
    view = memoryview(data)
    texts = start + count * _ELEMENT.size
    notes = list(_ELEMENT.iter_unpack(view[start:texts]))
    recordings = texts + sum(note[4] for note in notes)
    if sum(note[5] > 0 for note in notes) > MOST_FILES:
        raise ValueError("too many recordings")
    elements = []
    for kind, level, page, seconds, length, recorded in notes:
        text = view[texts : texts + length]
        texts += length
        recording = view[recordings : recordings + recorded]
        recordings += recorded
        if not (1 <= level <= _DEEPEST_LEVEL) or page > _MOST_PAGES or len(text) < length:
            raise ValueError("no such element")
        if not (math.isnan(seconds) or 0 <= seconds < math.inf):
            raise ValueError("no such time")
        elements.append(
            Element(
                kind=_KINDS[kind],
                text=str(text, "utf-8"),
                page=page or None,
                level=level,
                start_seconds=None if math.isnan(seconds) else seconds,
                recording=bytes(recording) or None,
            )
        )
    if len(elements) != count or not elements or recordings != len(data):
        raise ValueError("the answer has another length")
    return tuple(elements)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _count(value: object, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError("no count")
    return value
