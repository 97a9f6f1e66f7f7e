"""What a tool answers with beside text, and who keeps it for the person who asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

ContentKind: TypeAlias = Literal["image", "audio", "resource"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolContent:
    """A picture, a sound or a file."""

    kind: ContentKind
    """Images and sounds are such by their bytes; whatever else it is said to be is a resource."""
    mime: str
    """What the bytes are; of a resource, what its server says."""
    data: bytes = field(repr=False)
    name: str = field(default="", repr=False)
    """What its server calls it, in one line; empty if it does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContentLimits:
    """How much of one answer is looked at beside its text."""

    images: int = 4
    """How many images are kept and shown."""
    content_bytes: int = 5 * 1024 * 1024
    """Of one image, sound, file or text that is read for a link."""
    contents: int = 32
    """How many images, sounds and files are unpacked at all."""
    links: int = 3
    """How many links to texts are read."""


class ContentKeeper(Protocol):
    """Keeps what one call was answered with."""

    async def keep(self, contents: Sequence[ToolContent]) -> Sequence[Mapping[str, Any] | None]:
        """Keep them for the person; does not raise because one cannot be kept.

        Returns:
            Of each, in their order, what refers to it: `{id, kind, mime, bytes, name?, url}`;
            None if it was not kept.
        """
        ...
