"""What documents take and answer."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from server.citations import Source
from server.dependencies import ROW_ID_MAX

QUERY_MAX_CHARS = 2_000
Id = Annotated[int, Field(ge=1, le=ROW_ID_MAX)]


class IngestTotals(BaseModel):
    """The sums over an upload."""

    files: int
    chunks: int
    total_bytes: int


class IngestedFileAnswer(BaseModel):
    """A file that is searchable now."""

    document_id: int
    path: str
    mime: str
    size_bytes: int
    chunks: int
    status: Literal["indexed", "unchanged"]
    is_private: bool
    group_id: int | None


class IngestErrorAnswer(BaseModel):
    """A file that was refused; nothing of it is kept."""

    path: str
    code: str
    message: str


class IngestAnswer(BaseModel):
    """What came of an upload, file by file."""

    success: bool
    """Whether every file was taken."""
    run_id: UUID
    status: Literal["success", "partial", "error"]
    files_processed: int
    chunks_written: int
    totals: IngestTotals
    files: list[IngestedFileAnswer]
    errors: list[IngestErrorAnswer]


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
    mime: str
    size_bytes: int
    status: Literal["pending", "indexed", "failed"]
    chunks: int
    tags: list[str]
    created_at: datetime
    updated_at: datetime


class DocumentUpdate(BaseModel):
    """With whom a document is shared: `group_id` alone shares, `is_private` alone unshares."""

    model_config = ConfigDict(extra="forbid")

    is_private: bool | None = None
    group_id: Id | None = None

    @model_validator(mode="after")
    def _require_sense(self) -> Self:
        if self.is_private is None and self.group_id is None:
            raise ValueError("give 'group_id' to share, or 'is_private': true to unshare")
        if self.is_private is False and self.group_id is None:
            raise ValueError("'is_private' can be false only with the 'group_id' to share with")
        if self.is_private and self.group_id is not None:
            raise ValueError("a 'group_id' shares, and 'is_private' says not to")
        return self


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


class SearchHit(BaseModel):
    """A passage that is near to the query."""

    score: float
    """Cosine similarity, at most 1; below the installation's floor nothing is shown."""
    snippet: str
    source: Source


class SearchAnswer(BaseModel):
    """The nearest passages, the best first; empty when nothing is near."""

    hits: list[SearchHit]


class SourceDetail(Source):
    """A citation opened: the whole passage."""

    heading: str | None = None
    text: str
