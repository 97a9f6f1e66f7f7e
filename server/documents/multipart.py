"""Uploads, read without a plaintext copy ever touching the disk."""

from pathlib import PurePosixPath
from typing import Any

import orjson
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from server.documents.service import Upload
from server.errors import BadRequest

FILENAME_MAX_CHARS = 255
TAGS_MAX = 32
TAG_MAX_CHARS = 64
_NEVER_SPOOLED_BYTES = 2**62


class _InMemoryParser(MultiPartParser):
    """Starlette's parser, but for its spool: that writes larger files to disk as they are."""

    spool_max_size = _NEVER_SPOOLED_BYTES


class UploadForm:
    """The parts of an upload form."""

    def __init__(self, uploads: list[Upload], fields: dict[str, str]) -> None:
        self.uploads = uploads
        self._fields = fields

    @property
    def tags(self) -> list[str]:
        """The tags, sent as a JSON list of strings.

        Raises:
            BadRequest: They are something else, or too many.
        """
        raw = self._fields.get("tags", "[]") or "[]"
        try:
            tags: Any = orjson.loads(raw)
        except orjson.JSONDecodeError as exc:
            raise BadRequest("'tags' is not JSON.") from exc
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise BadRequest("'tags' must be a JSON list of strings.")
        if len(tags) > TAGS_MAX or any(not 0 < len(tag) <= TAG_MAX_CHARS for tag in tags):
            raise BadRequest(f"At most {TAGS_MAX} tags of 1 to {TAG_MAX_CHARS} characters.")
        return list(dict.fromkeys(tags))


async def read_upload_form(request: Request, *, max_files: int) -> UploadForm:
    """Reads a multipart body with its files into memory.

    Raises:
        BadRequest: No multipart form, no file, too many files, or a broken body.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise BadRequest("Send the files as multipart/form-data, each in a part named 'files'.")
    parser = _InMemoryParser(
        request.headers, request.stream(), max_files=max_files, max_fields=8, max_part_size=65_536
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeError) as exc:
        raise BadRequest("The multipart body is not readable.") from exc
    except ClientDisconnect as exc:
        raise BadRequest("The upload broke off.") from exc
    uploads = [
        Upload(filename=_safe_name(part.filename), data=await part.read())
        for part in form.getlist("files")
        if isinstance(part, UploadFile)
    ]
    fields = {key: value for key, value in form.items() if isinstance(value, str)}
    await form.close()
    if not uploads:
        raise BadRequest("There is no file in the form; name its part 'files'.")
    return UploadForm(uploads, fields)


def _safe_name(filename: str | None) -> str:
    """The last part of the name: a client's folders are nobody's business."""
    name = PurePosixPath((filename or "").replace("\\", "/")).name.strip()
    return name[:FILENAME_MAX_CHARS] or "unnamed"
