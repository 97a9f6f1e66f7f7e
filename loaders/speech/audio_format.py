"""What kind of recording bytes are; asked before anything decodes them."""

import re
from collections.abc import Mapping
from typing import Literal

from loaders.speech.errors import AudioEmpty, AudioUnsupported

AudioFormat = Literal["wav", "pcm16", "mp3", "webm", "ogg"]
"""What a message may hold."""

RecordingFormat = Literal["wav", "mp3", "webm", "ogg", "m4a", "flac"]
"""What a document may be."""

MIME_TYPES: Mapping[RecordingFormat, str] = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "webm": "audio/webm",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "flac": "audio/flac",
}

PCM_RATE = 16_000
PCM_SAMPLE_BYTES = 2
SHORTEST_SECONDS = 0.1
"""Less than a syllable."""

_DOCTYPE = re.compile(rb"\x42\x82.(?:webm|matroska)", re.DOTALL)
"""The EBML element that names the kind of file: its id, its length in one byte, its value."""
_DOCTYPE_WITHIN_BYTES = 64
_EBML = b"\x1a\x45\xdf\xa3"
_ID3_VERSIONS = range(2, 5)
_FIRST_BLOCKS = (b"\x00", b"\x80")
"""What follows in every FLAC file, and in no text that begins with the word."""
_SMALL = b"\x00\x00"
"""How the length of an MP4 file's first part begins; a text begins otherwise."""
_PICTURE_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")
_FOREIGN_STARTS = (
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"%PDF",
    b"\x7fELF",
    b"7z\xbc\xaf",
    b"BZh",
    b"\xfd7zXZ",
)
"""Raw samples have no header that could be checked, but these are none."""


def check_format(data: bytes, claimed: AudioFormat) -> None:
    """Hold the bytes to the format that they are said to be of.

    Raises:
        AudioEmpty: There are none.
        AudioUnsupported: They are of another one, or of none.
    """
    if not data:
        raise AudioEmpty("the recording has no bytes")
    found = recognise(data)
    if claimed == "pcm16":
        if found is not None or data.startswith(_FOREIGN_STARTS) or len(data) % PCM_SAMPLE_BYTES:
            raise AudioUnsupported("the recording is not made of raw 16-bit samples")
    elif found != claimed:
        raise AudioUnsupported(f"the recording is not of the format {claimed!r}")


def recognise(data: bytes) -> RecordingFormat | None:
    """The format that the first bytes speak of."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if data[:5] == b"OggS\x00":
        return "ogg"
    if data[:4] == b"fLaC" and data[4:5] in _FIRST_BLOCKS:
        return "flac"
    if data[4:8] == b"ftyp" and data[:2] == _SMALL:
        return None if data[8:12] in _PICTURE_BRANDS else "m4a"
    if data[:4] == _EBML:
        return "webm" if _DOCTYPE.search(data[:_DOCTYPE_WITHIN_BYTES]) else None
    if (data[:3] == b"ID3" and data[3:4] and data[3] in _ID3_VERSIONS) or _is_mp3_frame(data):
        return "mp3"
    return None


def _is_mp3_frame(data: bytes) -> bool:
    """Eleven bits of synchronisation, a version, Layer III, and a rate that exists."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return False
    version, layer = data[1] >> 3 & 3, data[1] >> 1 & 3
    bitrate, rate = data[2] >> 4, data[2] >> 2 & 3
    return version != 1 and layer == 1 and bitrate not in {0, 15} and rate != 3
