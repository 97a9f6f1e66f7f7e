"""What kind of document is inside an archive or an old Office file; names decide nothing."""

import io
import re
import struct

import olefile  # type: ignore[import-untyped]

from loaders.errors import DocumentEncrypted, UnreadableDocument, UnsupportedMedia
from loaders.formats.archive import Archive
from loaders.media_type import MediaType

_CONTENT_TYPES = "[Content_Types].xml"
_MAIN_PARTS = (
    (re.compile(rb"wordprocessingml\.\w+\.main\+xml|ms-word\.\w+\.macroEnabled"), MediaType.DOCX),
    (
        re.compile(rb"presentationml\.\w+\.main\+xml|ms-powerpoint\.\w+\.macroEnabled"),
        MediaType.PPTX,
    ),
    (
        re.compile(rb"spreadsheetml\.\w+\.main\+xml|ms-excel\.(sheet|template)\.macroEnabled"),
        MediaType.XLSX,
    ),
)
_BINARY_WORKBOOK = b"ms-excel.sheet.binary"
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
# Templates, and documents made for the web, are declared by longer names.
_DECLARED = {
    f"{_OPEN_DOCUMENT}text": MediaType.ODT,
    f"{_OPEN_DOCUMENT}spreadsheet": MediaType.ODS,
    "application/epub+zip": MediaType.EPUB,
}
_DECLARATION = "mimetype"
_LONGEST_DECLARATION_BYTES = 200
_BROKEN_OLE = (OSError, ValueError, IndexError, KeyError, TypeError, struct.error)
_SAVE_AS = "the file is {}; saved as {} it can be read"


def recognise_archive(data: bytes) -> MediaType:
    """The kind of a document that is a ZIP archive, with or without macros.

    Raises:
        UnsupportedMedia: it is an archive of something else.
        UnreadableDocument, DocumentEncrypted, LoaderLimit: see `Archive`.
    """
    archive = Archive(data)
    declared = _declaration(archive)
    for beginning, media_type in _DECLARED.items():
        if declared.startswith(beginning):
            return media_type
    if declared.startswith(f"{_OPEN_DOCUMENT}presentation"):
        raise UnsupportedMedia(_SAVE_AS.format("an OpenDocument presentation", ".pptx"))
    if _CONTENT_TYPES in archive:
        types = archive.read(_CONTENT_TYPES)
        if _BINARY_WORKBOOK in types:
            raise UnsupportedMedia(_SAVE_AS.format("a binary Excel workbook", ".xlsx"))
        for pattern, media_type in _MAIN_PARTS:
            if pattern.search(types):
                return media_type
    if "META-INF/container.xml" in archive:
        return MediaType.EPUB
    raise UnsupportedMedia(
        "the file is an archive, or a document of a kind that cannot be read; "
        "the files inside an archive can be sent one by one"
    )


def recognise_old_office(data: bytes) -> MediaType:
    """The kind of a document in the container of Office 97: only workbooks are read.

    Raises:
        DocumentEncrypted: it is a newer document inside, locked by a password.
        UnsupportedMedia: it is of a kind that is not read; the message says what helps.
        UnreadableDocument: it is damaged.
    """
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as container:
            names = {path[0] for path in container.listdir(storages=True)}
    except _BROKEN_OLE as exc:
        raise UnreadableDocument("the old Office document is damaged") from exc
    if "EncryptedPackage" in names:
        raise DocumentEncrypted("the document is protected by a password")
    if names & {"Workbook", "Book"}:
        return MediaType.XLS
    if "WordDocument" in names:
        raise UnsupportedMedia(_SAVE_AS.format("an old Word document", ".docx"))
    if "PowerPoint Document" in names:
        raise UnsupportedMedia(_SAVE_AS.format("an old PowerPoint presentation", ".pptx"))
    if any(name.startswith("__substg1.0_") for name in names):
        raise UnsupportedMedia(_SAVE_AS.format("a message of Outlook's", ".eml"))
    raise UnsupportedMedia(_SAVE_AS.format("an old Office document", ".docx, .pptx or .xlsx"))


def _declaration(archive: Archive) -> str:
    """What the archive calls itself, as EPUB and OpenDocument do."""
    if _DECLARATION not in archive:
        return ""
    with archive.open(_DECLARATION) as part:
        return part.read(_LONGEST_DECLARATION_BYTES).decode("ascii", "replace").strip()
