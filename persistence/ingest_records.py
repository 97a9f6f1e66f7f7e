"""What is to be made searchable, as the repositories take and return it: frozen values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from persistence.identifiers import new_uuid7
from persistence.models.ingestion import WAITING_STATUSES

IngestStatus = Literal["queued", "running", "success", "partial", "error", "cancelled"]
IngestFileStatus = Literal[
    "waiting", "reading", "indexing", "indexed", "unchanged", "failed", "cancelled"
]
IngestKind = Literal["upload", "content", "path", "url", "discovery"]
"""Bytes that were sent; bytes that were sent for a document that is there; a file of the server; a
web address; a place where files are to be looked for."""
ProgressUnit = Literal["pages", "chunks", "seconds"]
IngestDefeat = Literal["failed", "cancelled"]
"""What a file is in the end that was not taken."""

Lane = Literal["files", "recordings"]
"""Recordings take hours, and have places of their own."""
LANES: tuple[Lane, ...] = get_args(Lane)

UPLOAD_RANK = 0
DISCOVERY_RANK = 5
BULK_RANK = 10
"""Of what was found in a folder: somebody waits for the others."""


@dataclass(frozen=True, kw_only=True)
class IngestOrder:
    """What the files of a run have in common, and who asked from where."""

    tags: tuple[str, ...] = ()
    group_id: int | None = None
    is_private: bool | None = None
    """What was said of it; files that are there already stay as they are if nothing was."""
    source: str | None = None
    """The path or address that was asked for."""
    recursive: bool = False
    ip: str | None = None
    user_agent: str | None = None
    correlation_id: str = ""


@dataclass(frozen=True, kw_only=True)
class IngestFailure:
    """Why a file was not taken."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class NewIngestFile:
    """A file that waits from now on, or was refused at once."""

    kind: IngestKind
    name: str
    location: str | None = None
    """Where it is read from when its turn comes; None for what was sent."""
    blob: str | None = None
    content_hash: str | None = None
    """Of what was sent; files of the same content are looked at one after the other."""
    size_bytes: int = 0
    document_id: int | None = None
    """The document whose content it is to be."""
    rank: int = UPLOAD_RANK
    """Of two files of a user the one of the smaller rank has its turn first."""
    lane: Lane = "files"
    refusal: IngestFailure | None = None
    id: UUID = field(default_factory=new_uuid7)


@dataclass(frozen=True, kw_only=True)
class FileProgress:
    """How far a file is."""

    done: int
    total: int
    unit: ProgressUnit


@dataclass(frozen=True, kw_only=True)
class IngestRun:
    """Files that were given together."""

    id: UUID
    user_id: int
    api_key_id: int | None
    login_id: UUID | None
    order: IngestOrder
    status: IngestStatus
    open_files: int
    """How many have not come to an end; a search for files counts as one."""
    taken_files: int
    failed_files: int
    cancelled_files: int
    chunks: int
    """How many were written."""
    created_at: datetime
    finished_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether there is anything left to do."""
        return self.status in {"queued", "running"}


@dataclass(frozen=True, kw_only=True)
class IngestFile:
    """One file of a run."""

    id: UUID
    run_id: UUID
    user_id: int
    position: int
    kind: IngestKind
    name: str
    location: str | None
    blob: str | None
    document_id: int | None
    status: IngestFileStatus
    attempt: int
    """Counts who has worked on it; whoever is not the last writes nothing."""
    failures: int
    """How often it failed for a reason that may pass."""
    crashes: int
    """How often whoever worked on it was gone before its end."""
    lane: Lane
    job_id: int | None
    """None until it is the file's turn."""
    mime: str | None
    size_bytes: int
    chunks: int
    progress: FileProgress | None
    failure: IngestFailure | None
    """Why it was not taken, or is not going to be."""
    changed: int
    """The transaction that wrote this."""
    created_at: datetime
    finished_at: datetime | None
    is_settling: bool = False
    """Whether the index may hold its content already, in the place of a document's other one."""
    ends_as: IngestDefeat | None = None
    """What it ends as when the index holds that other content again."""

    @property
    def is_open(self) -> bool:
        """Whether it has not come to an end."""
        return self.status in WAITING_STATUSES

    @property
    def claim(self) -> "FileClaim":
        """What says that it is this attempt that writes."""
        return FileClaim(file_id=self.id, run_id=self.run_id, attempt=self.attempt)


@dataclass(frozen=True, kw_only=True)
class FileClaim:
    """Who works on a file."""

    file_id: UUID
    run_id: UUID
    attempt: int


@dataclass(frozen=True, kw_only=True)
class EndedFile:
    """What a file may have left that has come to its end."""

    id: UUID
    status: IngestFileStatus
    kind: IngestKind
    document_id: int | None
    blob: str | None


@dataclass(frozen=True, kw_only=True)
class TakenFile:
    """A file that somebody is to work on, and what it is part of."""

    file: IngestFile
    run: IngestRun


@dataclass(frozen=True, kw_only=True)
class IngestLook:
    """A run, and those of its files that are others than when it was looked at before."""

    run: IngestRun
    files: Sequence[IngestFile]
    cursor: int
    """What to ask with the next time."""
    has_more: bool = False
    """Whether others have changed too, which come with the next look."""


@dataclass(frozen=True, kw_only=True)
class IngestSums:
    """What the files of a run come to, as far as people gave them."""

    files: int
    chunks: int
    """Of those that are searchable."""
    size_bytes: int
    """Of those that are searchable."""


@dataclass(frozen=True, kw_only=True)
class WaitingLoad:
    """How much of one user waits or is worked on."""

    files: int
    size_bytes: int
    """Of the originals that are kept meanwhile."""
