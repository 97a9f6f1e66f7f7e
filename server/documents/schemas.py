"""What documents take and answer."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from server.citations import Source
from server.dependencies import ROW_ID_MAX
from server.documents.tags import OneLine, Tags

QUERY_MAX_CHARS = 2_000
TITLE_MAX_CHARS = 255
DIGEST_MAX_CHARS = 64
Id = Annotated[int, Field(ge=1, le=ROW_ID_MAX)]


class DocumentAnswer(BaseModel):
    """A document as it stands."""

    id: int
    owner_id: int
    """Who gave it, and alone may share or delete it."""
    is_private: bool
    """Whether its owner alone may read it."""
    group_id: int | None
    """The group that it is shared with."""
    title: str
    filename: str
    source: str | None
    """The path or address that it was read from last; shown to its owner."""
    mime: str
    size_bytes: int
    status: Literal["pending", "indexed", "failed"]
    chunks: int
    tags: list[str]
    created_at: datetime
    updated_at: datetime


class DocumentUpdate(BaseModel):
    """What is to change; whatever is not given stays as it is."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(min_length=1, max_length=TITLE_MAX_CHARS), OneLine] | None = None
    tags: Tags | None = None
    """These in the place of all it has."""
    is_private: bool | None = None
    """True alone unshares; false goes with a `group_id`."""
    group_id: Id | None = None
    """The group to share it with."""

    @model_validator(mode="after")
    def _require_sense(self) -> Self:
        if all(each is None for each in (self.title, self.tags, self.is_private, self.group_id)):
            raise ValueError("give 'title', 'tags', 'group_id', or 'is_private': true to unshare")
        if self.is_private is False and self.group_id is None:
            raise ValueError("'is_private' can be false only with the 'group_id' to share with")
        if self.is_private and self.group_id is not None:
            raise ValueError("a 'group_id' shares, and 'is_private' says not to")
        return self

    @property
    def says_who_reads(self) -> bool:
        """Whether the sharing is to change."""
        return self.is_private is not None or self.group_id is not None


class DocumentList(BaseModel):
    """A page of documents."""

    documents: list[DocumentAnswer]
    total: int
    limit: int
    offset: int


class SearchRequest(BaseModel):
    """A search without a language model."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[str, Field(min_length=1, max_length=QUERY_MAX_CHARS)]
    limit: Annotated[int, Field(ge=1, le=50)] = 10
    document_ids: Annotated[list[Id], Field(max_length=100)] | None = None
    """Only in these documents."""
    tags: Tags = []
    """Only in documents that have all of these tags."""


class SearchHit(BaseModel):
    """A passage that is near to the query."""

    score: float
    """Cosine similarity, at most 1; below the installation's floor nothing is shown."""
    snippet: str
    source: Source


class SearchAnswer(BaseModel):
    """The nearest passages, the best first; empty when nothing is near."""

    hits: list[SearchHit]
    complete: bool = True
    """False when more documents have the tags than are searched at once; the newest were."""


class SourceDetail(Source):
    """A citation opened: the whole passage and where it stands."""

    heading: str | None = None
    """The headings that it stands under, outermost first, separated by ` › `."""
    text: str
    place: str | None = None
    """Page or time, for people: `page 4`, `1:02:05`."""
    before: str | None = None
    """The id of the passage before it; None for the first one."""
    after: str | None = None
    document_url: str
    """The original, opened at that place by viewers that know `#page=` or `#t=`."""
    changed: bool | None = None
    """Whether the text is another one than what was cited; None without a `digest` to tell by."""
