"""What people have let the product do in their name at MCP servers."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

APP = "youworker_app"

_OWN = "user_id = (SELECT youworker_user_id())"
_SYSTEM = "(SELECT youworker_is_system())"
# Nobody uses another's authorization, root neither.
_ROWS = {
    "mcp_authorizations": f"{_OWN} OR {_SYSTEM}",
    "mcp_authorization_attempts": f"{_OWN} OR {_SYSTEM}",
    "mcp_clients": _SYSTEM,
}


def upgrade() -> None:
    _create_authorizations()
    _create_attempts()
    _create_clients()
    for table, rows in _ROWS.items():
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APP}")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY {table}_all ON {table} FOR ALL TO {APP} "
            f"USING ({rows}) WITH CHECK ({rows})"
        )


def downgrade() -> None:
    for table in reversed(_ROWS):
        op.drop_table(table)


def _timestamp(
    name: str, *, default_now: bool = False, nullable: bool = False
) -> sa.Column[datetime]:
    default = sa.text("now()") if default_now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def _reference(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column],
        [f"{target}.id"],
        name=op.f(f"fk_{table}_{column}_{target}"),
        ondelete="CASCADE",
    )


def _create_authorizations() -> None:
    table = "mcp_authorizations"
    op.create_table(
        table,
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("server_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'good'"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _timestamp("expires_at", nullable=True),
        _timestamp("granted_at", default_now=True),
        _timestamp("changed_at", default_now=True),
        sa.CheckConstraint("status IN ('good', 'ended')", name=op.f(f"ck_{table}_status")),
        _reference(table, "user_id", "users"),
        _reference(table, "server_id", "mcp_servers"),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("user_id", "server_id", name=op.f(f"uq_{table}_user_id_server_id")),
    )
    op.create_index(op.f(f"ix_{table}_server_id"), table, ["server_id"])


def _create_attempts() -> None:
    table = "mcp_authorization_attempts"
    op.create_table(
        table,
        sa.Column("state_hash", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("server_id", sa.BigInteger(), nullable=False),
        sa.Column("login_id", sa.Uuid(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _timestamp("expires_at"),
        _timestamp("created_at", default_now=True),
        _reference(table, "user_id", "users"),
        _reference(table, "server_id", "mcp_servers"),
        _reference(table, "login_id", "login_sessions"),
        sa.PrimaryKeyConstraint("state_hash", name=op.f(f"pk_{table}")),
    )
    for column in ("user_id", "server_id", "login_id"):
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def _create_clients() -> None:
    table = "mcp_clients"
    op.create_table(
        table,
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("server_id", sa.BigInteger(), nullable=False),
        sa.Column("place_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _timestamp("created_at", default_now=True),
        _reference(table, "server_id", "mcp_servers"),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint(
            "server_id", "place_hash", name=op.f(f"uq_{table}_server_id_place_hash")
        ),
    )
