"""What the server believes of the process that reads files."""

import pytest

from loaders.document import Element, ElementKind, LoadedDocument
from loaders.errors import DocumentEncrypted, UnreadableDocument
from loaders.limits import ReadLimits
from loaders.wire import (
    LARGEST_MESSAGE_BYTES,
    Ended,
    KillRequest,
    ReadRequest,
    Ready,
    pack,
    pack_document,
    pack_error,
    short_name,
    unpack_answer,
    unpack_report,
    unpack_request,
)

LIMITS = ReadLimits(seconds=1.5, memory_mib=10, output_bytes=100)


@pytest.mark.parametrize(
    "request_", [ReadRequest(job=1, filename="a.txt", limits=LIMITS), KillRequest(job=2)]
)
def test_requests_arrive_as_they_were_sent(request_: ReadRequest | KillRequest) -> None:
    assert unpack_request(pack(request_)) == request_


@pytest.mark.parametrize("report", [Ready(), Ready(problem="x"), Ended(job=1, exit_code=-9)])
def test_reports_arrive_as_they_were_sent(report: Ready | Ended) -> None:
    assert unpack_report(pack(report)) == report


def test_a_document_arrives_as_it_was_read() -> None:
    document = LoadedDocument(
        title="t 😀",
        mime="application/pdf",
        pages=3,
        elements=(
            Element(kind=ElementKind.HEADING, text="h", level=2),
            Element(kind=ElementKind.TEXT, text="\x00\ufffd", page=3),
        ),
    )

    assert unpack_answer(pack_document(document)) == document


def test_a_refusal_arrives_as_the_error_it_was() -> None:
    with pytest.raises(DocumentEncrypted, match="asks for a password"):
        unpack_answer(pack_error(DocumentEncrypted("it asks for a password")))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"error": {"code": "LOADER_UNAVAILABLE", "message": "x"}}',
        b'{"error": {}}',
        b'{"error": 7}',
        b'{"title": "t", "mime": "m", "pages": 1, "elements": [["no kind", "t", 1, 1]]}',
        b'{"title": "t", "mime": "m", "pages": 1, "elements": [7]}',
        b"\xff\xfe",
    ],
)
def test_an_answer_that_a_parser_made_up_is_an_unreadable_document(answer: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        unpack_answer(answer)


@pytest.mark.parametrize(
    "name", ["x" * 100_000 + ".pdf", "\udcff\ud800.txt", "日本.md", "\x00.csv"]
)
def test_any_name_fits_into_a_message_and_keeps_its_ending(name: str) -> None:
    short = short_name(name)

    assert short[-4:] == name[-4:] or short.endswith(".md")
    packet = pack(ReadRequest(job=1, filename=short, limits=LIMITS))
    assert len(packet) <= LARGEST_MESSAGE_BYTES
