"""Opening a ZIP file that may be made to do harm.

Everything that its directory says is checked before a byte is inflated, and no part ever gives
more bytes than the directory says. Archives inside the archive are never opened.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from loaders.errors import DocumentEncrypted, LoaderLimit, UnreadableDocument

MAX_ENTRIES = 20_000
MAX_INFLATED_BYTES = 512 * 1024 * 1024
MAX_RATIO = 200
"""Inflated to packed, over all parts; the markup of office documents comes to 30 at the most."""
MAX_PART_BYTES = 256 * 1024 * 1024

_RATIO_COUNTS_FROM_BYTES = 16 * 1024 * 1024
_ENTRY_MARK = b"PK\x01\x02"
_ENCRYPTED_FLAG = 0x1
_LOCAL_HEADER_BYTES = 30
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_DAMAGED = "the file's archive is damaged"
_BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
)


class Archive:
    """The parts of a ZIP file, found whatever the case of their names."""

    def __init__(self, data: bytes) -> None:
        """Read the directory.

        Raises:
            UnreadableDocument: it is damaged, or says what cannot be.
            DocumentEncrypted: a part asks for a password.
            LoaderLimit: it would inflate to too much.
        """
        if data.count(_ENTRY_MARK) > MAX_ENTRIES:
            raise LoaderLimit(f"the file's archive holds more than {MAX_ENTRIES} entries")
        with _told_as_damage():
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        entries = self._zip.infolist()
        _check_sizes(entries, len(data))
        _check_overlaps(entries)
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            self._add(entry)

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._entries

    @property
    def names(self) -> list[str]:
        """The names of all parts, as the archive spells them."""
        return [entry.filename for entry in self._entries.values()]

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A part as a stream.

        Raises:
            UnreadableDocument: there is no such part, or it is damaged.
        """
        entry = self._entries.get(_key(name))
        if entry is None:
            raise UnreadableDocument("the file lacks a part that it must have")
        with _told_as_damage(), self._zip.open(entry) as part:
            yield part

    def read(self, name: str) -> bytes:
        """A part as a whole.

        Raises:
            UnreadableDocument: there is no such part, or it is damaged.
            LoaderLimit: it is too large to be held.
        """
        entry = self._entries.get(_key(name))
        if entry is not None and entry.file_size > MAX_PART_BYTES:
            raise LoaderLimit("a part of the file is too large")
        with self.open(name) as part:
            return part.read()

    def _add(self, entry: zipfile.ZipInfo) -> None:
        key = _key(entry.filename)
        if key.startswith("/") or ".." in key.split("/"):
            raise UnreadableDocument("the file's archive holds a name that leads out of it")
        if key in self._entries and not entry.is_dir():
            raise UnreadableDocument("the file's archive holds two parts of one name")
        self._entries[key] = entry


def _key(name: str) -> str:
    return name.replace("\\", "/").casefold()


def _check_sizes(entries: list[zipfile.ZipInfo], packed: int) -> None:
    inflated = 0
    for entry in entries:
        if entry.flag_bits & _ENCRYPTED_FLAG:
            raise DocumentEncrypted("the file's archive is protected by a password")
        if entry.compress_type not in _METHODS:
            raise UnreadableDocument("the file's archive is packed in a way that is not read")
        inflated += entry.file_size
    if inflated > MAX_INFLATED_BYTES:
        raise LoaderLimit(f"the file would inflate to more than {MAX_INFLATED_BYTES} bytes")
    if inflated > max(_RATIO_COUNTS_FROM_BYTES, MAX_RATIO * packed):
        raise LoaderLimit(f"the file would inflate to more than {MAX_RATIO} times its size")


def _check_overlaps(entries: list[zipfile.ZipInfo]) -> None:
    """Entries that share their bytes make a bomb out of little."""
    end = 0
    for entry in sorted(entries, key=lambda each: each.header_offset):
        if entry.header_offset < end:
            raise UnreadableDocument("parts of the file's archive overlap")
        end = entry.header_offset + _LOCAL_HEADER_BYTES + entry.compress_size


@contextmanager
def _told_as_damage() -> Iterator[None]:
    try:
        yield
    except _BROKEN_ARCHIVE as exc:
        raise UnreadableDocument(_DAMAGED) from exc
