"""The tags of documents, as requests give them."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from server.documents.names import is_clean

TAGS_MAX = 32
TAG_MAX_CHARS = 64


def each_once(tags: Iterable[str]) -> list[str]:
    """The tags without those that another one is but for the case of its letters."""
    first: dict[str, str] = {}
    for tag in tags:
        first.setdefault(tag.casefold(), tag)
    return list(first.values())


def _require_clean(text: str) -> str:
    if not is_clean(text):
        raise ValueError("must be one line of text without control characters")
    return text


OneLine = AfterValidator(_require_clean)
Tag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TAG_MAX_CHARS),
    OneLine,
]
Tags = Annotated[list[Tag], Field(max_length=TAGS_MAX), AfterValidator(each_once)]
