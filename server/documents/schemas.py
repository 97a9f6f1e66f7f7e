"""What documents take and answer."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from server.citations import Source
from server.dependencies import ROW_ID_MAX

QUERY_MAX_CHARS = 2_000
DocumentId = Annotated[int, Field(ge=1, le=ROW_ID_MAX)]


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
    title: str
    filename: str
    mime: str
    size_bytes: int
    status: Literal["pending", "indexed", "failed"]
    chunks: int
    tags: list[str]
    created_at: datetime
    updated_at: datetime


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
    document_ids: Annotated[list[DocumentId], Field(max_length=100)] | None = None


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
