"""Everything that can go wrong between a file's bytes and its text.

LoaderError
├── UnsupportedMedia          UNSUPPORTED_MEDIA
├── UnreadableDocument        UNREADABLE_DOCUMENT
│   ├── EmptyDocument         EMPTY_DOCUMENT
│   └── DocumentEncrypted     DOCUMENT_ENCRYPTED
├── LoaderTimeout             LOADER_TIMEOUT
├── LoaderLimit               LOADER_LIMIT
├── OcrUnavailable            OCR_UNAVAILABLE
└── LoaderUnavailable         LOADER_UNAVAILABLE
"""

from typing import ClassVar


class LoaderError(Exception):
    """A file did not become a document; the message may be shown to whoever sent it."""

    code: ClassVar[str] = "LOADER_ERROR"
    """What clients and stored records tell the errors apart by; never changes."""


class UnsupportedMedia(LoaderError):
    """The bytes are of a kind that is not read, or not of the kind that the name claims."""

    code = "UNSUPPORTED_MEDIA"


class UnreadableDocument(LoaderError):
    """The bytes are of a known kind, but damaged."""

    code = "UNREADABLE_DOCUMENT"


class EmptyDocument(UnreadableDocument):
    """The file can be read but holds no text."""

    code = "EMPTY_DOCUMENT"


class DocumentEncrypted(UnreadableDocument):
    """The file asks for a password."""

    code = "DOCUMENT_ENCRYPTED"


class LoaderTimeout(LoaderError):
    """Reading took longer than it may."""

    code = "LOADER_TIMEOUT"


class LoaderLimit(LoaderError):
    """The file is too large, or reading it took more memory or gave more text than allowed."""

    code = "LOADER_LIMIT"


class OcrUnavailable(LoaderError):
    """The file is a picture, and the data that recognising it takes is not installed."""

    code = "OCR_UNAVAILABLE"


class LoaderUnavailable(LoaderError):
    """The process that reads files could not be started, or went away; trying again may help."""

    code = "LOADER_UNAVAILABLE"


def error_of_code(code: str, message: str) -> LoaderError:
    """The error that a code stands for, as it comes back from the process that reads files."""
    known = {
        each.code: each
        for each in (
            UnsupportedMedia,
            UnreadableDocument,
            EmptyDocument,
            DocumentEncrypted,
            LoaderTimeout,
            LoaderLimit,
            OcrUnavailable,
        )
    }
    return known.get(code, UnreadableDocument)(message)
