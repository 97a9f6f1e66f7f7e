"""Users and their API keys."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    text,
)

from persistence.models.base import identity, metadata, timestamp

users = Table(
    "users",
    metadata,
    identity(),
    Column("username", Text, nullable=False),
    Column("username_key", Text, nullable=False, unique=True),  # folded, so that Anna is anna
    Column("is_root", Boolean, nullable=False, server_default=text("false")),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    timestamp("created_at", default_now=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    identity(),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", LargeBinary, nullable=False),  # encrypted
    Column("key_hash", Text, nullable=False, unique=True),
    Column("prefix", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    timestamp("expires_at", nullable=True),
    timestamp("last_used_at", nullable=True),
    timestamp("revoked_at", nullable=True),
    timestamp("created_at", default_now=True),
    Index(None, "user_id"),
)
