"""A zip archive that leaves while it is made: neither held in memory nor written to disk."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

EARLIEST_YEAR, LATEST_YEAR = 1980, 2107
"""Which years the format can tell."""
SEND_BYTES = 64 * 1024
"""How much is gathered before it is sent; larger pieces are compressed in a thread."""
OWNER_ALONE = 0o600 << 16


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file of the archive."""

    name: str
    modified: datetime
    content: AsyncGenerator[bytes, None]


async def zip_entries(entries: AsyncIterator[Entry]) -> AsyncGenerator[bytes, None]:
    """Yields the archive piece by piece; each entry is read to its end before the next is made."""
    sink = _Sink()
    with ZipFile(sink, "w") as archive:  # type: ignore[call-overload]  # typeshed wants it to seek
        async for entry in entries:
            # The length is known only afterwards, so each might be one of those over 4 GiB.
            with archive.open(_info(entry), "w", force_zip64=True) as file:
                async with aclosing(entry.content) as pieces:
                    async for piece in pieces:
                        if len(piece) < SEND_BYTES:
                            file.write(piece)
                        else:
                            await asyncio.to_thread(file.write, piece)
                        if sink.size >= SEND_BYTES:
                            yield sink.take()
    yield sink.take()


class _Sink:
    """A file that is written to its end alone, and gives away what was written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits to be flushed."""

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces, self.size = [], 0
        return taken


def _info(entry: Entry) -> ZipInfo:
    moment = entry.modified.astimezone(UTC)
    year = min(max(moment.year, EARLIEST_YEAR), LATEST_YEAR)
    info = ZipInfo(entry.name, (year, *moment.timetuple()[1:6]))
    # Stored without compression, an entry of unknown length cannot be read from a stream.
    info.compress_type = ZIP_DEFLATED
    info.external_attr = OWNER_ALONE
    return info
