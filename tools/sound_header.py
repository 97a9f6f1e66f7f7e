"""What the first bytes of a recording say of it. Nothing is decoded."""

import struct
from dataclasses import dataclass

_WAV = "audio/wav"
_CHUNKS_MAX = 64
"""A WAV file's parts that are looked through for those that tell its length."""


@dataclass(frozen=True, kw_only=True)
class SoundHeader:
    """The kind of a recording and its length."""

    mime: str
    seconds: float | None
    """None if its first bytes do not tell."""


def read_sound_header(data: bytes) -> SoundHeader | None:
    """The header of a recording; None if it is none of the usual kinds."""
    mime = _kind_of(data)
    if mime is None:
        return None
    return SoundHeader(mime=mime, seconds=_wav_seconds(data) if mime == _WAV else None)


def _kind_of(data: bytes) -> str | None:
    if data.startswith(b"RIFF") and data[8:12] == b"WAVE":
        return _WAV
    if data.startswith(b"ID3") or (data[:1] == b"\xff" and data[1:2] and data[1] & 0xE6 == 0xE2):
        return "audio/mpeg"
    if data.startswith(b"OggS"):
        return "audio/ogg"
    if data.startswith(b"fLaC"):
        return "audio/flac"
    if data.startswith(b"\x1aE\xdf\xa3"):
        return "audio/webm"
    return "audio/mp4" if data[4:8] == b"ftyp" else None


def _wav_seconds(data: bytes) -> float | None:
    """The length by the bytes that are there: what the file says of them may be a lie."""
    place, rate = 12, 0
    for _ in range(_CHUNKS_MAX):
        if place + 8 > len(data):
            break
        name, (length,) = data[place : place + 4], struct.unpack_from("<I", data, place + 4)
        if name == b"fmt " and place + 20 <= len(data):
            (rate,) = struct.unpack_from("<I", data, place + 16)
        if name == b"data":
            return min(length, len(data) - place - 8) / rate if rate else None
        place += 8 + length + length % 2
    return None
