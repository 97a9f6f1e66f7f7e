"""Groups and who is in them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    text,
)

from persistence.models.base import identity, metadata, timestamp

groups = Table(
    "groups",
    metadata,
    identity(),
    Column("name_hash", Text, nullable=False, unique=True),  # keyed hash of the folded name
    Column("body", LargeBinary, nullable=False),  # encrypted: name and description
    # whether an identity provider named it; only into such groups may it put people, or whoever
    # took the name first would find them in a group of theirs
    Column("from_provider", Boolean, nullable=False, server_default=text("false")),
    timestamp("created_at", default_now=True),
    timestamp("updated_at", default_now=True),
)

group_members = Table(
    "group_members",
    metadata,
    Column("group_id", BigInteger, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", Text, nullable=False),
    # whether an identity provider said so, and may take it back
    Column("from_provider", Boolean, nullable=False, server_default=text("false")),
    timestamp("joined_at", default_now=True),
    CheckConstraint("role IN ('member', 'admin')", name="role"),
    Index(None, "user_id"),
)
