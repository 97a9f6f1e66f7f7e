"""MCP servers, whom they are for, and the tools that they were seen to bring."""

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
    UniqueConstraint,
    text,
)

from persistence.models.base import identity, metadata, timestamp

mcp_servers = Table(
    "mcp_servers",
    metadata,
    identity(),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),  # rules do not look at letter case
    Column("source", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # encrypted: the entry, with its secrets
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    # whether it is for all; said here, so that the end of its last group opens it to nobody
    Column("for_everybody", Boolean, nullable=False, server_default=text("true")),
    Column("created_by", BigInteger, ForeignKey("users.id", ondelete="SET NULL")),
    timestamp("created_at", default_now=True),
    timestamp("updated_at", default_now=True),
    CheckConstraint("source IN ('file', 'api')", name="source"),
)

mcp_server_groups = Table(
    "mcp_server_groups",
    metadata,
    Column(
        "server_id", BigInteger, ForeignKey("mcp_servers.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("group_id", BigInteger, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "group_id"),
)

mcp_tools = Table(
    "mcp_tools",
    metadata,
    identity(),
    Column("server_name", Text, nullable=False),  # built-in ones have no row of their own
    Column("tool_hash", Text, nullable=False),  # keyed hash of the name
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    # what may be used; empty as long as nothing was approved
    Column("fingerprint", Text),
    Column("body", LargeBinary),  # encrypted: the definition
    # what waits to be approved in its place
    Column("held_fingerprint", Text),
    Column("held_body", LargeBinary),  # encrypted: the definition
    Column("decided_by", BigInteger, ForeignKey("users.id", ondelete="SET NULL")),
    timestamp("first_seen_at", default_now=True),
    timestamp("changed_at", default_now=True),
    CheckConstraint("(fingerprint IS NULL) = (body IS NULL)", name="approved"),
    CheckConstraint("(held_fingerprint IS NULL) = (held_body IS NULL)", name="held"),
    CheckConstraint("num_nonnulls(body, held_body) > 0", name="known"),
    UniqueConstraint("server_name", "tool_hash"),
)
