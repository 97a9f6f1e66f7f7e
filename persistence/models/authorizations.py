"""What people let the product do in their name at MCP servers, and what it is to those."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from persistence.models.base import identity, metadata, timestamp

mcp_authorizations = Table(
    "mcp_authorizations",
    metadata,
    identity(),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column(
        "server_id", BigInteger, ForeignKey("mcp_servers.id", ondelete="CASCADE"), nullable=False
    ),
    Column("status", Text, nullable=False, server_default=text("'good'")),
    Column("body", LargeBinary, nullable=False),  # encrypted: the tokens, and how they are renewed
    timestamp("expires_at", nullable=True),  # of the access token, as far as is known
    timestamp("granted_at", default_now=True),
    timestamp("changed_at", default_now=True),
    CheckConstraint("status IN ('good', 'ended')", name="status"),
    UniqueConstraint("user_id", "server_id"),
    Index(None, "server_id"),
)

mcp_authorization_attempts = Table(
    "mcp_authorization_attempts",
    metadata,
    Column("state_hash", Text, primary_key=True),  # keyed hash of what the browser brings back
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column(
        "server_id", BigInteger, ForeignKey("mcp_servers.id", ondelete="CASCADE"), nullable=False
    ),
    Column("login_id", Uuid, ForeignKey("login_sessions.id", ondelete="CASCADE")),
    Column("body", LargeBinary, nullable=False),  # encrypted: what the code is exchanged with
    timestamp("expires_at"),
    timestamp("created_at", default_now=True),
    Index(None, "user_id"),
    Index(None, "server_id"),
    Index(None, "login_id"),
)

mcp_clients = Table(
    "mcp_clients",
    metadata,
    identity(),
    Column(
        "server_id", BigInteger, ForeignKey("mcp_servers.id", ondelete="CASCADE"), nullable=False
    ),
    Column("place_hash", Text, nullable=False),  # keyed hash of issuer and callback address
    Column("body", LargeBinary, nullable=False),  # encrypted: the client's name and secret
    timestamp("created_at", default_now=True),
    UniqueConstraint("server_id", "place_hash"),
)
