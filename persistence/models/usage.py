"""What was used, by day. Facts come from triggers (migration 0012); a job adds them up."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from persistence.models.base import identity, metadata

FIGURES = ("count", "failures", "tokens_in", "tokens_out", "chunks", "bytes", "milliseconds")


def _figures() -> list[Column[Any]]:
    return [Column(name, BigInteger, nullable=False, server_default=text("0")) for name in FIGURES]


def _what() -> list[Any]:
    """Which day, and what was used: a kind, and of it a model, a tool, a role or a status."""
    kinds = "kind IN ('session', 'message', 'run', 'model', 'tool', 'file')"
    return [
        Column("day", Date, nullable=False),  # of UTC
        Column("kind", Text, nullable=False),
        Column("name", Text, nullable=False),
        CheckConstraint(kinds, name="kind"),
    ]


usage_facts = Table(
    "usage_facts",  # what is in no sum yet
    metadata,
    identity(),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="SET NULL")),
    *_what(),
    *_figures(),
    Index(None, "user_id"),
)

usage_days = Table(
    "usage_days",
    metadata,
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    *_what(),
    *_figures(),
    PrimaryKeyConstraint("user_id", "day", "kind", "name"),
)

usage_totals = Table(
    "usage_totals",  # of everybody, whose accounts are gone included
    metadata,
    *_what(),
    *_figures(),
    PrimaryKeyConstraint("day", "kind", "name"),
)
