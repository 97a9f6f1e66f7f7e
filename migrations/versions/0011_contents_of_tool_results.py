"""Pictures, sounds and files that tools have answered with."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

APP = "youworker_app"

# Those of runs that the principal sees, for the runs are themselves under their policies.
_VISIBLE = "(SELECT youworker_is_system()) OR EXISTS (SELECT FROM runs r WHERE r.id = run_id)"


def upgrade() -> None:
    op.create_table(
        "tool_contents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('image', 'audio', 'resource')", name=op.f("ck_tool_contents_kind")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["runs.id"],
            name=op.f("fk_tool_contents_run_id_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tool_contents")),
    )
    op.create_index(op.f("ix_tool_contents_run_id"), "tool_contents", ["run_id"])
    op.execute(f"GRANT SELECT, INSERT ON tool_contents TO {APP}")  # they go with their runs
    op.execute("ALTER TABLE tool_contents ENABLE ROW LEVEL SECURITY")
    for command, clause in (("SELECT", "USING"), ("INSERT", "WITH CHECK")):
        op.execute(
            f"CREATE POLICY tool_contents_{command.lower()} ON tool_contents "
            f"FOR {command} TO {APP} {clause} ({_VISIBLE})"
        )


def downgrade() -> None:
    op.drop_table("tool_contents")
