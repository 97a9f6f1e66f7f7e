"""Runs that outlive their process: input, attempts, events, tool runs that were begun, model calls.

Images of messages come with them.
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

APP = "youworker_app"

_OWN = "user_id = (SELECT youworker_user_id())"
_SYSTEM = "(SELECT youworker_is_system())"
# Themselves under their policies.
_OF_RUN = "EXISTS (SELECT FROM runs r WHERE r.id = run_id)"
_OF_MESSAGE = "EXISTS (SELECT FROM messages m WHERE m.id = message_id)"
# Table, command, which rows.
_POLICIES: tuple[tuple[str, str, str], ...] = (
    ("run_events", "ALL", f"{_SYSTEM} OR {_OF_RUN}"),
    ("message_images", "SELECT", f"{_SYSTEM} OR {_OF_MESSAGE}"),
    ("message_images", "INSERT", f"{_SYSTEM} OR {_OF_MESSAGE}"),
    ("model_calls", "ALL", f"{_OWN} OR {_SYSTEM}"),
)
_GRANTS = (
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON run_events, model_calls TO {APP}",
    f"GRANT SELECT, INSERT ON message_images TO {APP}",  # they go with their messages
)

# Takes the events of any number of runs in one statement. A run that another process has taken
# meanwhile gets nothing more from this one: the lock keeps it from being taken until the commit.
# It waits for nobody: a run that is locked at this moment is reported as not stored, and the others
# are not held up by it. What is there already was sent before and its answer was lost on the way.
_APPEND_EVENTS = """
CREATE FUNCTION youworker_append_events(
    owner text, runs uuid[], attempts integer[], first_ids integer[], counts integer[],
    bodies bytea[], watched uuid[]
) RETURNS TABLE (held uuid, stored boolean)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
    SELECT pg_notify('youworker_run_changed', run::text) FROM unnest(watched) AS w (run);
    WITH given AS (
        SELECT * FROM unnest(runs, attempts, first_ids, counts, bodies)
            AS g (run_id, attempt, first_id, count, body)
    ), ours AS (
        SELECT r.id FROM public.runs r
        WHERE r.id = ANY (runs) AND r.lease_owner = owner AND r.status = 'running'
            AND EXISTS (SELECT FROM given g WHERE g.run_id = r.id AND g.attempt = r.attempt)
    ), locked AS (
        SELECT r.id FROM public.runs r
        WHERE r.id = ANY (runs) AND r.lease_owner = owner AND r.status = 'running'
            AND EXISTS (SELECT FROM given g WHERE g.run_id = r.id AND g.attempt = r.attempt)
        FOR SHARE SKIP LOCKED
    ), added AS (
        INSERT INTO public.run_events (run_id, first_id, count, body)
        SELECT g.run_id, g.first_id, g.count, g.body FROM given g JOIN locked l ON l.id = g.run_id
        ON CONFLICT (run_id, first_id) DO NOTHING
    )
    SELECT o.id, EXISTS (SELECT FROM locked l WHERE l.id = o.id) FROM ours o
$$
"""
_APPEND_SIGNATURE = (
    "youworker_append_events(text, uuid[], integer[], integer[], integer[], bytea[], uuid[])"
)
# Tells of each claim that still holds, and whether the run's row could be locked until the commit:
# then nobody takes the run before what is written under the claim is there. Rows that somebody
# changes are not waited for, since many runs are asked about at once. PL/pgSQL keeps its plan, SQL
# would make it anew each time. Granted to the agent's role, which sees no row of runs, where that
# gets its tables (persistence/checkpoints.py).
_HELD_RUNS = """
CREATE FUNCTION youworker_held_runs(runs uuid[], attempts integer[], owners text[])
RETURNS TABLE (fence integer, is_free boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ BEGIN
    RETURN QUERY WITH given AS (
        SELECT g.place::integer AS place, r.id AS run_id, g.attempt, g.owner
        FROM unnest(runs, attempts, owners) WITH ORDINALITY AS g (run_id, attempt, owner, place)
        JOIN public.runs r ON r.id = g.run_id AND r.attempt = g.attempt
            AND r.lease_owner = g.owner AND r.status = 'running'
    ), locked AS (
        SELECT r.id FROM public.runs r
        WHERE r.id = ANY (runs) AND r.status = 'running' AND EXISTS (
            SELECT FROM given g
            WHERE g.run_id = r.id AND g.attempt = r.attempt AND g.owner = r.lease_owner
        )
        FOR SHARE SKIP LOCKED
    )
    SELECT place, run_id IN (SELECT id FROM locked) FROM given;
END $$
"""
_HELD_SIGNATURE = "youworker_held_runs(uuid[], integer[], text[])"
# Whoever follows a run elsewhere hears of every change that decides what to wait for.
_TELL_OF_RUN = """
CREATE FUNCTION youworker_tell_of_run() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
$$ BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.finished_at IS NOT NULL THEN RETURN NULL; END IF;
    ELSIF NEW.status = OLD.status AND NEW.attempt = OLD.attempt THEN
        RETURN NULL;
    END IF;
    PERFORM pg_notify('youworker_run_changed', OLD.id::text);
    RETURN NULL;
END $$
"""
_TELL_TRIGGER = """
CREATE TRIGGER runs_tell AFTER UPDATE OF status, attempt OR DELETE ON runs
FOR EACH ROW EXECUTE FUNCTION youworker_tell_of_run()
"""


def upgrade() -> None:
    _extend_sessions_and_messages()
    _create_message_images()
    _extend_runs()
    _extend_tool_runs()
    _create_run_events()
    _create_model_calls()
    _secure()


def downgrade() -> None:
    for function in (_HELD_SIGNATURE, _APPEND_SIGNATURE):
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP TRIGGER runs_tell ON runs")
    op.execute("DROP FUNCTION youworker_tell_of_run()")
    for table in ("model_calls", "run_events", "message_images"):
        op.drop_table(table)
    op.drop_constraint(op.f("ck_tool_runs_status"), "tool_runs", type_="check")
    op.drop_index("uq_tool_runs_run_id_call_id", "tool_runs")
    op.create_index(op.f("ix_tool_runs_run_id"), "tool_runs", ["run_id"])
    op.execute("DELETE FROM tool_runs WHERE status = 'begun'")
    for index in ("ix_runs_finished_at", "ix_runs_waiting", "uq_runs_live"):
        op.drop_index(index, "runs")
    op.drop_constraint(op.f("ck_runs_status"), "runs", type_="check")
    # What waits cannot go on under the older program.
    op.execute(
        "UPDATE runs SET status = 'error', error_code = 'RUN_LOST', finished_at = now() "
        "WHERE status IN ('queued', 'awaiting_approval')"
    )
    for column in ("events_expired_at", "cancel_at", "taken_at_event", "vain_crashes"):
        op.drop_column("runs", column)
    for column in ("worked_seconds", "taken_at", "crashes", "attempt", "input"):
        op.drop_column("runs", column)
    op.create_check_constraint(
        op.f("ck_runs_status"), "runs", "status IN ('running', 'success', 'cancelled', 'error')"
    )
    op.create_index(
        "uq_runs_live",
        "runs",
        ["chat_session_id"],
        unique=True,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.execute("DELETE FROM messages WHERE superseded_by IS NOT NULL")
    op.drop_column("messages", "superseded_by")
    op.drop_constraint(op.f("ck_chat_sessions_title_by"), "chat_sessions", type_="check")
    op.drop_column("chat_sessions", "metadata")
    op.drop_column("chat_sessions", "title_by")


def _timestamp(
    name: str, *, default_now: bool = False, nullable: bool = False
) -> sa.Column[datetime]:
    default = sa.text("now()") if default_now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def _extend_sessions_and_messages() -> None:
    op.add_column(
        "chat_sessions",
        sa.Column("title_by", sa.Text(), server_default=sa.text("'first_line'"), nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_chat_sessions_title_by"),
        "chat_sessions",
        "title_by IN ('first_line', 'model', 'user')",
    )
    # Whoever gave an older session its title is not known: no model takes it away.
    op.execute("UPDATE chat_sessions SET title_by = 'user' WHERE title IS NOT NULL")
    op.add_column("chat_sessions", sa.Column("metadata", sa.LargeBinary(), nullable=True))
    op.add_column("messages", sa.Column("superseded_by", sa.Uuid(), nullable=True))


def _create_message_images() -> None:
    op.create_table(
        "message_images",
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("ck_message_images_number")),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
            name=op.f("fk_message_images_message_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", "number", name=op.f("pk_message_images")),
    )


def _extend_runs() -> None:
    op.add_column("runs", sa.Column("input", sa.LargeBinary(), nullable=True))
    for name, default in (
        ("attempt", "1"),
        ("crashes", "0"),
        ("vain_crashes", "0"),
        ("taken_at_event", "1"),
    ):
        op.add_column(
            "runs",
            sa.Column(name, sa.Integer(), server_default=sa.text(default), nullable=False),
        )
    op.add_column("runs", _timestamp("taken_at", default_now=True))
    op.add_column(
        "runs",
        sa.Column("worked_seconds", sa.Double(), server_default=sa.text("0"), nullable=False),
    )
    for name in ("cancel_at", "events_expired_at"):
        op.add_column("runs", _timestamp(name, nullable=True))
    # Of these nobody knows what they were asked. An older server that is still at work on one
    # writes its outcome nevertheless.
    op.execute(
        "UPDATE runs SET status = 'error', error_code = 'RUN_LOST', finished_at = now() "
        "WHERE status = 'running'"
    )
    # Nothing is kept of the events of runs before this.
    op.execute("UPDATE runs SET events_expired_at = now() WHERE finished_at IS NOT NULL")
    op.drop_constraint(op.f("ck_runs_status"), "runs", type_="check")
    op.create_check_constraint(
        op.f("ck_runs_status"),
        "runs",
        "status IN ('queued', 'running', 'awaiting_approval', 'success', 'cancelled', 'error')",
    )
    op.drop_index("uq_runs_live", "runs")
    op.create_index(
        "uq_runs_live",
        "runs",
        ["chat_session_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('running', 'awaiting_approval')"),
    )
    op.create_index(
        "ix_runs_waiting",
        "runs",
        ["chat_session_id", "id"],
        postgresql_where=sa.text("status IN ('queued', 'awaiting_approval')"),
    )
    op.create_index(
        "ix_runs_finished_at",
        "runs",
        ["finished_at"],
        postgresql_where=sa.text("events_expired_at IS NULL"),
    )


def _extend_tool_runs() -> None:
    # Models may have given several calls of a run one name.
    op.execute(
        "UPDATE tool_runs t SET call_id = t.call_id || '#' || t.id WHERE EXISTS ("
        "SELECT FROM tool_runs o WHERE o.run_id = t.run_id AND o.call_id = t.call_id "
        "AND o.id < t.id)"
    )
    op.drop_index(op.f("ix_tool_runs_run_id"), "tool_runs")
    op.create_index("uq_tool_runs_run_id_call_id", "tool_runs", ["run_id", "call_id"], unique=True)
    op.create_check_constraint(
        op.f("ck_tool_runs_status"), "tool_runs", "status IN ('begun', 'end', 'error')"
    )


def _create_run_events() -> None:
    op.create_table(
        "run_events",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("first_id", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_events_run_id_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "first_id", name=op.f("pk_run_events")),
    )


def _create_model_calls() -> None:
    op.create_table(
        "model_calls",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("tokens_in", sa.Integer(), nullable=False),
        sa.Column("tokens_out", sa.Integer(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        _timestamp("created_at", default_now=True),
        sa.CheckConstraint(
            "purpose IN ('answer', 'summary', 'title')", name=op.f("ck_model_calls_purpose")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_model_calls_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_model_calls_run_id_runs"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_calls")),
    )
    op.create_index(
        op.f("ix_model_calls_user_id_created_at"), "model_calls", ["user_id", "created_at"]
    )
    op.create_index(op.f("ix_model_calls_run_id"), "model_calls", ["run_id"])


def _secure() -> None:
    op.execute(_TELL_OF_RUN)
    op.execute(_TELL_TRIGGER)
    op.execute(_APPEND_EVENTS)
    op.execute(f"REVOKE ALL ON FUNCTION {_APPEND_SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {_APPEND_SIGNATURE} TO {APP}")
    op.execute(_HELD_RUNS)
    op.execute(f"REVOKE ALL ON FUNCTION {_HELD_SIGNATURE} FROM PUBLIC")
    for statement in _GRANTS:
        op.execute(statement)
    for table in dict.fromkeys(table for table, _, _ in _POLICIES):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    for table, command, condition in _POLICIES:
        clauses = {
            "SELECT": f"USING ({condition})",
            "DELETE": f"USING ({condition})",
            "INSERT": f"WITH CHECK ({condition})",
        }
        clause = clauses.get(command, f"USING ({condition}) WITH CHECK ({condition})")
        op.execute(
            f"CREATE POLICY {table}_{command.lower()} ON {table} FOR {command} TO {APP} {clause}"
        )
