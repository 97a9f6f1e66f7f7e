"""How much of messages that are not whole yet is held at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from tools.errors import CallRejected


class Unfinished:
    """What is kept of all the answers that a server is sending."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parts: set[UnfinishedPart] = set()
        self.total = 0

    @contextmanager
    def part(self) -> Iterator["UnfinishedPart"]:
        """Have a place for one answer, as long as it is read."""
        part = UnfinishedPart(self)
        self._parts.add(part)
        try:
            yield part
        finally:
            self._parts.discard(part)
            self.total -= part.size

    def has_room_for(self, part: "UnfinishedPart") -> bool:
        """Whether it may go on: where all are too much, the large ones may not."""
        return self.total <= self._max_bytes or part.size <= self._max_bytes / len(self._parts)


class UnfinishedPart:
    """What is kept of one answer."""

    def __init__(self, whole: Unfinished) -> None:
        self._whole = whole
        self.size = 0

    def hold(self, size: int) -> None:
        """Say how much is kept now.

        Raises:
            CallRejected: It is too much, beside what is kept of others.
        """
        self._whole.total += size - self.size
        self.size = size
        if not self._whole.has_room_for(self):
            raise CallRejected("its server sends too much at once")
