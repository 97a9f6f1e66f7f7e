"""The blocks of a tool's answer, each as what a model is told of it and what a person may keep."""

import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from posixpath import basename
from urllib.parse import unquote, urlsplit

from mcp import types

from persistence.large_values import apart_if_large
from tools.contents import ContentLimits, ToolContent
from tools.image_header import read_image_header
from tools.quotation import as_one_line
from tools.sound_header import read_sound_header

PIXELS_MAX = 25_000_000
"""Of one image, as its header says: what a model or a browser has to unpack."""
NAME_MAX_CHARS, URI_MAX_CHARS, MIME_MAX_CHARS = 120, 300, 80
UNKNOWN_MIME = "application/octet-stream"

_MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
_TEXTUAL = re.compile(
    r"text/|application/(?:[\w.-]+\+)?(?:json|xml|yaml|x-yaml|toml|javascript|sql)(?:;|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Said:
    """Plain text."""

    text: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Quoted:
    """The text of a resource."""

    about: Sequence[str]
    """What its opening mark says."""
    text: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Linked:
    """A resource that is named, and can perhaps be read."""

    about: str
    uri: str
    can_be_text: bool
    size: int | None


@dataclass(frozen=True, kw_only=True)
class Held:
    """Something that is not text."""

    about: str
    content: ToolContent | None = None
    """None if it is only named."""


AnswerBlock = Said | Quoted | Linked | Held


class BlockReader:
    """Reads the blocks of one answer, and unpacks so many of them at most."""

    def __init__(self, limits: ContentLimits) -> None:
        self._limits = limits
        self._images = 0
        self._unpacked = 0

    async def read(self, block: types.ContentBlock) -> AnswerBlock:
        """Look at the next one; whatever is in it, this does not fail."""
        match block:
            case types.TextContent(text=text):
                return Said(text=text)
            case types.ImageContent(data=data, mimeType=mime):
                return await self._image(data, mime)
            case types.AudioContent(data=data, mimeType=mime):
                return await self._sound(data, mime)
            case types.ResourceLink():
                return _link(block)
            case types.EmbeddedResource(resource=resource):
                if isinstance(resource, types.TextResourceContents):
                    return quote_resource(resource)
                return await self._file(resource)

    async def _image(self, data_b64: str, mime: str) -> Held:
        self._images += 1
        about = f"An image, {_size_told(data_b64)}"
        if self._images > self._limits.images:
            return Held(about=f"{about}: one more than the {self._limits.images} that are shown")
        data = await self._unpack(data_b64)
        if isinstance(data, str):
            return Held(about=f"{about}: {data}")
        header = read_image_header(data)
        if header is None:
            return _mistaken("an image", mime, data)
        about = f"An image, {header.mime}, {header.width} × {header.height} pixels"
        about = f"{about}, {len(data)} bytes"
        if header.width * header.height > PIXELS_MAX:
            return Held(about=f"{about}: too large to be shown")
        return Held(about=about, content=ToolContent(kind="image", mime=header.mime, data=data))

    async def _sound(self, data_b64: str, mime: str) -> Held:
        data = await self._unpack(data_b64)
        if isinstance(data, str):
            return Held(about=f"A sound, {_size_told(data_b64)}: {data}")
        header = read_sound_header(data)
        if header is None:
            return _mistaken("a sound", mime, data)
        length = "" if header.seconds is None else f"{header.seconds:.1f} seconds, "
        return Held(
            about=f"A sound, {header.mime}, {length}{len(data)} bytes, which you cannot hear",
            content=ToolContent(kind="audio", mime=header.mime, data=data),
        )

    async def _file(self, resource: types.BlobResourceContents) -> Held:
        uri, mime = str(resource.uri), plain_mime(resource.mimeType)
        about = f"A file, {in_line(uri)}, {mime}"
        data = await self._unpack(resource.blob)
        if isinstance(data, str):
            return Held(about=f"{about}, {_size_told(resource.blob)}: {data}")
        content = ToolContent(kind="resource", mime=mime, data=data, name=name_of(uri))
        return Held(about=f"{about}, {len(data)} bytes", content=content)

    async def _unpack(self, data_b64: str) -> bytes | str:
        """The bytes, or why there are none."""
        if len(data_b64) * 3 // 4 > self._limits.content_bytes + 2:
            return f"larger than {self._limits.content_bytes} bytes"
        self._unpacked += 1
        if self._unpacked > self._limits.contents:
            return f"one more than the {self._limits.contents} that are looked at"
        try:
            data = await apart_if_large(len(data_b64), partial(_decode, data_b64))
        except (NotBase64, ValueError):
            return "not readable"
        if len(data) > self._limits.content_bytes:
            return f"larger than {self._limits.content_bytes} bytes"
        return data


def quote_resource(resource: types.TextResourceContents) -> Quoted:
    """The text of a resource with what is known of it."""
    about = [f'uri="{in_line(str(resource.uri))}"']
    if resource.mimeType:
        about.append(f'type="{plain_mime(resource.mimeType)}"')
    return Quoted(about=about, text=resource.text)


def plain_mime(said: str | None) -> str:
    """What a server says of a type, if it has the form of one."""
    mime = (said or "").partition(";")[0].strip().lower()
    is_one = len(mime) <= MIME_MAX_CHARS and _MIME.fullmatch(mime)
    return mime if is_one else UNKNOWN_MIME


def in_line(uri: str) -> str:
    """An address as it may stand in a line of ours."""
    return as_one_line(uri[: 4 * URI_MAX_CHARS], URI_MAX_CHARS)


def name_of(uri: str) -> str:
    """The name of a file, by its address."""
    try:
        path = urlsplit(uri).path
    except ValueError:
        return ""
    return as_one_line(basename(unquote(path))[-4 * NAME_MAX_CHARS :], NAME_MAX_CHARS)


def _link(link: types.ResourceLink) -> Linked:
    uri = str(link.uri)
    named = as_one_line((link.title or link.name)[: 4 * NAME_MAX_CHARS], NAME_MAX_CHARS)
    told = [f"A link to the resource {in_line(uri)}", f'"{named}"' if named else ""]
    told.append(plain_mime(link.mimeType) if link.mimeType else "")
    told.append(f"{link.size} bytes" if link.size is not None and link.size >= 0 else "")
    return Linked(
        about=", ".join(filter(None, told)),
        uri=uri,
        can_be_text=not link.mimeType or _TEXTUAL.match(link.mimeType) is not None,
        size=link.size,
    )


def _mistaken(what: str, mime: str, data: bytes) -> Held:
    """Something that is not what it is said to be: a file like any other."""
    said = plain_mime(mime)
    about = f"Something that is said to be {what}, {said}, and is none that can be shown"
    content = ToolContent(kind="resource", mime=said, data=data)
    return Held(about=f"{about}, {len(data)} bytes", content=content)


def _decode(data_b64: str) -> bytes:
    if "\n" in data_b64:  # as some libraries fold it
        data_b64 = "".join(data_b64.split())
    return a2b_base64(data_b64, strict_mode=True)


def _size_told(data_b64: str) -> str:
    """About the size of base64 data, without decoding it."""
    return f"about {len(data_b64) * 3 // 4} bytes"
