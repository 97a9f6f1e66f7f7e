"""Conversations: sessions, their messages, the runs that answer and the tools that runs called."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
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

chat_sessions = Table(
    "chat_sessions",
    metadata,
    identity(),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("session_hash", Text, nullable=False),  # keyed hash of the client's name for it
    Column("session_id", LargeBinary, nullable=False),  # encrypted
    Column("title", LargeBinary),  # encrypted
    Column("title_by", Text, nullable=False, server_default=text("'first_line'")),
    Column("thread_id", Uuid, nullable=False, unique=True),
    Column("metadata", LargeBinary),  # encrypted: what another protocol keeps of a thread
    Column("message_count", Integer, nullable=False, server_default=text("0")),
    timestamp("created_at", default_now=True),
    timestamp("updated_at", default_now=True),
    CheckConstraint("title_by IN ('first_line', 'model', 'user')", name="title_by"),
    Index("uq_chat_sessions_user_id_session_hash", "user_id", "session_hash", unique=True),
    Index("ix_chat_sessions_user_id_updated_at", "user_id", "updated_at", "id"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column(
        "chat_session_id",
        BigInteger,
        ForeignKey("chat_sessions.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("model", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'running'")),
    Column("error_code", Text),
    # encrypted: all that another process needs to go on with it; gone when the run has ended
    Column("input", LargeBinary),
    # goes up whenever a process takes the run; what an earlier one still writes is refused by it
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    Column("crashes", Integer, nullable=False, server_default=text("0")),
    # those after which there was nothing new of it: it may be what its processes die of
    Column("vain_crashes", Integer, nullable=False, server_default=text("0")),
    # where the last batch of its events began when it was taken
    Column("taken_at_event", Integer, nullable=False, server_default=text("1")),
    timestamp("taken_at", default_now=True),  # when the attempt began
    # how long those before it took; what the run waited for its turn or for people does not count
    Column("worked_seconds", Double, nullable=False, server_default=text("0")),
    Column("iterations", Integer, nullable=False, server_default=text("0")),
    Column("tool_calls", Integer, nullable=False, server_default=text("0")),
    Column("tokens_in", Integer, nullable=False, server_default=text("0")),
    Column("tokens_out", Integer, nullable=False, server_default=text("0")),
    Column("lease_owner", Text, nullable=False),
    timestamp("lease_until"),
    timestamp("cancel_at", nullable=True),  # when somebody asked for its end
    timestamp("started_at", default_now=True),
    timestamp("finished_at", nullable=True),
    timestamp("events_expired_at", nullable=True),
    CheckConstraint(
        "status IN ('queued', 'running', 'awaiting_approval', 'success', 'cancelled', 'error')",
        name="status",
    ),
    Index(
        "uq_runs_live",  # the rule that a session has one live run at most
        "chat_session_id",
        unique=True,
        postgresql_where=text("status IN ('running', 'awaiting_approval')"),
    ),
    Index("ix_runs_lease_until", "lease_until", postgresql_where=text("status = 'running'")),
    Index(
        "ix_runs_waiting",
        "chat_session_id",
        "id",
        postgresql_where=text("status IN ('queued', 'awaiting_approval')"),
    ),
    Index(
        "ix_runs_finished_at",  # whose events are still kept
        "finished_at",
        postgresql_where=text("events_expired_at IS NULL"),
    ),
    Index(None, "chat_session_id", "started_at"),
    Index(None, "user_id", "started_at"),
)

run_events = Table(
    "run_events",
    metadata,
    Column("run_id", Uuid, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("first_id", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),  # encrypted: so many events
)

messages = Table(
    "messages",
    metadata,
    identity(),
    Column(
        "chat_session_id",
        BigInteger,
        ForeignKey("chat_sessions.id", ondelete="CASCADE"),
        nullable=False,
    ),
    # deferred, so that a message and the run that answers it may come in either order
    Column(
        "run_id",
        Uuid,
        ForeignKey("runs.id", ondelete="SET NULL", deferrable=True, initially="DEFERRED"),
    ),
    Column("role", Text, nullable=False),
    # encrypted: content, reasoning, sources, tool events and how large its images are, in one token
    Column("body", LargeBinary, nullable=False),
    Column("model", Text),
    Column("tokens_in", Integer, nullable=False, server_default=text("0")),
    Column("tokens_out", Integer, nullable=False, server_default=text("0")),
    Column("status", Text),
    Column("superseded_by", Uuid),  # the run that answers an edited message in its place
    timestamp("created_at", default_now=True),
    CheckConstraint("role IN ('user', 'assistant')", name="role"),
    Index(None, "chat_session_id", "id"),
    Index(None, "run_id"),
)

message_images = Table(
    "message_images",
    metadata,
    Column(
        "message_id", BigInteger, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("number", Integer, primary_key=True),  # from 1, in the order of the message
    Column("body", LargeBinary, nullable=False),  # encrypted: the image's bytes
    CheckConstraint("number > 0", name="number"),
)

tool_runs = Table(
    "tool_runs",
    metadata,
    identity(),
    Column("run_id", Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("call_id", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # encrypted: arguments, result and sources
    Column("status", Text, nullable=False),
    Column("latency_ms", Integer, nullable=False),
    timestamp("started_at"),
    CheckConstraint("status IN ('begun', 'end', 'error')", name="status"),
    Index("uq_tool_runs_run_id_call_id", "run_id", "call_id", unique=True),
    Index(None, "tool", "started_at"),
)

model_calls = Table(
    "model_calls",
    metadata,
    identity(),
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("run_id", Uuid, ForeignKey("runs.id", ondelete="SET NULL")),
    Column("model", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("tokens_in", Integer, nullable=False),
    Column("tokens_out", Integer, nullable=False),
    # whether the call was cut off before the model said what it had cost
    Column("estimated", Boolean, nullable=False),
    Column("latency_ms", Integer, nullable=False),
    timestamp("created_at", default_now=True),
    CheckConstraint("purpose IN ('answer', 'summary', 'title', 'sampling')", name="purpose"),
    Index(None, "user_id", "created_at"),
    Index(None, "run_id"),
)
