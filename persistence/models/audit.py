"""The audit trail. Triggers, made by the migrations, refuse every change of entries and seals."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Index,
    LargeBinary,
    Table,
    Text,
)

from persistence.models.base import identity, metadata, timestamp

audit_log = Table(
    "audit_log",
    metadata,
    identity(),
    timestamp("created_at", default_now=True),
    Column("action", Text, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("resource_hash", Text),  # keyed hash: a resource's id may be a name that a client chose
    Column("success", Boolean, nullable=False),
    Column("actor_id", BigInteger),  # no foreign key: the trail outlives the user
    Column("actor_name", Text),
    Column("group_id", BigInteger),  # whose admins may read it; no foreign key either
    Column("ip", Text),
    Column("correlation_hash", Text),  # keyed hash: a client may choose the id
    # encrypted: resource id, user agent, correlation id and details
    Column("body", LargeBinary, nullable=False),
    Index(None, "created_at"),
    Index(None, "actor_id", "created_at"),
    Index(None, "resource_type", "resource_hash"),
    Index(None, "correlation_hash"),
    Index(None, "group_id", "created_at"),
)

audit_unsealed = Table(
    "audit_unsealed",
    metadata,
    Column("entry_id", BigInteger, primary_key=True, autoincrement=False),
)
"""Entries that no seal covers yet; written with the entry, removed with its seal."""

audit_seals = Table(
    "audit_seals",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_ids", ARRAY(BigInteger), nullable=False),
    # keyed, one for each entry: they tell which entry of a seal was changed
    Column("entry_digests", ARRAY(LargeBinary), nullable=False),
    # keyed, over all else in the row and the digest of the seal before
    Column("digest", LargeBinary, nullable=False),
    timestamp("sealed_at", default_now=True),
)
"""The chain: each seal covers entries that were committed, and the seal before it."""
