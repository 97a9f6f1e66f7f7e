"""The body of an answer, unpacked and counted as it comes."""

import zlib

from tools.errors import UrlFailed, UrlTooLarge

_GZIP = 16 + zlib.MAX_WBITS
_PACKED_SURPLUS_BYTES = 64 * 1024
"""How much more than its content a packed answer may weigh."""
_FREE_MEMBERS = 64
_LEAST_MEMBER_BYTES = 256
"""Each part that is packed by itself costs a few microseconds, also if there is nothing in it."""


class BoundedBody:
    """Takes no more than a number of bytes, however small they were packed."""

    def __init__(self, max_bytes: int, *, encoding: str, announced_bytes: int) -> None:
        """Begin with nothing.

        Raises:
            UrlFailed: The encoding is none that was asked for.
            UrlTooLarge: More is announced than it may be.
        """
        if encoding not in {"", "identity", "gzip", "x-gzip"}:
            raise UrlFailed("The answer is packed in a way that was not asked for.")
        self._packed = encoding.endswith("gzip")
        self._unpacker = zlib.decompressobj(_GZIP)
        self._members = self._received = 0
        self._max_bytes = max_bytes
        self._data = bytearray()
        if not self._packed and announced_bytes > max_bytes:
            raise self._too_large()

    def take(self, piece: bytes) -> None:
        """Append what has come.

        Raises:
            UrlTooLarge: There is more than it may be.
            UrlFailed: It cannot be unpacked.
        """
        if not self._packed:
            self._append(piece)
            return
        self._received += len(piece)
        if self._received > self._max_bytes + _PACKED_SURPLUS_BYTES:
            raise self._too_large()
        try:
            while piece:
                if self._unpacker.eof:  # another member follows (RFC 1952, 2.2)
                    self._count_member()
                    self._unpacker = zlib.decompressobj(_GZIP)
                room = self._max_bytes - len(self._data) + 1
                self._append(self._unpacker.decompress(piece, room))
                piece = self._unpacker.unconsumed_tail or self._unpacker.unused_data
        except zlib.error as exc:
            raise UrlFailed("The answer is damaged.") from exc

    def finish(self) -> bytes:
        """Return all of it.

        Raises:
            UrlFailed: It ends in the middle.
        """
        if self._packed and not self._unpacker.eof:
            raise UrlFailed("The answer is damaged.")
        return bytes(self._data)

    def _count_member(self) -> None:
        self._members += 1
        if self._members > _FREE_MEMBERS + self._received // _LEAST_MEMBER_BYTES:
            raise UrlFailed("The answer is packed in too many parts.")

    def _append(self, piece: bytes) -> None:
        if len(self._data) + len(piece) > self._max_bytes:
            raise self._too_large()
        self._data += piece

    def _too_large(self) -> UrlTooLarge:
        return UrlTooLarge(f"There are more than {self._max_bytes} bytes at this address.")
