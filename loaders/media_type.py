"""What kind of file it is: decided by the bytes.

A name decides nothing but which dialect of text is meant, since Markdown and CSV cannot always be
told from prose; and a name that claims a binary kind which the bytes are not is refused.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from loaders.encoding import decode
from loaders.errors import EmptyDocument, UnsupportedMedia
from loaders.formats.delimiters import find_delimiter


class MediaType(StrEnum):
    """The kinds of files that can be read."""

    TEXT = "text/plain"
    MARKDOWN = "text/markdown"
    HTML = "text/html"
    CSV = "text/csv"
    PDF = "application/pdf"


@dataclass(frozen=True, kw_only=True)
class RecognisedFile:
    """A file of which it is known how to read it."""

    media_type: MediaType
    text: str = ""
    """The decoded text; empty for kinds that are not text."""
    delimiter: str | None = None
    """What sets the cells of a CSV file apart."""


_SIGNATURES = (
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
    (b"{\\rtf", "an RTF document"),
    (b"%!PS", "a PostScript document"),
    (b"\x89PNG\r\n\x1a\n", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF87a", "an image"),
    (b"GIF89a", "an image"),
    (b"II*\x00", "an image"),
    (b"MM\x00*", "an image"),
    (b"RIFF", "an image or a recording"),
    (b"ID3", "a recording"),
    (b"OggS", "a recording"),
    (b"fLaC", "a recording"),
    (b"\x1f\x8b", "a compressed file"),
    (b"7z\xbc\xaf\x27\x1c", "a compressed file"),
    (b"BZh", "a compressed file"),
    (b"\xfd7zXZ\x00", "a compressed file"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
)
# fmt: off
_BINARY_SUFFIXES = frozenset({
    ".pdf", ".doc", ".docx", ".ppt", ".pptx", ".xls", ".xlsx", ".odt", ".ods", ".odp",
    ".rtf", ".msg", ".epub", ".zip", ".gz", ".7z", ".tar", ".png", ".jpg", ".jpeg", ".gif",
    ".tif", ".tiff", ".bmp", ".webp", ".mp3", ".mp4", ".m4a", ".wav", ".ogg", ".flac",
    ".exe", ".dll", ".so"
})
# fmt: on
_MARKDOWN_SUFFIXES = frozenset({".md", ".markdown", ".mdown", ".mkd"})
_HTML_SUFFIXES = frozenset({".html", ".htm", ".xhtml"})
_CSV_SUFFIXES = frozenset({".csv", ".tsv", ".tab"})

_PDF_HEADER_BYTES = 1024
_HTML_HEAD_CHARS = 4096
_HTML_START = re.compile(
    r"\s*(<\?xml[^>]*\?>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.I | re.S
)
_HTML_TAG = re.compile(r"<(p|div|span|h[1-6]|table|ul|ol|br|a|section|article)\b[^>]*>", re.I)
_DECLARED_CHARSET = re.compile(
    rb"<(?:meta|\?xml)[^>]+(?:charset|encoding)\s*=\s*[\"']?([\w.:-]+)", re.I
)


def recognise(data: bytes, filename: str) -> RecognisedFile:
    """Tell what a file is, and decode it if it is text.

    Raises:
        UnsupportedMedia: it is of a kind that is not read, or not what its name claims.
        EmptyDocument: it has no bytes, or nothing but white space.
        UnreadableDocument: it is text with bytes in it that are no text.
    """
    if not data.strip(b" \t\r\n\x00\xef\xbb\xbf\xff\xfe"):
        raise EmptyDocument("the file is empty")
    if _is_pdf(data):
        return RecognisedFile(media_type=MediaType.PDF)
    for signature, kind in _SIGNATURES:
        if data.startswith(signature) and not _is_plain(data):
            raise UnsupportedMedia(f"the file is {kind}; this kind cannot be read yet")
    suffix = PurePath(filename).suffix.lower()
    declared = _DECLARED_CHARSET.search(data[:_HTML_HEAD_CHARS])
    text = decode(data, declared=declared[1].decode("ascii") if declared else None)
    if suffix in _BINARY_SUFFIXES:
        raise UnsupportedMedia(f"the file is named {suffix!r} but its content is not of that kind")
    return _recognise_text(text, suffix)


def _recognise_text(text: str, suffix: str) -> RecognisedFile:
    head = text[:_HTML_HEAD_CHARS]
    if _HTML_START.match(head) or (suffix in _HTML_SUFFIXES and _HTML_TAG.search(head)):
        return RecognisedFile(media_type=MediaType.HTML, text=text)
    if suffix in _MARKDOWN_SUFFIXES:
        return RecognisedFile(media_type=MediaType.MARKDOWN, text=text)
    delimiter = find_delimiter(text, claimed=suffix in _CSV_SUFFIXES)
    if delimiter is not None:
        return RecognisedFile(media_type=MediaType.CSV, text=text, delimiter=delimiter)
    return RecognisedFile(media_type=MediaType.TEXT, text=text)


def _is_pdf(data: bytes) -> bool:
    """Readers take a PDF that begins after some junk; prose that quotes a header is none."""
    start = data[:_PDF_HEADER_BYTES]
    if start.lstrip(b"\xef\xbb\xbf \t\r\n\x00").startswith(b"%PDF-"):
        return True
    return b"%PDF-" in start and not _is_plain(data)


def _is_plain(data: bytes) -> bool:
    """RTF and PostScript are plain characters all the same, so they count as binary."""
    if data.startswith((b"{\\rtf", b"%!PS")):
        return False
    try:
        return b"\x00" not in data and data.decode("utf-8") is not None
    except UnicodeDecodeError:
        return False
