"""What is to be made searchable, and how far it is."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)

from persistence.models.base import metadata, timestamp

WAITING_STATUSES = ("waiting", "reading", "indexing")
"""What a file is before it has come to an end."""
_OPEN = text("status IN ('waiting', 'reading', 'indexing')")


def _count(name: str) -> Column[Any]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


def _owner() -> Column[Any]:
    return Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False)


ingest_runs = Table(
    "ingest_runs",
    metadata,
    Column("id", Uuid, primary_key=True),
    _owner(),
    # What it was asked with: who asked may have lost the right meanwhile.
    Column("api_key_id", BigInteger),
    Column("login_id", Uuid),
    Column("body", LargeBinary, nullable=False),  # encrypted: how to file it, and who asked whence
    Column("status", Text, nullable=False, server_default=text("'queued'")),
    _count("open_files"),
    _count("taken_files"),
    _count("failed_files"),
    _count("cancelled_files"),
    _count("chunks"),
    timestamp("created_at", default_now=True),
    timestamp("finished_at", nullable=True),
    CheckConstraint(
        "status IN ('queued', 'running', 'success', 'partial', 'error', 'cancelled')",
        name="status",
    ),
    Index(None, "user_id", "created_at"),
    Index(None, "finished_at"),
)

ingest_files = Table(
    "ingest_files",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("run_id", Uuid, ForeignKey("ingest_runs.id", ondelete="CASCADE"), nullable=False),
    _owner(),
    Column("position", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # encrypted: its name, and where it lies
    Column("source_hash", Text),  # keyed hash of the path or address that it is read from
    Column("blob", Text, unique=True),  # the original, until a document has it
    # RESTRICT would keep a document from being deleted while it is looked at
    Column("document_id", BigInteger, ForeignKey("documents.id", ondelete="SET NULL")),
    Column("status", Text, nullable=False, server_default=text("'waiting'")),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    _count("failures"),
    _count("crashes"),
    # Files of a user wait for their turn: the smallest rank first, then the oldest.
    Column("lane", Text, nullable=False, server_default=text("'files'")),
    _count("rank"),
    Column("job_lock", Text),  # keyed hash of what only one is to work on at a time
    Column("job_id", BigInteger),  # of whose turn it is
    timestamp("paused_until", nullable=True),  # when it is to be tried once more
    Column("mime", Text),
    Column("size_bytes", BigInteger, nullable=False, server_default=text("0")),
    _count("chunks"),
    _count("done"),
    Column("total", Integer),
    Column("unit", Text),
    Column("error_code", Text),
    Column("error", LargeBinary),  # encrypted: what to tell whoever gave it
    # The transaction that wrote it last: readers ask for what is newer than what they have seen.
    Column("changed", BigInteger, nullable=False),
    # The index may hold its content already, in the place of another one.
    Column("is_settling", Boolean, nullable=False, server_default=text("false")),
    Column("ends_as", Text),  # what it ends as when the index holds that other one again
    timestamp("created_at", default_now=True),
    timestamp("finished_at", nullable=True),
    CheckConstraint("kind IN ('upload', 'content', 'path', 'url', 'discovery')", name="kind"),
    CheckConstraint(
        "status IN ('waiting', 'reading', 'indexing', 'indexed', 'unchanged', 'failed', "
        "'cancelled')",
        name="status",
    ),
    CheckConstraint("unit IN ('pages', 'chunks', 'seconds')", name="unit"),
    CheckConstraint("lane IN ('files', 'recordings')", name="lane"),
    CheckConstraint("ends_as IN ('failed', 'cancelled')", name="ends_as"),
    Index(None, "run_id", "position"),
    Index(
        "uq_ingest_files_run_id_source_hash",
        "run_id",
        "source_hash",
        unique=True,
        postgresql_where=text("source_hash IS NOT NULL"),
    ),
    Index(None, "user_id", postgresql_where=_OPEN),
    Index(
        "ix_ingest_files_in_line",
        "user_id",
        "lane",
        "rank",
        "created_at",
        "position",
        postgresql_where=text("status = 'waiting' AND job_id IS NULL"),
    ),
    Index(
        "ix_ingest_files_in_turn",
        "user_id",
        "lane",
        postgresql_where=text("job_id IS NOT NULL AND finished_at IS NULL"),
    ),
    Index(None, "document_id"),
)
