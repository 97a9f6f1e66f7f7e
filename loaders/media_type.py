"""The kinds of files that can be read."""

from dataclasses import dataclass
from enum import StrEnum


class MediaType(StrEnum):
    """A kind of file, as a document's record names it."""

    TEXT = "text/plain"
    CODE = "text/x-source"
    LOG = "text/x-log"
    MARKDOWN = "text/markdown"
    RST = "text/x-rst"
    HTML = "text/html"
    XML = "application/xml"
    CSV = "text/csv"
    TSV = "text/tab-separated-values"
    JSON = "application/json"
    JSON_LINES = "application/jsonl"
    SUBRIP = "application/x-subrip"
    WEBVTT = "text/vtt"
    EMAIL = "message/rfc822"
    MAILBOX = "application/mbox"

    PDF = "application/pdf"
    RTF = "application/rtf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    XLS = "application/vnd.ms-excel"
    ODT = "application/vnd.oasis.opendocument.text"
    ODS = "application/vnd.oasis.opendocument.spreadsheet"
    EPUB = "application/epub+zip"

    PNG = "image/png"
    JPEG = "image/jpeg"
    TIFF = "image/tiff"
    WEBP = "image/webp"
    GIF = "image/gif"
    BMP = "image/bmp"


@dataclass(frozen=True, kw_only=True)
class RecognisedFile:
    """A file of which it is known how to read it."""

    media_type: MediaType
    data: bytes
    text: str = ""
    """The decoded text; empty for kinds that are not text."""
    delimiter: str | None = None
    """What sets the cells of a table in plain text apart."""
