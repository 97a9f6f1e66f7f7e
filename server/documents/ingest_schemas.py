"""What making files searchable takes and answers."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from server.documents.names import is_clean
from server.documents.paths import PATH_MAX_CHARS
from server.documents.schemas import Id
from server.documents.tags import Tags

RunStatus = Literal["queued", "running", "success", "partial", "error", "cancelled"]
FileStatus = Literal[
    "waiting", "reading", "indexing", "indexed", "unchanged", "failed", "cancelled"
]


class IngestTotals(BaseModel):
    """The sums over a run."""

    files: int
    chunks: int
    total_bytes: int


class IngestedFileAnswer(BaseModel):
    """A file that is searchable now."""

    document_id: int | None
    """None when the document has been deleted since."""
    path: str
    mime: str
    size_bytes: int
    chunks: int
    status: Literal["indexed", "unchanged"]
    is_private: bool
    group_id: int | None


class IngestErrorAnswer(BaseModel):
    """A file that was refused or cancelled; nothing of it is kept."""

    path: str
    code: str
    message: str


class Progress(BaseModel):
    """How far a file is."""

    done: int
    total: int
    unit: Literal["pages", "chunks", "seconds"]


class IngestFileState(BaseModel):
    """One file as it stands."""

    file_id: UUID
    path: str
    status: FileStatus
    progress: Progress | None
    attempts: int
    document_id: int | None
    mime: str | None
    size_bytes: int
    chunks: int
    error: IngestErrorAnswer | None


class IngestRunAnswer(BaseModel):
    """What has become of a run, file by file; of many files the first, or those asked for."""

    success: bool
    """Whether every file was taken."""
    run_id: UUID
    status: RunStatus
    files_processed: int
    chunks_written: int
    totals: IngestTotals
    files: list[IngestedFileAnswer]
    errors: list[IngestErrorAnswer]
    unfinished: list[IngestFileState]
    """Files that wait or are worked on."""
    next_offset: int | None = None
    """Where the files go on that are not in here; None if there are none."""
    created_at: datetime
    finished_at: datetime | None


class IngestAccepted(BaseModel):
    """The work goes on; the run tells of it."""

    run_id: UUID
    status: RunStatus


class IngestRunSummary(BaseModel):
    """A run without its files."""

    run_id: UUID
    status: RunStatus
    source: str | None
    """The path or address that was asked for; None for what was sent."""
    open_files: int
    taken_files: int
    failed_files: int
    cancelled_files: int
    chunks_written: int
    created_at: datetime
    finished_at: datetime | None


class IngestRunList(BaseModel):
    """A page of runs."""

    runs: list[IngestRunSummary]
    total: int
    limit: int
    offset: int


class IngestPathRequest(BaseModel):
    """Where files are to be read from, and how to file them."""

    model_config = ConfigDict(extra="forbid")

    path_or_url: Annotated[str, Field(min_length=1, max_length=PATH_MAX_CHARS)]
    from_web: bool = False
    """Whether it is a web address; what begins with http:// or https:// is one without this."""
    recursive: bool = False
    """Whether the folders in a folder are looked into."""
    tags: Tags = []
    group_id: Id | None = None
    is_private: bool | None = None

    @model_validator(mode="after")
    def _require_sense(self) -> Self:
        if not is_clean(self.path_or_url):
            raise ValueError("'path_or_url' is one line of text")
        if self.is_private is False and self.group_id is None:
            raise ValueError("'is_private' can be false only with the 'group_id' to share with")
        if self.is_private and self.group_id is not None:
            raise ValueError("a 'group_id' shares, and 'is_private' says not to")
        return self
