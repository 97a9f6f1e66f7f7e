"""Lines from a pipe, of which those that are too long are skipped and not kept."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

KEPT_BYTES = 256
"""How much of both ends of a skipped line is kept."""

_VERSION = rb'"jsonrpc"\s*:\s*"2\.0"\s*'
_NUMBER = rb'"id"\s*:\s*"?(\d{1,18})"?\s*'
_BY_THE_SERVER = re.compile(
    rb"\s*\{\s*(?:" + _VERSION + rb",\s*)?(?:" + _NUMBER + rb',\s*)?"method"'
)
_NUMBER_FIRST = re.compile(rb"\s*\{\s*(?:" + _VERSION + rb",\s*)?" + _NUMBER + rb",")
_NUMBER_LAST = re.compile(rb",\s*" + _NUMBER + rb"(?:,\s*" + _VERSION + rb")?\}\s*$")


@dataclass(frozen=True, kw_only=True)
class SkippedLine:
    """The two ends of a line that was too long."""

    head: bytes
    tail: bytes

    @property
    def is_answer(self) -> bool:
        """Whether it may have been the answer to a request."""
        starts = self.head.lstrip().startswith(b"{")
        return starts and _BY_THE_SERVER.match(self.head) is None

    @property
    def number(self) -> int | None:
        """Which request it answered, as far as can be seen."""
        # Some servers write the number first, and others last; in between stands what was too long.
        found = _NUMBER_FIRST.match(self.head) or _NUMBER_LAST.search(self.tail)
        return int(found[1]) if found else None


class LineSplitter:
    """Makes lines of what comes in pieces, and keeps no more than one line may have."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept = bytearray()
        self._head: bytes | None = None

    def split(self, piece: bytes) -> Iterator[bytes | SkippedLine]:
        """Give the lines that this piece completes, without their ends."""
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            line = piece[start:end]
            start = end + 1
            if self._kept or self._head is not None or len(line) > self._max_bytes:
                self._keep(line)
                yield self._finish()
            else:
                yield line
        if start < len(piece):
            self._keep(piece[start:])

    def _keep(self, piece: bytes) -> None:
        self._kept += piece
        if self._head is not None:
            del self._kept[:-KEPT_BYTES]
        elif len(self._kept) > self._max_bytes:
            self._head = bytes(self._kept[:KEPT_BYTES])
            self._kept = self._kept[-KEPT_BYTES:]

    def _finish(self) -> bytes | SkippedLine:
        kept, head = bytes(self._kept), self._head
        self._kept.clear()
        self._head = None
        return kept if head is None else SkippedLine(head=head, tail=kept)
