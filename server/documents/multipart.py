"""Uploads, read without a plaintext copy ever touching the disk."""

import re
from collections.abc import AsyncGenerator, Sequence
from pathlib import PurePosixPath
from typing import Any

import orjson
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from server.body_pace import keep_pace
from server.dependencies import ROW_ID_MAX
from server.documents.names import clean_name, is_clean
from server.documents.tags import TAG_MAX_CHARS, TAGS_MAX, each_once
from server.documents.uploads import Upload
from server.errors import BadRequest, TooManyFiles

FILENAME_MAX_CHARS = 255
_NEVER_SPOOLED_BYTES = 2**62
_ROW_ID = re.compile(r"[1-9][0-9]{0,18}")
_BROKE_OFF = "The upload broke off."
_TAGS_WANTED = (
    "Send 'tags' as words with commas between them, such as hr,handbook, "
    'or as a JSON list: ["hr", "handbook"].'
)
_UTF8_NAMES = frozenset({b"utf-8", b"utf8"})


class _WholeInMemoryParser(MultiPartParser):
    """Starlette's parser, but for two things.

    Its spool would write larger files to disk as they are, and it takes a body that stops before
    the closing boundary for a whole one without its last file.
    """

    spool_max_size = _NEVER_SPOOLED_BYTES
    _complete = False
    _files = 0

    @property
    def has_too_many_files(self) -> bool:
        """Whether that is why it stopped."""
        return self._files > self.max_files

    def on_headers_finished(self) -> None:
        """Counts the files."""
        self._files += (
            b"filename" in parse_options_header(self._current_part.content_disposition)[1]
        )
        super().on_headers_finished()

    def on_end(self) -> None:
        """Notes the closing boundary."""
        self._complete = True

    async def parse(self) -> FormData:
        """Parses a body that has its closing boundary; closes its files if it has none."""
        self.stream = self._whole(self.stream)
        return await super().parse()

    async def _whole(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            yield chunk
        if not self._complete:
            raise BadRequest(_BROKE_OFF)


class UploadForm:
    """The parts of an upload form."""

    def __init__(
        self, uploads: list[Upload], fields: dict[str, str], *, tags: Sequence[str] = ()
    ) -> None:
        self.uploads = uploads
        self._fields = fields
        self._tags = tags

    @property
    def tags(self) -> list[str]:
        """The tags: words with commas between them, or a JSON list of strings.

        Raises:
            BadRequest: They are something else, or too many.
        """
        tags = [tag.strip() for raw in self._tags for tag in _read_tags(raw.strip())]
        if len(tags) > TAGS_MAX or any(not 0 < len(tag) <= TAG_MAX_CHARS for tag in tags):
            raise BadRequest(f"At most {TAGS_MAX} tags of 1 to {TAG_MAX_CHARS} characters.")
        if not all(map(is_clean, tags)):
            raise BadRequest("A tag is one line of text without control characters.")
        return each_once(tags)

    @property
    def is_private(self) -> bool | None:
        """What was said of it, if anything.

        Raises:
            BadRequest: It is neither true nor false.
        """
        said = self._fields.get("is_private", "").strip().lower()
        if said not in {"", "true", "false"}:
            raise BadRequest("'is_private' must be true or false.")
        return said == "true" if said else None

    @property
    def group_id(self) -> int | None:
        """The group to share with; without one the files are private.

        Raises:
            BadRequest: It is no id, or does not go with what `is_private` says.
        """
        group_id = self._fields.get("group_id", "").strip()
        if not group_id:
            if self.is_private is False:
                raise BadRequest("'is_private' is false only with a 'group_id' to share with.")
            return None
        if self.is_private:
            raise BadRequest("A 'group_id' shares, and 'is_private' says not to: send one of them.")
        if not _ROW_ID.fullmatch(group_id) or int(group_id) > ROW_ID_MAX:
            raise BadRequest("'group_id' is not an id.")
        return int(group_id)


async def read_upload_form(
    request: Request, *, max_files: int, part_name: str = "files"
) -> UploadForm:
    """Reads a multipart body with its files into memory.

    Raises:
        BadRequest: No multipart form, no file, or a broken body.
        TooManyFiles: There are more files than that.
        UploadTooSlow: The body does not come.
    """
    _require_utf8_form(request.headers.get("content-type", ""), part_name)
    body = keep_pace(request.stream())
    parser = _WholeInMemoryParser(
        request.headers, body, max_files=max_files, max_fields=8, max_part_size=65_536
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeError) as exc:
        if parser.has_too_many_files:
            raise _too_many(max_files) from exc
        raise BadRequest("The multipart body is not readable.") from exc
    except ClientDisconnect as exc:
        raise BadRequest(_BROKE_OFF) from exc
    uploads = [
        Upload(filename=_safe_name(part.filename), data=await part.read())
        for part in form.getlist(part_name)
        if isinstance(part, UploadFile)
    ]
    fields = {key: value for key, value in form.items() if isinstance(value, str)}
    tags = [value for value in form.getlist("tags") if isinstance(value, str)]
    await form.close()
    if not uploads:
        raise BadRequest(f"There is no file in the form; name its part '{part_name}'.")
    return UploadForm(uploads, fields, tags=tags)


def _read_tags(raw: str) -> list[str]:
    """Those of one part of the form; what looks like JSON has to be JSON."""
    if not raw.startswith(("[", "{", '"')):
        return raw.split(",") if raw else []
    try:
        tags: Any = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise BadRequest(_TAGS_WANTED) from exc
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise BadRequest(_TAGS_WANTED)
    return tags


def _too_many(max_files: int) -> TooManyFiles:
    return TooManyFiles(
        f"At most {max_files} files are taken in one request."
        if max_files > 1
        else "Only one file is taken in this request.",
        details={"max_files": max_files},
    )


def _require_utf8_form(content_type: str, part_name: str) -> None:
    """Other charsets, such as UTF-7, make texts of the form's names that UTF-8 cannot tell."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise BadRequest(f"Send what is in files as multipart/form-data, in parts '{part_name}'.")
    if options.get(b"charset", b"utf-8").lower() not in _UTF8_NAMES:
        raise BadRequest("Send the form in UTF-8.")


def _safe_name(filename: str | None) -> str:
    """The last part of the name: a client's folders are nobody's business."""
    name = PurePosixPath((filename or "").replace("\\", "/")).name
    return clean_name(name)[:FILENAME_MAX_CHARS] or "unnamed"
