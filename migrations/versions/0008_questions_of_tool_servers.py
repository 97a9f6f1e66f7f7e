"""Questions that MCP servers put to people while a call runs, and what models answer servers."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

APP = "youworker_app"

_OWN = "user_id = (SELECT youworker_user_id())"
_SYSTEM = "(SELECT youworker_is_system())"
# Command, which rows.
_POLICIES: tuple[tuple[str, str], ...] = (
    ("SELECT", f"USING ({_OWN} OR {_SYSTEM})"),
    ("INSERT", f"WITH CHECK (({_OWN} AND status = 'open') OR {_SYSTEM})"),
    ("UPDATE", f"USING ({_OWN} OR {_SYSTEM}) WITH CHECK ({_OWN} OR {_SYSTEM})"),
)
_CLOSE_ONCE = f"""
CREATE TRIGGER questions_closed_once BEFORE UPDATE ON questions
FOR EACH ROW WHEN (OLD.status <> 'open' AND current_user = '{APP}')
EXECUTE FUNCTION refuse_second_decision()
"""


def upgrade() -> None:
    _create_questions()
    op.execute(f"GRANT SELECT, INSERT, UPDATE (status, answer, answered_at) ON questions TO {APP}")
    op.execute("ALTER TABLE questions ENABLE ROW LEVEL SECURITY")
    for command, clause in _POLICIES:
        op.execute(
            f"CREATE POLICY questions_{command.lower()} ON questions FOR {command} TO {APP} {clause}"
        )
    op.execute(_CLOSE_ONCE)
    _allow_purposes("'answer', 'summary', 'title', 'sampling'")


def downgrade() -> None:
    op.execute("DELETE FROM model_calls WHERE purpose = 'sampling'")
    _allow_purposes("'answer', 'summary', 'title'")
    op.drop_table("questions")


def _allow_purposes(purposes: str) -> None:
    op.drop_constraint(op.f("ck_model_calls_purpose"), "model_calls", type_="check")
    op.create_check_constraint(
        op.f("ck_model_calls_purpose"), "model_calls", f"purpose IN ({purposes})"
    )


def _timestamp(
    name: str, *, default_now: bool = False, nullable: bool = False
) -> sa.Column[datetime]:
    default = sa.text("now()") if default_now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def _create_questions() -> None:
    op.create_table(
        "questions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        _timestamp("created_at", default_now=True),
        _timestamp("expires_at"),
        _timestamp("answered_at", nullable=True),
        sa.CheckConstraint(
            "status IN ('open', 'accepted', 'declined', 'cancelled', 'expired')",
            name=op.f("ck_questions_status"),
        ),
        sa.CheckConstraint("kind IN ('form', 'url', 'sampling')", name=op.f("ck_questions_kind")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_questions_run_id_runs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_questions_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_questions")),
    )
    op.create_index(op.f("ix_questions_run_id"), "questions", ["run_id"])
    op.create_index(op.f("ix_questions_user_id"), "questions", ["user_id"])
    op.create_index(
        op.f("ix_questions_expires_at"),
        "questions",
        ["expires_at"],
        postgresql_where=sa.text("status = 'open'"),
    )
