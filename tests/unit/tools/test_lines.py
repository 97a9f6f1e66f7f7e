import json

import pytest

from tools.transports.lines import LineSplitter, SkippedLine

MAX = 1_000
LONG = "x" * 2 * MAX


def skip(text: str, piece_bytes: int = 64) -> SkippedLine:
    splitter, data = LineSplitter(MAX), text.encode() + b"\nnext\n"
    pieces = [data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)]
    skipped, after = [line for piece in pieces for line in splitter.split(piece)]
    assert after == b"next"
    assert isinstance(skipped, SkippedLine)
    return skipped


@pytest.mark.parametrize("piece_bytes", [1, 7, 4_096])
def test_lines_are_the_same_however_they_come(piece_bytes: int) -> None:
    data = b"one\n\ntwo three\r\n" + b"y" * MAX + b"\nunfinished"
    splitter = LineSplitter(MAX)

    pieces = [data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)]
    lines = [line for piece in pieces for line in splitter.split(piece)]

    assert lines == [b"one", b"", b"two three\r", b"y" * MAX]


@pytest.mark.parametrize("piece_bytes", [64, 1_000_000])
@pytest.mark.parametrize(
    ("message", "number"),
    [
        ({"jsonrpc": "2.0", "id": 7, "result": {"text": LONG}}, 7),
        ({"id": 7, "jsonrpc": "2.0", "result": {"text": LONG}}, None),
        ({"result": {"text": LONG}, "jsonrpc": "2.0", "id": 7}, 7),
        ({"result": {"text": LONG}, "id": "7", "jsonrpc": "2.0"}, 7),
        ({"result": {"text": LONG, "id": 8}, "jsonrpc": "2.0"}, None),
        ({"result": {"id": 8, "text": LONG + '"id": 9}'}}, None),
    ],
)
def test_a_skipped_answer_tells_which_request_it_was_for(
    message: object, number: int | None, piece_bytes: int
) -> None:
    for text in (json.dumps(message), json.dumps(message, separators=(",", ":"))):
        skipped = skip(text, piece_bytes)
        assert skipped.is_answer
        # Where the number stands in the middle it may be seen or not, and is never a wrong one.
        assert skipped.number in {number, 7}


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": LONG}},
        {"jsonrpc": "2.0", "id": 7, "method": "sampling/createMessage", "params": {"m": LONG}},
        {"method": "sampling/createMessage", "params": {"m": LONG}, "jsonrpc": "2.0", "id": 7},
    ],
)
def test_what_a_server_says_by_itself_is_no_answer(message: object) -> None:
    assert not skip(json.dumps(message)).is_answer


def test_a_long_line_that_is_no_message_is_no_answer() -> None:
    assert not skip(LONG).is_answer


def test_of_a_long_line_only_its_ends_are_kept() -> None:
    splitter = LineSplitter(MAX)
    for _ in range(1_000):
        assert list(splitter.split(b"x" * 4_096)) == []

    [skipped] = splitter.split(b"\n")

    assert isinstance(skipped, SkippedLine)
    assert len(skipped.head) + len(skipped.tail) < MAX
