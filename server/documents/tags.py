"""The tags of documents, as requests give them."""

from typing import Annotated

from pydantic import AfterValidator, Field

from server.documents.names import is_clean

TAGS_MAX = 32
TAG_MAX_CHARS = 64


def _require_clean(text: str) -> str:
    if not is_clean(text):
        raise ValueError("must be one line of text without control characters")
    return text


OneLine = AfterValidator(_require_clean)
Tag = Annotated[str, Field(min_length=1, max_length=TAG_MAX_CHARS), OneLine]
Tags = Annotated[list[Tag], Field(max_length=TAGS_MAX)]
