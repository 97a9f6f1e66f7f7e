"""What the server believes of the process that reads files."""

import math
import struct

import orjson
import pytest

from loaders.document import Element, ElementKind, LoadedDocument
from loaders.errors import DocumentEncrypted, LoaderLimit, UnreadableDocument
from loaders.limits import ReadLimits
from loaders.ocr_choice import OcrChoice
from loaders.wire import (
    LARGEST_MESSAGE_BYTES,
    MOST_ELEMENTS,
    PROGRESS_BYTES,
    Ended,
    KillRequest,
    Progress,
    ReadRequest,
    Ready,
    Request,
    StartRequest,
    pack,
    pack_document,
    pack_error,
    pack_progress,
    short_name,
    unpack_answer,
    unpack_progress,
    unpack_report,
    unpack_request,
)

LIMITS = ReadLimits(
    seconds=1.5,
    total_seconds=20,
    memory_mib=10,
    output_bytes=100,
    pages=3,
    ocr_pages=2,
    ocr_page_seconds=0.5,
)


@pytest.mark.parametrize(
    "request_",
    [
        StartRequest(ocr=OcrChoice()),
        StartRequest(ocr=OcrChoice(languages=("ita", "script/Latin"), folder="/data")),
        ReadRequest(job=1, filename="a.txt", limits=LIMITS),
        KillRequest(job=2),
    ],
)
def test_requests_arrive_as_they_were_sent(request_: Request) -> None:
    assert unpack_request(pack(request_)) == request_


@pytest.mark.parametrize(
    "report",
    [Ready(), Ready(problem="x"), Ready(ocr_problem="no data"), Ended(job=1, exit_code=-9)],
)
def test_reports_arrive_as_they_were_sent(report: Ready | Ended) -> None:
    assert unpack_report(pack(report)) == report


def test_how_far_a_file_is_read_arrives_as_it_was_noted() -> None:
    note = pack_progress(Progress(done=3, total=7))

    assert len(note) == PROGRESS_BYTES
    assert unpack_progress(note) == Progress(done=3, total=7)


@pytest.mark.parametrize(
    "note",
    [b"", b"\x01", b"\x00" * (PROGRESS_BYTES + 1), b"\xff" * (PROGRESS_BYTES // 2) + b"\x00" * 4],
)
def test_a_note_that_a_parser_made_up_says_nothing(note: bytes) -> None:
    assert unpack_progress(note) is None


def test_a_document_arrives_as_it_was_read() -> None:
    document = LoadedDocument(
        title="t 😀",
        mime="application/pdf",
        pages=3,
        elements=(
            Element(kind=ElementKind.HEADING, text="h", level=2),
            Element(kind=ElementKind.TEXT, text="\x00\ufffd", page=3),
            Element(kind=ElementKind.TEXT, text="a.mp3", recording=b"\x00\xff"),
            Element(kind=ElementKind.TABLE, text="", start_seconds=0.0),
            Element(kind=ElementKind.TEXT, text="b.mp3", recording=b"\x01"),
        ),
    )

    assert unpack_answer(pack_document(document)) == document


def test_a_refusal_arrives_as_the_error_it_was() -> None:
    with pytest.raises(DocumentEncrypted, match="asks for a password"):
        unpack_answer(pack_error(DocumentEncrypted("it asks for a password")))


def answer(*notes: bytes, texts: bytes = b"", **fields: object) -> bytes:
    """What a reader may write that a file has taken over."""
    head = {"title": "t", "mime": "text/plain", "pages": 1, "elements": len(notes), **fields}
    packed = orjson.dumps(head)
    return struct.pack("<I", len(packed)) + packed + b"".join(notes) + texts


def note(
    *,
    kind: int = 1,
    level: int = 1,
    page: int = 0,
    seconds: float = math.nan,
    length: int = 0,
    recorded: int = 0,
) -> bytes:
    return struct.pack("<BBIdII", kind, level, page, seconds, length, recorded)


def test_an_answer_of_the_right_form_is_a_document() -> None:
    document = unpack_answer(answer(note(length=1), note(length=2), texts=b"abc"))
    assert [each.text for each in document.elements] == ["a", "bc"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\xff\xff\xff\xff{}",
        b"\x01\x00\x00\x00{",
        b"\x02\x00\x00\x00[]",
        b"\x04\x00\x00\x00null",
        b"\x02\x00\x00\x00{}",
        answer(error={"code": "LOADER_UNAVAILABLE", "message": "x"}),
        answer(error={}),
        answer(error=7),
        answer(note(), mime="text/plain\r\nX: 1"),
        answer(note(), mime=["text/plain"]),
        answer(note(), title=7),
        answer(note(), pages={}),
        answer(note(), pages=-1),
        answer(note(), pages=True),
        answer(note(), elements=2),
        answer(note(), elements=1e9),
        answer(note(), elements=MOST_ELEMENTS + 1),
        answer(elements=0),
        answer(note(kind=9)),
        answer(note(level=0)),
        answer(note(level=200)),
        answer(note(page=2**32 - 1)),
        answer(note(seconds=math.inf)),
        answer(note(seconds=-1.0)),
        answer(note(length=1)),
        answer(note(length=1), texts=b"\xff"),
        answer(note(length=1), texts=b"ab"),
        answer(note(length=2**32 - 1), texts=b"ab"),
        answer(note(), title="t" * 100_000),
        answer(note(length=1, recorded=2), texts=b"ab"),
        answer(note(length=1, recorded=2**32 - 1), texts=b"ab"),
        answer(*[note(recorded=1)] * 101, texts=b"a" * 101),
    ],
)
def test_an_answer_that_a_parser_made_up_is_an_unreadable_document(data: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        unpack_answer(data)


def test_a_document_of_too_many_pieces_is_not_even_sent() -> None:
    piece = Element(kind=ElementKind.TEXT, text="a")
    document = LoadedDocument(title="t", mime="text/plain", elements=(piece,) * (MOST_ELEMENTS + 1))
    with pytest.raises(LoaderLimit, match="pieces"):
        pack_document(document)


@pytest.mark.parametrize(
    "name", ["x" * 100_000 + ".pdf", "\udcff\ud800.txt", "日本.md", "\x00.csv"]
)
def test_any_name_fits_into_a_message_and_keeps_its_ending(name: str) -> None:
    short = short_name(name)

    assert short[-4:] == name[-4:] or short.endswith(".md")
    packet = pack(ReadRequest(job=1, filename=short, limits=LIMITS))
    assert len(packet) <= LARGEST_MESSAGE_BYTES
