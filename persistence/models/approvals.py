"""Rules about tool calls, and approvals: what people were asked, and what they answered."""

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

from persistence.models.base import identity, metadata, timestamp

tool_policies = Table(
    "tool_policies",
    metadata,
    identity(),
    # whose calls it judges; everybody's when empty
    Column("group_id", BigInteger, ForeignKey("groups.id", ondelete="CASCADE")),
    Column("verdict", Text, nullable=False),
    Column("approver", Text, nullable=False, server_default=text("'user'")),
    # encrypted: patterns of the tool's name and of its arguments, and the reason that is shown
    Column("body", LargeBinary, nullable=False),
    timestamp("created_at", default_now=True),
    timestamp("updated_at", default_now=True),
    CheckConstraint("verdict IN ('allow', 'ask', 'deny')", name="verdict"),
    CheckConstraint("approver IN ('user', 'group_admin', 'either')", name="approver"),
    CheckConstraint("approver = 'user' OR group_id IS NOT NULL", name="approver_has_group"),
    Index(None, "group_id"),
)

tool_limits = Table(
    "tool_limits",
    metadata,
    identity(),
    # whose calls it limits; everybody's when empty
    Column("group_id", BigInteger, ForeignKey("groups.id", ondelete="CASCADE")),
    # encrypted: a pattern of the tool's name, and what calls of such tools may take
    Column("body", LargeBinary, nullable=False),
    timestamp("created_at", default_now=True),
    timestamp("updated_at", default_now=True),
    Index(None, "group_id"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("run_id", Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    # whose admins may answer
    Column("group_id", BigInteger, ForeignKey("groups.id", ondelete="SET NULL")),
    Column("approver", Text, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # encrypted: arguments and reason
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    Column("decision", LargeBinary),  # encrypted: edited arguments, the reason of a refusal
    Column("decided_by", BigInteger, ForeignKey("users.id", ondelete="SET NULL")),
    timestamp("created_at", default_now=True),
    timestamp("expires_at"),
    timestamp("decided_at", nullable=True),
    CheckConstraint(
        "status IN ('pending', 'allowed', 'edited', 'refused', 'expired', 'withdrawn')",
        name="status",
    ),
    CheckConstraint("approver IN ('user', 'group_admin', 'either')", name="approver"),
    Index(None, "run_id"),
    Index(None, "user_id"),
    Index(
        "ix_approvals_group_id",
        "group_id",
        postgresql_where=text("status = 'pending'"),
    ),
    Index(
        "ix_approvals_expires_at",
        "expires_at",
        postgresql_where=text("status = 'pending'"),
    ),
)
