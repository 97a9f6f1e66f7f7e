"""What the first bytes of an image say of it. Nothing is decoded: that is the model's business."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_PNG, _GIF = b"\x89PNG\r\n\x1a\n", (b"GIF87a", b"GIF89a")
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of a frame's start (SOF0 to SOF15); the three left out mean something else."""
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""
_JPEG_SCAN = 0xDA


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """The kind of an image and its size in pixels."""

    mime: str
    width: int
    height: int


def read_image_header(data: bytes) -> ImageHeader | None:
    """The header of a whole PNG, JPEG, WebP or GIF; None if it is none, or has no end."""
    for mime, read in _READERS.items():
        try:
            size = read(data)
        except (struct.error, IndexError):
            return None
        if size is not None:
            width, height = size
            return ImageHeader(mime=mime, width=width, height=height) if width * height else None
    return None


def _read_png(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(_PNG) or data[12:16] != b"IHDR" or b"IEND" not in data:
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _read_gif(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(_GIF) or b";" not in data[-16:]:
        return None
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _read_jpeg(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(_JPEG) or _JPEG_END not in data:
        return None
    for marker, start in _jpeg_segments(data):
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, start + 1)
            return width, height
    return None


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Each marker before the picture itself, and where what it says begins."""
    place = 2
    while data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # fill bytes may stand before any marker
            place += 1
        elif marker in _JPEG_BARE:
            place += 2
        elif marker == _JPEG_SCAN:
            return
        else:
            (length,) = struct.unpack_from(">H", data, place + 2)
            yield marker, place + 4
            place += 2 + max(length, 2)


def _read_webp(data: bytes) -> tuple[int, int] | None:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        return None
    match data[12:16]:
        case b"VP8X":
            return 1 + _little_24(data, 24), 1 + _little_24(data, 27)
        case b"VP8L":
            (packed,) = struct.unpack_from("<I", data, 21)
            return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
    return None


def _little_24(data: bytes, place: int) -> int:
    return data[place] | data[place + 1] << 8 | data[place + 2] << 16


_READERS: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "image/png": _read_png,
    "image/jpeg": _read_jpeg,
    "image/webp": _read_webp,
    "image/gif": _read_gif,
}
