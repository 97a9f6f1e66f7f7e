"""Server-sent events from a stream of bytes, of which none is kept that is too large."""

from collections.abc import Iterator

from tools.errors import AnswerTooIntricate, AnswerTooLarge
from tools.transports import MESSAGE_MAX_BYTES
from tools.transports.lines import LineSplitter

PAUSE_SECONDS = 1.0
"""How long to wait before a stream is asked for again, where the server does not say."""
PAUSE_MIN_SECONDS = 0.1
PAUSE_MAX_SECONDS = 60.0
LINES_MAX = 50_000
"""How many lines an event may have."""

_ID_MAX_BYTES = 1_024
_PAUSE_MAX_DIGITS = 9


class EventReader:
    """Gives the messages in a stream, and remembers where it was and when to come back."""

    def __init__(self) -> None:
        self.last_id = ""
        """Of the newest event; empty where the stream cannot be gone on with."""
        self.pause_seconds = PAUSE_SECONDS
        """How long the server wants to be left alone after the stream has ended."""
        self.lines = 0
        """How many have come, whatever stood in them."""
        self._lines = LineSplitter(MESSAGE_MAX_BYTES)
        self._size = 0
        self._name = b""
        self._data: list[bytes] = []

    @property
    def size(self) -> int:
        """How much of an event that is not whole yet is kept."""
        return self._size

    def read(self, piece: bytes) -> Iterator[bytes]:
        """Give the messages that this piece completes.

        Raises:
            AnswerTooLarge: The one that has begun is larger than a message may be.
            AnswerTooIntricate: It has too many lines.
        """
        self._size += len(piece)
        for line in self._lines.split(piece):
            self.lines += 1
            if isinstance(line, bytes) and (data := self._take(line.removesuffix(b"\r"))):
                yield data
        if self._size > MESSAGE_MAX_BYTES:
            raise AnswerTooLarge(MESSAGE_MAX_BYTES)

    def restart(self) -> None:
        """Forget what was begun: the stream goes on from its last whole event."""
        self._lines = LineSplitter(MESSAGE_MAX_BYTES)
        self._size, self._name, self._data = 0, b"", []

    def _take(self, line: bytes) -> bytes | None:
        """Take a line; an empty one ends an event."""
        if not line:
            name, data = self._name, b"\n".join(self._data)
            self._size, self._name, self._data = 0, b"", []
            return data if name in (b"", b"message") else None
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match field:
            case b"data":
                if len(self._data) >= LINES_MAX:
                    raise AnswerTooIntricate(LINES_MAX, "lines")
                self._data.append(value)
            case b"event":
                self._name = value
            case b"id" if _is_plain(value):
                self.last_id = value.decode()
            case b"retry" if value.isdigit() and len(value) <= _PAUSE_MAX_DIGITS:
                asked = int(value) / 1_000
                self.pause_seconds = min(max(asked, PAUSE_MIN_SECONDS), PAUSE_MAX_SECONDS)
        return None


def _is_plain(value: bytes) -> bool:
    """Whether an id can be sent back as a header."""
    return len(value) <= _ID_MAX_BYTES and value.isascii() and value.decode().isprintable()
