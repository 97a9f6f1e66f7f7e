"""What the server and the process that reads files say to each other.

One message is one packet of JSON. Nothing is pickled: a parser that a file has taken over can
send wrong text, but cannot make the server run anything.
"""

from dataclasses import asdict, dataclass
from typing import Any

import orjson

from loaders.document import Element, ElementKind, LoadedDocument
from loaders.errors import LoaderError, UnreadableDocument, error_of_code
from loaders.limits import ReadLimits

LARGEST_MESSAGE_BYTES = 16 * 1024
_LONGEST_FILENAME_CHARS = 512


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """Read a file; two descriptors travel with it: where it is, and where the answer goes."""

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


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The process that read one file is gone."""

    job: int
    exit_code: int
    """Negative: the signal that ended it."""


Request = ReadRequest | KillRequest
Report = Ready | Ended


def pack(message: Request | Report) -> bytes:
    """One message as one packet."""
    return orjson.dumps({"kind": type(message).__name__, **asdict(message)})


def unpack_request(packet: bytes) -> Request:
    """What the server asks for."""
    fields = orjson.loads(packet)
    if fields.pop("kind") == "KillRequest":
        return KillRequest(**fields)
    limits = ReadLimits(**fields.pop("limits"))
    return ReadRequest(limits=limits, **fields)


def unpack_report(packet: bytes) -> Report:
    """What the reading process tells."""
    fields = orjson.loads(packet)
    return Ready(**fields) if fields.pop("kind") == "Ready" else Ended(**fields)


def short_name(filename: str) -> str:
    """The end of a file's name, which fits into a message and still has its suffix."""
    return filename.encode("utf-8", "replace").decode()[-_LONGEST_FILENAME_CHARS:]


def pack_document(document: LoadedDocument) -> bytes:
    """A document as the answer to a request."""
    return orjson.dumps(
        {
            "title": document.title,
            "mime": document.mime,
            "pages": document.pages,
            "elements": [
                (each.kind, each.text, each.page, each.level) for each in document.elements
            ],
        }
    )


def pack_error(error: LoaderError) -> bytes:
    """A refusal as the answer to a request."""
    return orjson.dumps({"error": {"code": error.code, "message": str(error)}})


def unpack_answer(data: bytes) -> LoadedDocument:
    """The document that the answer holds.

    Raises:
        LoaderError: the answer is a refusal, or is none at all.
    """
    try:
        answer: dict[str, Any] = orjson.loads(data)
        if "error" in answer:
            raise error_of_code(answer["error"]["code"], answer["error"]["message"])
        return LoadedDocument(
            title=str(answer["title"]),
            mime=str(answer["mime"]),
            pages=answer["pages"],
            elements=tuple(
                Element(kind=ElementKind(kind), text=str(text), page=page, level=int(level))
                for kind, text, page, level in answer["elements"]
            ),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
        raise UnreadableDocument("the file could not be read") from exc
