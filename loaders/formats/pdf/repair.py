"""A second parser for files that the first one gives up on."""

from io import BytesIO

from pypdf import PdfReader, PdfWriter
from pypdf.errors import FileNotDecryptedError, PyPdfError

from loaders.errors import DocumentEncrypted, UnreadableDocument


def repair(data: bytes) -> bytes:
    """The same pages in a file that is in order.

    Raises:
        DocumentEncrypted: it asks for a password.
        UnreadableDocument: nothing can be made of it.
    """
    target = BytesIO()
    try:
        PdfWriter(clone_from=PdfReader(BytesIO(data), strict=False)).write(target)
    except FileNotDecryptedError as exc:
        raise DocumentEncrypted("the PDF is protected by a password") from exc
    except (PyPdfError, ValueError, LookupError, TypeError, AttributeError, OSError) as exc:
        raise UnreadableDocument("the PDF is damaged") from exc
    return target.getvalue()
