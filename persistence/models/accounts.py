"""Users, and what lets them in: API keys, login sessions, identities at a provider."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
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

from persistence.models.base import identity, metadata, timestamp

users = Table(
    "users",
    metadata,
    identity(),
    Column("username", Text, nullable=False),
    Column("username_key", Text, nullable=False, unique=True),  # folded, so that Anna is anna
    Column("is_root", Boolean, nullable=False, server_default=text("false")),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    timestamp("closing_at", nullable=True),  # its deletion began; until it is done nobody gets in
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

login_sessions = Table(
    "login_sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    # the key that it was opened with, and ends with
    Column("api_key_id", BigInteger, ForeignKey("api_keys.id", ondelete="CASCADE")),
    # keyed hash of the root key that it was opened with, and ends with
    Column("root_key_hash", Text),
    Column("method", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    # how often it was refreshed: a refresh token of another number has been used before
    Column("generation", Integer, nullable=False, server_default=text("0")),
    timestamp("expires_at"),
    timestamp("revoked_at", nullable=True),
    timestamp("created_at", default_now=True),
    Index(None, "user_id"),
    Index(None, "api_key_id"),
    Index(None, "expires_at"),
)

identities = Table(
    "identities",
    metadata,
    identity(),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("issuer", Text, nullable=False),
    Column("subject_hash", Text, nullable=False),  # keyed hash of the provider's id for the user
    timestamp("created_at", default_now=True),
    Index("uq_identities_issuer_subject_hash", "issuer", "subject_hash", unique=True),
    Index(None, "user_id"),
)
