"""What kind of file it is: decided by the bytes.

A name decides nothing but which dialect of text is meant, since Markdown and CSV cannot always be
told from prose. Plain text under the name of a binary kind is refused: it is what is left of a
download or a conversion that failed.
"""

import re
from pathlib import PurePath

from loaders.dialects import recognise_dialect
from loaders.encoding import decode
from loaders.errors import EmptyDocument, UnsupportedMedia
from loaders.mail_headers import recognise_mail
from loaders.media_type import MediaType, RecognisedFile
from loaders.signatures import recognise_binary

# fmt: off
_BINARY_SUFFIXES = frozenset({
    ".pdf", ".doc", ".docx", ".ppt", ".pptx", ".xls", ".xlsx", ".odt", ".ods", ".odp",
    ".rtf", ".msg", ".epub", ".zip", ".gz", ".7z", ".tar", ".png", ".jpg", ".jpeg", ".gif",
    ".tif", ".tiff", ".bmp", ".webp", ".mp3", ".mp4", ".m4a", ".wav", ".ogg", ".flac",
    ".webm", ".exe", ".dll", ".so"
})
# fmt: on
_DECLARED_CHARSET = re.compile(
    rb"<(?:meta|\?xml)[^>]+(?:charset|encoding)\s*=\s*[\"']?([\w.:-]+)", re.I
)
_DECLARATION_WITHIN_BYTES = 4096


def recognise(data: bytes, filename: str) -> RecognisedFile:
    """Tell what a file is, and decode it if it is text.

    Raises:
        UnsupportedMedia: it is of a kind that is not read, or not what its name claims.
        EmptyDocument: it has no bytes, or nothing but white space.
        UnreadableDocument: it is text with bytes in it that are no text, or damaged.
        DocumentEncrypted: it asks for a password.
    """
    if not data.strip(b" \t\r\n\x00\xef\xbb\xbf\xff\xfe"):
        raise EmptyDocument("the file is empty")
    suffix = PurePath(filename).suffix.lower()
    media_type = recognise_binary(data) or recognise_mail(data, suffix)
    if media_type is not None:
        return RecognisedFile(media_type=media_type, data=data)
    declared = _DECLARED_CHARSET.search(data[:_DECLARATION_WITHIN_BYTES])
    text = decode(data, declared=declared[1].decode("ascii") if declared else None)
    file = recognise_dialect(data, text, suffix)
    if suffix in _BINARY_SUFFIXES and file.media_type is not MediaType.HTML:
        raise UnsupportedMedia(f"the file is named {suffix!r} but its content is not of that kind")
    return file
