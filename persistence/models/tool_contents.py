"""What tools have answered with beside text."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
)

from persistence.models.base import metadata, timestamp

tool_contents = Table(
    "tool_contents",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("run_id", Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("call_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("facts", LargeBinary, nullable=False),  # encrypted: its type and what it is called
    Column("body", LargeBinary, nullable=False),  # encrypted: the bytes
    timestamp("created_at", default_now=True),
    CheckConstraint("kind IN ('image', 'audio', 'resource')", name="kind"),
    Index(None, "run_id"),
)
