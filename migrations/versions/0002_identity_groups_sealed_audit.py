"""Login sessions, identities, groups, sharing, rate limits, and the seals of the audit trail."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_logins()
    _create_groups()
    _share_documents_with_groups()
    _create_seals()
    _create_rate_limits()


def downgrade() -> None:
    op.drop_table("rate_limits")
    op.drop_table("audit_seals")
    op.drop_table("audit_unsealed")
    op.drop_index(op.f("ix_audit_log_group_id_created_at"), "audit_log")
    op.drop_column("audit_log", "group_id")
    op.drop_constraint("fk_documents_group_id_group_members", "documents", type_="foreignkey")
    op.add_column(
        "documents",
        sa.Column("is_private", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    op.execute("UPDATE documents SET is_private = group_id IS NULL")
    op.drop_table("group_members")
    op.drop_table("groups")
    op.drop_table("identities")
    op.drop_table("login_sessions")
    op.drop_column("users", "closing_at")


def _timestamp(name: str, *, default_now: bool = False, nullable: bool = False) -> sa.Column[datetime]:
    default = sa.text("now()") if default_now else None
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=default, nullable=nullable
    )


def _create_logins() -> None:
    op.add_column("users", _timestamp("closing_at", nullable=True))
    op.create_table(
        "login_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("api_key_id", sa.BigInteger(), nullable=True),
        sa.Column("root_key_hash", sa.Text(), nullable=True),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("generation", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _timestamp("expires_at"),
        _timestamp("revoked_at", nullable=True),
        _timestamp("created_at", default_now=True),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_login_sessions_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["api_key_id"],
            ["api_keys.id"],
            name=op.f("fk_login_sessions_api_key_id_api_keys"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_sessions")),
    )
    for column in ("user_id", "api_key_id", "expires_at"):
        op.create_index(op.f(f"ix_login_sessions_{column}"), "login_sessions", [column])
    op.create_table(
        "identities",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject_hash", sa.Text(), nullable=False),
        _timestamp("created_at", default_now=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_identities_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
    )
    op.create_index(
        "uq_identities_issuer_subject_hash", "identities", ["issuer", "subject_hash"], unique=True
    )
    op.create_index(op.f("ix_identities_user_id"), "identities", ["user_id"])


def _create_groups() -> None:
    op.create_table(
        "groups",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("from_provider", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _timestamp("created_at", default_now=True),
        _timestamp("updated_at", default_now=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("name_hash", name=op.f("uq_groups_name_hash")),
    )
    op.create_table(
        "group_members",
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("from_provider", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _timestamp("joined_at", default_now=True),
        sa.CheckConstraint("role IN ('member', 'admin')", name=op.f("ck_group_members_role")),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["groups.id"],
            name=op.f("fk_group_members_group_id_groups"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_group_members_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("group_id", "user_id", name=op.f("pk_group_members")),
    )
    op.create_index(op.f("ix_group_members_user_id"), "group_members", ["user_id"])


def _share_documents_with_groups() -> None:
    op.execute("UPDATE documents SET group_id = NULL")  # before there were groups
    op.drop_column("documents", "is_private")
    op.create_foreign_key(
        "fk_documents_group_id_group_members",
        "documents",
        "group_members",
        ["group_id", "owner_id"],
        ["group_id", "user_id"],
        ondelete="SET NULL (group_id)",
    )


def _create_seals() -> None:
    op.add_column("audit_log", sa.Column("group_id", sa.BigInteger(), nullable=True))
    op.create_index(
        op.f("ix_audit_log_group_id_created_at"), "audit_log", ["group_id", "created_at"]
    )
    op.create_table(
        "audit_unsealed",
        sa.Column("entry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit_unsealed")),
    )
    op.execute("INSERT INTO audit_unsealed SELECT id FROM audit_log")
    op.create_table(
        "audit_seals",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_ids", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("entry_digests", sa.ARRAY(sa.LargeBinary()), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        _timestamp("sealed_at", default_now=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit_seals")),
    )
    op.execute(
        """
        CREATE TRIGGER audit_seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
        """
    )


def _create_rate_limits() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("bucket", sa.Text(), nullable=False),
        _timestamp("full_at"),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_rate_limits")),
        prefixes=["UNLOGGED"],
    )
