"""The audit trail. A trigger, made by its migration, refuses every change of a row."""

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, Table, Text

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
    Column("ip", Text),
    Column("correlation_hash", Text),  # keyed hash: a client may choose the id
    # encrypted: resource id, user agent, correlation id and details
    Column("body", LargeBinary, nullable=False),
    Index(None, "created_at"),
    Index(None, "actor_id", "created_at"),
    Index(None, "resource_type", "resource_hash"),
    Index(None, "correlation_hash"),
)
