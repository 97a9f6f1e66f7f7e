"""Questions: what MCP servers asked people while a call ran, and what was answered."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)

from persistence.models.base import metadata, timestamp

questions = Table(
    "questions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("run_id", Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("call_id", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("server", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # encrypted: message, schema, address
    Column("status", Text, nullable=False, server_default=text("'open'")),
    Column("answer", LargeBinary),  # encrypted: what was filled in
    timestamp("created_at", default_now=True),
    timestamp("expires_at"),
    timestamp("answered_at", nullable=True),  # when it was over, however that came
    CheckConstraint(
        "status IN ('open', 'accepted', 'declined', 'cancelled', 'expired')", name="status"
    ),
    CheckConstraint("kind IN ('form', 'url', 'sampling')", name="kind"),
    Index(None, "run_id"),
    Index(None, "user_id"),
    Index(
        "ix_questions_expires_at",
        "expires_at",
        postgresql_where=text("status = 'open'"),
    ),
)
