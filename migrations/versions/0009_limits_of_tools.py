"""What calls of tools are allowed in time, size and number, by group."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

APP = "youworker_app"

_MY_GROUPS = "IN (SELECT youworker_group_ids())"
_GROUPS_I_ADMINISTER = "IN (SELECT youworker_administered_group_ids())"
_ADMINISTERS = "(SELECT youworker_administers())"
_SEES = f"group_id IS NULL OR group_id {_MY_GROUPS} OR {_ADMINISTERS}"
# Whatever a group's admins make of a limit, it only ever allows less than what holds without it.
_SETS = f"group_id {_GROUPS_I_ADMINISTER} OR {_ADMINISTERS}"

_POLICIES = (
    ("SELECT", f"USING ({_SEES})"),
    ("INSERT", f"WITH CHECK ({_SETS})"),
    ("UPDATE", f"USING ({_SETS}) WITH CHECK ({_SETS})"),
    ("DELETE", f"USING ({_SETS})"),
)


def upgrade() -> None:
    op.create_table(
        "tool_limits",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["groups.id"],
            name=op.f("fk_tool_limits_group_id_groups"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tool_limits")),
    )
    op.create_index(op.f("ix_tool_limits_group_id"), "tool_limits", ["group_id"])
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON tool_limits TO {APP}")
    op.execute("ALTER TABLE tool_limits ENABLE ROW LEVEL SECURITY")
    for command, clause in _POLICIES:
        op.execute(
            f"CREATE POLICY tool_limits_{command.lower()} ON tool_limits FOR {command} "
            f"TO {APP} {clause}"
        )


def downgrade() -> None:
    op.drop_table("tool_limits")
