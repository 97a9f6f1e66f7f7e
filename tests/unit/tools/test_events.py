"""Server-sent events, as they come."""

import pytest

from tools.errors import AnswerTooIntricate, AnswerTooLarge
from tools.transports import MESSAGE_MAX_BYTES
from tools.transports.events import (
    LINES_MAX,
    PAUSE_MAX_SECONDS,
    PAUSE_MIN_SECONDS,
    PAUSE_SECONDS,
    EventReader,
)


def read(reader: EventReader, data: bytes, piece_bytes: int = 4_096) -> list[bytes]:
    pieces = [data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)]
    return [message for piece in pieces for message in reader.read(piece)]


@pytest.mark.parametrize("piece_bytes", [1, 7, 4_096])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_events_are_the_same_however_they_come(piece_bytes: int, end: bytes) -> None:
    lines = [
        *(b": comment", b""),
        *(b"event: message", b"id: 7", b"data: {", b"data:}", b""),
        *(b"data: two", b""),
        *(b"event: other", b"data: not this", b""),
        *(b"data", b""),
        b"data: unfinished",
    ]

    reader = EventReader()

    assert read(reader, end.join(lines), piece_bytes) == [b"{\n}", b"two"]
    assert reader.last_id == "7"


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        (b"500", 0.5),
        (b"0", PAUSE_MIN_SECONDS),
        (b"999999999", PAUSE_MAX_SECONDS),
        (b"9" * 5_000, PAUSE_SECONDS),
        (b"-1", PAUSE_SECONDS),
        (b"soon", PAUSE_SECONDS),
    ],
    ids=["in half a second", "at once", "next week", "too long a number", "yesterday", "words"],
)
def test_a_server_may_ask_to_be_left_alone_within_bounds(asked: bytes, pause: float) -> None:
    reader = EventReader()

    read(reader, b"retry: " + asked + b"\n\n")

    assert reader.pause_seconds == pause


@pytest.mark.parametrize(
    "bad",
    [b"\x00", "é".encode(), b"\x1b[0m", b"x" * 5_000],
    ids=["NUL", "not ASCII", "control", "long"],
)
def test_an_id_that_is_no_header_is_not_remembered(bad: bytes) -> None:
    reader = EventReader()

    read(reader, b"id: " + bad + b"\ndata: x\n\n")

    assert reader.last_id == ""


@pytest.mark.parametrize(
    "line", [b"data: " + b"x" * 60_000 + b"\n", b"x" * 60_000], ids=["many lines", "one line"]
)
def test_an_event_without_end_is_given_up(line: bytes) -> None:
    reader = EventReader()

    def read_on() -> None:
        for _ in range(2 + MESSAGE_MAX_BYTES // len(line)):
            read(reader, line, len(line))

    with pytest.raises(AnswerTooLarge):
        read_on()


def test_many_small_events_are_not_taken_for_a_large_one() -> None:
    reader, event = EventReader(), b"data: " + b"x" * 60_000 + b"\n\n"

    for _ in range(2 + MESSAGE_MAX_BYTES // len(event)):
        # The line that ends the event comes in a piece of its own.
        assert list(reader.read(event[:-1])) == []
        assert len(list(reader.read(event[-1:]))) == 1


def test_an_event_of_too_many_lines_is_given_up_and_one_of_many_is_not() -> None:
    assert read(EventReader(), b"data:\n" * LINES_MAX + b"\n") == [b"\n" * (LINES_MAX - 1)]
    with pytest.raises(AnswerTooIntricate):
        read(EventReader(), b"data:\n" * (LINES_MAX + 1))


def test_lines_in_which_nothing_stands_are_counted() -> None:
    reader = EventReader()

    read(reader, b"\n" * 5_000 + b": x\ndata: y\n\n")

    assert reader.lines == 5_003
    assert reader.size == 0
