"""The originals that users uploaded: encrypted files under random names."""

import asyncio
import os
import re
import secrets
import struct
from collections.abc import AsyncGenerator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from persistence.encryption import KeyRing
from persistence.errors import DecryptionError, NotFound

SEGMENT_BYTES = 1 << 20
"""A blob is encrypted piece by piece, so that a large one does not need its size over and over."""

_NAME = re.compile(r"[0-9a-f]{32}")
_LENGTH = struct.Struct(">I")


class BlobStore:
    """Keeps blobs in files below one folder."""

    def __init__(self, root: Path, key_ring: KeyRing) -> None:
        self._root = root
        self._key_ring = key_ring

    async def put(self, data: bytes) -> str:
        """Keep a blob and return the name that it was given."""
        name = secrets.token_hex(16)
        await asyncio.to_thread(self._write, name, data)
        return name

    async def get(self, name: str) -> bytes:
        """Return a blob.

        Raises:
            NotFound: There is none of that name.
            DecryptionError: The file was changed, cut short, or is another blob's.
        """
        return await asyncio.to_thread(self._read, name)

    async def stream(self, name: str, *, start: int = 0) -> AsyncGenerator[bytes, None]:
        """Yield a blob piece by piece, as much as is decrypted at a time.

        What comes before `start` is left out, and hardly costs anything. A blob that is deleted
        meanwhile is still read to its end.

        Raises:
            NotFound: There is none of that name.
            DecryptionError: The file was changed, cut short, or is another blob's.
        """
        with await asyncio.to_thread(self._open, name) as file:
            segment, surplus = divmod(start, SEGMENT_BYTES)
            pieces = self._unseal(name, file, segment)
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece[surplus:]
                surplus = 0

    async def rotate(self, name: str) -> bool:
        """Encrypt a blob anew with the first key; return whether it was under another.

        It is exchanged whole, under the eyes of whoever reads it. One that is deleted meanwhile
        comes back: whoever rotates looks after that.

        Raises:
            NotFound: There is none of that name.
            DecryptionError: The file was changed or cut short; it stays as it is.
        """
        return await asyncio.to_thread(self._rotate, name)

    async def delete(self, name: str) -> None:
        """Delete a blob; one that is not there is fine."""
        await asyncio.to_thread(self._unlink, name)

    def _write(self, name: str, data: bytes) -> None:
        self._write_tokens(name, self._seal(name, data))

    def _write_tokens(self, name: str, tokens: Iterable[bytes]) -> None:
        path = self._path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(f".{secrets.token_hex(4)}.draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for token in tokens:
                    file.write(_LENGTH.pack(len(token)))
                    file.write(token)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def _rotate(self, name: str) -> bool:
        with self._open(name) as file:
            first = next(iter(self._tokens(name, file)))
            if self._key_ring.rotate(first) == first:
                return False
            file.seek(0)
            self._write_tokens(name, map(self._key_ring.rotate, self._tokens(name, file)))
        return True

    def _read(self, name: str) -> bytes:
        with self._open(name) as file:
            return b"".join(self._unseal(name, file))

    def _unlink(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise NotFound(f"no blob {name!r}")
        return self._root / name[:2] / name

    def _seal(self, name: str, data: bytes) -> Iterator[bytes]:
        for start in range(0, max(len(data), 1), SEGMENT_BYTES):
            end = start + SEGMENT_BYTES
            context = _context(name, start, last=end >= len(data))
            yield self._key_ring.encrypt(data[start:end], context=context)

    def _open(self, name: str) -> BinaryIO:
        try:
            return self._path(name).open("rb")
        except FileNotFoundError as exc:
            raise NotFound(f"no blob {name!r}") from exc

    def _unseal(self, name: str, file: BinaryIO, first: int = 0) -> Iterator[bytes]:
        size = os.fstat(file.fileno()).st_size
        for number, token in enumerate(self._tokens(name, file, first), first):
            last = file.tell() == size
            context = _context(name, number * SEGMENT_BYTES, last=last)
            yield self._key_ring.decrypt(token, context=context)

    def _tokens(self, name: str, file: BinaryIO, skipped: int = 0) -> Iterator[bytes]:
        left = os.fstat(file.fileno()).st_size
        while True:
            header = file.read(_LENGTH.size)
            length = _LENGTH.unpack(header)[0] if len(header) == _LENGTH.size else left
            left -= _LENGTH.size + length
            if left < 0:
                raise DecryptionError(f"the blob {name!r} was cut short")
            if skipped:
                skipped -= 1
                file.seek(length, os.SEEK_CUR)
            else:
                yield file.read(length)
            if left == 0:
                return


def _context(name: str, start: int, *, last: bool) -> str:
    return f"blobs/{name}/{start}/{'last' if last else 'more'}"
