"""Files whose content the index may hold already end when it holds the one of before again.

And MCP servers that root adds, and the tools of all servers as they were approved.
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

APP = "youworker_app"

_ADMINISTERS = "(SELECT youworker_administers())"
_MCP_TABLES = ("mcp_servers", "mcp_server_groups", "mcp_tools")
# Which groups somebody is in is remembered by every process, until the database says otherwise.
_TELL_OF_MEMBERSHIP = (
    """
    CREATE FUNCTION youworker_tell_of_membership() RETURNS trigger LANGUAGE plpgsql AS
    $$
    BEGIN
        PERFORM pg_notify(
            'youworker_membership_changed', coalesce(NEW.user_id, OLD.user_id)::text
        );
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE TRIGGER group_members_tell AFTER INSERT OR DELETE ON group_members
    FOR EACH ROW EXECUTE FUNCTION youworker_tell_of_membership()
    """,
)


def upgrade() -> None:
    op.add_column("ingest_files", sa.Column("ends_as", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_ingest_files_ends_as"), "ingest_files", "ends_as IN ('failed', 'cancelled')"
    )
    _create_mcp_servers()
    _create_mcp_tools()
    for table in _MCP_TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APP}")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY {table}_all ON {table} FOR ALL TO {APP} "
            f"USING ({_ADMINISTERS}) WITH CHECK ({_ADMINISTERS})"
        )
    for statement in _TELL_OF_MEMBERSHIP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER group_members_tell ON group_members")
    op.execute("DROP FUNCTION youworker_tell_of_membership()")
    for table in reversed(_MCP_TABLES):
        op.drop_table(table)
    op.drop_constraint(op.f("ck_ingest_files_ends_as"), "ingest_files", type_="check")
    op.drop_column("ingest_files", "ends_as")


def _timestamp(name: str) -> sa.Column[datetime]:
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def _create_mcp_servers() -> None:
    op.create_table(
        "mcp_servers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("for_everybody", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        _timestamp("created_at"),
        _timestamp("updated_at"),
        sa.CheckConstraint("source IN ('file', 'api')", name=op.f("ck_mcp_servers_source")),
        sa.ForeignKeyConstraint(
            ["created_by"],
            ["users.id"],
            name=op.f("fk_mcp_servers_created_by_users"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mcp_servers")),
        sa.UniqueConstraint("name_key", name=op.f("uq_mcp_servers_name_key")),
    )
    op.create_table(
        "mcp_server_groups",
        sa.Column("server_id", sa.BigInteger(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [column],
                [f"{table}.id"],
                name=op.f(f"fk_mcp_server_groups_{column}_{table}"),
                ondelete="CASCADE",
            )
            for column, table in (("server_id", "mcp_servers"), ("group_id", "groups"))
        ),
        sa.PrimaryKeyConstraint("server_id", "group_id", name=op.f("pk_mcp_server_groups")),
    )
    op.create_index(op.f("ix_mcp_server_groups_group_id"), "mcp_server_groups", ["group_id"])


def _create_mcp_tools() -> None:
    op.create_table(
        "mcp_tools",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("server_name", sa.Text(), nullable=False),
        sa.Column("tool_hash", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("held_fingerprint", sa.Text(), nullable=True),
        sa.Column("held_body", sa.LargeBinary(), nullable=True),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        _timestamp("first_seen_at"),
        _timestamp("changed_at"),
        sa.CheckConstraint(
            "(fingerprint IS NULL) = (body IS NULL)", name=op.f("ck_mcp_tools_approved")
        ),
        sa.CheckConstraint(
            "(held_fingerprint IS NULL) = (held_body IS NULL)", name=op.f("ck_mcp_tools_held")
        ),
        sa.CheckConstraint("num_nonnulls(body, held_body) > 0", name=op.f("ck_mcp_tools_known")),
        sa.ForeignKeyConstraint(
            ["decided_by"],
            ["users.id"],
            name=op.f("fk_mcp_tools_decided_by_users"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mcp_tools")),
        sa.UniqueConstraint(
            "server_name", "tool_hash", name=op.f("uq_mcp_tools_server_name_tool_hash")
        ),
    )
