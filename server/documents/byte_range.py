"""Which part of a document is asked for (RFC 9110, 14)."""

import re
from dataclasses import dataclass

from server.errors import RangeNotSatisfiable

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")


@dataclass(frozen=True, kw_only=True)
class ByteRange:
    """From one byte up to another, both counted from 0."""

    start: int
    end: int
    """The first one that is not asked for any more."""
    size_bytes: int
    """Of all there is."""

    @property
    def length(self) -> int:
        """How many bytes are asked for."""
        return self.end - self.start

    @property
    def content_range(self) -> str:
        """As the answer names it."""
        return f"bytes {self.start}-{self.end - 1}/{self.size_bytes}"


def read_range(header: str | None, size_bytes: int) -> ByteRange | None:
    """The part that is asked for; None for all of it.

    Several parts at once, and what is malformed, may be answered with all of it.

    Raises:
        RangeNotSatisfiable: The document ends before the part begins.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if first and last and int(first) > int(last):
        return None
    if first:
        start, end = int(first), min(int(last or size_bytes) + bool(last), size_bytes)
    else:  # so many from its end
        start, end = max(size_bytes - int(last), 0), size_bytes
    if start >= end:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{size_bytes}"})
    return ByteRange(start=start, end=end, size_bytes=size_bytes)
