"""Kinds of files that are no text, told by their first bytes and, of archives, by their members."""

import re

from loaders.containers import recognise_archive, recognise_old_office
from loaders.errors import UnsupportedMedia
from loaders.media_type import MediaType
from loaders.speech.audio_format import recognise as is_recording

_PDF_HEADER_BYTES = 1024
_ZIP = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_RIFF = b"RIFF"

_BITMAP = re.compile(rb"BM.{4}\x00{4}.{4}[\x0c\x28\x40\x6c\x7c]\x00\x00\x00", re.S)

_READABLE = (
    (b"{\\rtf", MediaType.RTF),
    (b"\x89PNG\r\n\x1a\n", MediaType.PNG),
    (b"\xff\xd8\xff", MediaType.JPEG),
    (b"II*\x00", MediaType.TIFF),
    (b"MM\x00*", MediaType.TIFF),
    (b"II+\x00", MediaType.TIFF),
    (b"MM\x00+", MediaType.TIFF),
    (b"GIF87a", MediaType.GIF),
    (b"GIF89a", MediaType.GIF),
)
_UNREADABLE = (
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"%!PS", "a PostScript document"),
    (b"\x1a\x45\xdf\xa3", "a film"),
    (b"\x1f\x8b", "a compressed file"),
    (b"7z\xbc\xaf\x27\x1c", "a compressed file"),
    (b"BZh", "a compressed file"),
    (b"\xfd7zXZ\x00", "a compressed file"),
    (b"\x28\xb5\x2f\xfd", "a compressed file"),
    (b"Rar!\x1a\x07", "a compressed file"),
    (b"x\x9f>\x22", "Outlook's wrapping of a message"),
    (b"SQLite format 3\x00", "a database"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
)
_PLAIN_CHARACTERS_ALL_THE_SAME = (b"{\\rtf", b"%!PS")


def recognise_binary(data: bytes) -> MediaType | None:
    """The kind of a file that is no text; None for what may be text.

    Raises:
        UnsupportedMedia: it is of a known kind that is not read.
        DocumentEncrypted: it is an Office document that asks for a password.
        UnreadableDocument: it is a damaged archive.
    """
    if _is_pdf(data):
        return MediaType.PDF
    if is_plain(data):
        return None
    if data.startswith(_ZIP):
        return recognise_archive(data)
    if data.startswith(_OLD_OFFICE):
        return recognise_old_office(data)
    if is_recording(data):
        raise UnsupportedMedia("the file is a recording, which is read by itself alone")
    if data.startswith(_RIFF):
        return _recognise_riff(data)
    readable = _recognise_start(data)
    if readable is not None:
        return readable
    for signature, kind in _UNREADABLE:
        if data.startswith(signature):
            raise UnsupportedMedia(f"the file is {kind}, which cannot be read")
    if data[4:8] == b"ftyp":
        raise UnsupportedMedia("the file is an image of a kind that cannot be read")
    return None


def _recognise_start(data: bytes) -> MediaType | None:
    if _BITMAP.match(data):
        return MediaType.BMP
    found = (kind for signature, kind in _READABLE if data.startswith(signature))
    return next(found, None)


def is_plain(data: bytes) -> bool:
    """Whether it is UTF-8 without NULs, and no format that is written in such characters."""
    if data.startswith(_PLAIN_CHARACTERS_ALL_THE_SAME):
        return False
    try:
        return b"\x00" not in data and data.decode("utf-8") is not None
    except UnicodeDecodeError:
        return False


def _is_pdf(data: bytes) -> bool:
    """Readers take a PDF that begins after some junk; prose that quotes a header is none."""
    start = data[:_PDF_HEADER_BYTES]
    if start.lstrip(b"\xef\xbb\xbf \t\r\n\x00").startswith(b"%PDF-"):
        return True
    return b"%PDF-" in start and not is_plain(data)


def _recognise_riff(data: bytes) -> MediaType:
    if data[8:12] == b"WEBP":
        return MediaType.WEBP
    raise UnsupportedMedia("the file is a recording or a film of a kind that cannot be read")
