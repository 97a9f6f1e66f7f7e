"""Rules about tool calls, approvals of them, and keys that the configured keys protect."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

APP = "youworker_app"

_OWN = "user_id = (SELECT youworker_user_id())"
_SYSTEM = "(SELECT youworker_is_system())"
_ADMINISTERS = "(SELECT youworker_administers())"
_MY_GROUPS = "IN (SELECT youworker_group_ids())"
_GROUPS_I_ADMINISTER = "IN (SELECT youworker_administered_group_ids())"
# An approval leaves the hands of a group's admins when the group ends or the user leaves it.
_BOUND = (
    "EXISTS (SELECT FROM group_members m "
    "WHERE m.group_id = approvals.group_id AND m.user_id = approvals.user_id)"
)
_MINE_AS_ADMIN = f"(approver <> 'user' AND group_id {_GROUPS_I_ADMINISTER} AND {_BOUND})"
_I_MAY_ANSWER = f"({_MINE_AS_ADMIN} OR ({_OWN} AND (approver <> 'group_admin' OR NOT {_BOUND})))"
# Anybody may make a group and take people in. So what a group's admins decree alone is only ever
# more careful, and shows nobody's calls to anybody else.
_CAREFUL = f"(group_id {_GROUPS_I_ADMINISTER} AND verdict <> 'allow' AND approver = 'user')"

# Table, command, which rows.
_POLICIES: tuple[tuple[str, str, str], ...] = (
    ("tool_policies", "SELECT", f"group_id IS NULL OR group_id {_MY_GROUPS} OR {_ADMINISTERS}"),
    ("tool_policies", "INSERT", f"{_CAREFUL} OR {_ADMINISTERS}"),
    ("tool_policies", "UPDATE", f"{_CAREFUL} OR {_ADMINISTERS}"),
    ("tool_policies", "DELETE", f"{_CAREFUL} OR {_ADMINISTERS}"),
    ("approvals", "SELECT", f"{_OWN} OR {_MINE_AS_ADMIN} OR {_SYSTEM}"),
    ("approvals", "INSERT", f"({_OWN} AND status = 'pending') OR {_SYSTEM}"),
    ("approvals", "UPDATE", f"{_OWN} OR {_MINE_AS_ADMIN} OR {_SYSTEM}"),
    ("wrapped_keys", "ALL", _SYSTEM),
)
# What a row must be after the change, where that is more than who may change it.
_CHECKS = {
    ("approvals", "UPDATE"): (
        f"{_SYSTEM} OR ({_OWN} AND status = 'withdrawn') "
        f"OR ({_I_MAY_ANSWER} AND decided_by = (SELECT youworker_user_id()))"
    ),
}
_GRANTS = (
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON tool_policies TO {APP}",
    f"GRANT SELECT, INSERT, UPDATE ON wrapped_keys TO {APP}",
    # A policy judges what a row becomes. What says who may answer stays as it was asked.
    f"GRANT SELECT, INSERT, UPDATE (status, decision, decided_by, decided_at) ON approvals TO {APP}",
)

# New keys, and the end of a group or a user, change rows in other roles' names.
_DECIDE_ONCE = (
    """
    CREATE FUNCTION refuse_second_decision() RETURNS trigger LANGUAGE plpgsql AS
    $$
    BEGIN
        RAISE EXCEPTION 'what was decided stays decided' USING ERRCODE = 'insufficient_privilege';
    END
    $$
    """,
    f"""
    CREATE TRIGGER approvals_decided_once BEFORE UPDATE ON approvals
    FOR EACH ROW WHEN (OLD.status <> 'pending' AND current_user = '{APP}')
    EXECUTE FUNCTION refuse_second_decision()
    """,
)

# A change of the encryption keys writes the bodies of entries anew, and nothing else of them. That
# they say what they said, the seals tell: they cover what is in the bodies.
_ALLOW_NEW_KEYS = (
    """
    CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS
    $$
    BEGIN
        IF TG_OP <> 'UPDATE' OR TG_TABLE_NAME <> 'audit_log'
            OR coalesce(current_setting('youworker.new_keys', true), '') <> 'on'
        THEN
            RAISE EXCEPTION 'the audit trail is only ever added to';
        END IF;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE FUNCTION refuse_audit_rewrite() RETURNS trigger LANGUAGE plpgsql AS
    $$
    BEGIN
        IF to_jsonb(NEW) - 'body' IS DISTINCT FROM to_jsonb(OLD) - 'body' THEN
            RAISE EXCEPTION 'the audit trail is only ever added to';
        END IF;
        RETURN NEW;
    END
    $$
    """,
    """
    CREATE TRIGGER audit_log_bodies_only BEFORE UPDATE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_rewrite()
    """,
)
_REFUSE_NEW_KEYS = (
    "DROP TRIGGER audit_log_bodies_only ON audit_log",
    "DROP FUNCTION refuse_audit_rewrite()",
    """
    CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit trail is only ever added to'; END $$
    """,
)


def upgrade() -> None:
    _create_policies()
    _create_approvals()
    op.create_table(
        "wrapped_keys",
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        _timestamp("created_at", default_now=True),
        sa.PrimaryKeyConstraint("purpose", name=op.f("pk_wrapped_keys")),
    )
    for statement in (*_ALLOW_NEW_KEYS, *_DECIDE_ONCE):
        op.execute(statement)
    _secure()


def downgrade() -> None:
    for statement in _REFUSE_NEW_KEYS:
        op.execute(statement)
    for table in ("wrapped_keys", "approvals", "tool_policies"):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_second_decision()")


def _timestamp(
    name: str, *, default_now: bool = False, nullable: bool = False
) -> sa.Column[datetime]:
    default = sa.text("now()") if default_now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def _create_policies() -> None:
    op.create_table(
        "tool_policies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("approver", sa.Text(), server_default=sa.text("'user'"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _timestamp("created_at", default_now=True),
        _timestamp("updated_at", default_now=True),
        sa.CheckConstraint(
            "verdict IN ('allow', 'ask', 'deny')", name=op.f("ck_tool_policies_verdict")
        ),
        sa.CheckConstraint(
            "approver IN ('user', 'group_admin', 'either')",
            name=op.f("ck_tool_policies_approver"),
        ),
        sa.CheckConstraint(
            "approver = 'user' OR group_id IS NOT NULL",
            name=op.f("ck_tool_policies_approver_has_group"),
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["groups.id"],
            name=op.f("fk_tool_policies_group_id_groups"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tool_policies")),
    )
    op.create_index(op.f("ix_tool_policies_group_id"), "tool_policies", ["group_id"])


def _create_approvals() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=True),
        sa.Column("approver", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("decision", sa.LargeBinary(), nullable=True),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        _timestamp("created_at", default_now=True),
        _timestamp("expires_at"),
        _timestamp("decided_at", nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'allowed', 'edited', 'refused', 'expired', 'withdrawn')",
            name=op.f("ck_approvals_status"),
        ),
        sa.CheckConstraint(
            "approver IN ('user', 'group_admin', 'either')", name=op.f("ck_approvals_approver")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_approvals_run_id_runs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_approvals_user_id_users"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["groups.id"],
            name=op.f("fk_approvals_group_id_groups"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"],
            ["users.id"],
            name=op.f("fk_approvals_decided_by_users"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_run_id"), "approvals", ["run_id"])
    op.create_index(op.f("ix_approvals_user_id"), "approvals", ["user_id"])
    for column in ("group_id", "expires_at"):
        op.create_index(
            op.f(f"ix_approvals_{column}"),
            "approvals",
            [column],
            postgresql_where=sa.text("status = 'pending'"),
        )


def _secure() -> None:
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
        check = _CHECKS.get((table, command), condition)
        clause = clauses.get(command, f"USING ({condition}) WITH CHECK ({check})")
        op.execute(
            f"CREATE POLICY {table}_{command.lower()} ON {table} FOR {command} TO {APP} {clause}"
        )
