"""What is to be made searchable as rows, and the queue of the jobs that do it (Procrastinate's).

And which collection of the vector index is searched.
"""

from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

APP = "youworker_app"

# As it came with Procrastinate 3.10: what a migration does must not change with what is installed.
_QUEUE = Path(__file__).parent.parent / "procrastinate_3_10.sql"
_DROP_QUEUE = """
DO $$
DECLARE each text;
BEGIN
    DROP TABLE procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs,
        procrastinate_workers CASCADE;
    FOR each IN SELECT oid::regprocedure FROM pg_proc
        WHERE proname LIKE 'procrastinate\\_%' AND pronamespace = 'public'::regnamespace
    LOOP
        EXECUTE 'DROP FUNCTION ' || each;
    END LOOP;
    DROP TYPE procrastinate_job_to_defer_v1, procrastinate_job_event_type,
        procrastinate_job_status;
END $$
"""

_OWN = "user_id = (SELECT youworker_user_id()) OR (SELECT youworker_is_system())"
_SYSTEM = "(SELECT youworker_is_system())"
_TABLES = ("ingest_runs", "ingest_files")
_COLLECTIONS = "vector_collections"
_GRANTS = (
    *(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APP}" for table in _TABLES),
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON {_COLLECTIONS} TO {APP}",
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON procrastinate_jobs, procrastinate_workers TO {APP}",
    f"GRANT INSERT ON procrastinate_events TO {APP}",
    f"GRANT SELECT, UPDATE ON procrastinate_periodic_defers TO {APP}",
    f"GRANT USAGE ON procrastinate_jobs_id_seq, procrastinate_events_id_seq TO {APP}",
)


def upgrade() -> None:
    _create_runs()
    _create_files()
    op.add_column("documents", sa.Column("source_hash", sa.Text(), nullable=True))
    op.create_index(
        "uq_documents_owner_id_source_hash",
        "documents",
        ["owner_id", "source_hash"],
        unique=True,
        postgresql_where=sa.text("source_hash IS NOT NULL"),
    )
    op.get_bind().exec_driver_sql(
        _QUEUE.read_text("utf-8"), execution_options={"no_parameters": True}
    )
    _create_collections()
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY {table}_all ON {table} FOR ALL TO {APP} "
            f"USING ({_OWN}) WITH CHECK ({_OWN})"
        )
    for statement in _GRANTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute(_DROP_QUEUE)
    op.drop_index("uq_documents_owner_id_source_hash", table_name="documents")
    op.drop_column("documents", "source_hash")
    op.drop_table(_COLLECTIONS)
    for table in reversed(_TABLES):
        op.drop_table(table)


def _timestamp(
    name: str, *, default_now: bool = False, nullable: bool = False
) -> sa.Column[datetime]:
    default = sa.text("now()") if default_now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)


def _create_runs() -> None:
    op.create_table(
        "ingest_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("api_key_id", sa.BigInteger(), nullable=True),
        sa.Column("login_id", sa.Uuid(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        _count("open_files"),
        _count("taken_files"),
        _count("failed_files"),
        _count("cancelled_files"),
        _count("chunks"),
        _timestamp("created_at", default_now=True),
        _timestamp("finished_at", nullable=True),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'success', 'partial', 'error', 'cancelled')",
            name=op.f("ck_ingest_runs_status"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_ingest_runs_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingest_runs")),
    )
    for columns in (["user_id", "created_at"], ["finished_at"]):
        op.create_index(op.f(f"ix_ingest_runs_{'_'.join(columns)}"), "ingest_runs", columns)


def _create_files() -> None:
    op.create_table(
        "ingest_files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("source_hash", sa.Text(), nullable=True),
        sa.Column("blob", sa.Text(), nullable=True),
        sa.Column("document_id", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _count("failures"),
        _count("crashes"),
        sa.Column("lane", sa.Text(), server_default=sa.text("'files'"), nullable=False),
        _count("rank"),
        sa.Column("job_lock", sa.Text(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        _timestamp("paused_until", nullable=True),
        sa.Column("mime", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        _count("chunks"),
        _count("done"),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error", sa.LargeBinary(), nullable=True),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("is_settling", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _timestamp("created_at", default_now=True),
        _timestamp("finished_at", nullable=True),
        sa.CheckConstraint(
            "kind IN ('upload', 'content', 'path', 'url', 'discovery')",
            name=op.f("ck_ingest_files_kind"),
        ),
        sa.CheckConstraint(
            "status IN ('waiting', 'reading', 'indexing', 'indexed', 'unchanged', 'failed', "
            "'cancelled')",
            name=op.f("ck_ingest_files_status"),
        ),
        sa.CheckConstraint(
            "unit IN ('pages', 'chunks', 'seconds')", name=op.f("ck_ingest_files_unit")
        ),
        sa.CheckConstraint(
            "lane IN ('files', 'recordings')", name=op.f("ck_ingest_files_lane")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["ingest_runs.id"],
            name=op.f("fk_ingest_files_run_id_ingest_runs"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_ingest_files_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.id"],
            name=op.f("fk_ingest_files_document_id_documents"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingest_files")),
        sa.UniqueConstraint("blob", name=op.f("uq_ingest_files_blob")),
    )
    op.create_index(op.f("ix_ingest_files_run_id_position"), "ingest_files", ["run_id", "position"])
    op.create_index(
        "uq_ingest_files_run_id_source_hash",
        "ingest_files",
        ["run_id", "source_hash"],
        unique=True,
        postgresql_where=sa.text("source_hash IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_ingest_files_user_id"),
        "ingest_files",
        ["user_id"],
        postgresql_where=sa.text("status IN ('waiting', 'reading', 'indexing')"),
    )
    op.create_index(
        "ix_ingest_files_in_line",
        "ingest_files",
        ["user_id", "lane", "rank", "created_at", "position"],
        postgresql_where=sa.text("status = 'waiting' AND job_id IS NULL"),
    )
    op.create_index(
        "ix_ingest_files_in_turn",
        "ingest_files",
        ["user_id", "lane"],
        postgresql_where=sa.text("job_id IS NOT NULL AND finished_at IS NULL"),
    )
    op.create_index(op.f("ix_ingest_files_document_id"), "ingest_files", ["document_id"])


def _create_collections() -> None:
    op.create_table(
        _COLLECTIONS,
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("layout", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        _timestamp("created_at", default_now=True),
        sa.CheckConstraint(
            "state IN ('in_force', 'building', 'retired')",
            name=op.f("ck_vector_collections_state"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_vector_collections")),
    )
    op.create_index(
        "uq_vector_collections_state",
        _COLLECTIONS,
        ["state"],
        unique=True,
        postgresql_where=sa.text("state <> 'retired'"),
    )
    op.execute(f"ALTER TABLE {_COLLECTIONS} ENABLE ROW LEVEL SECURITY")
    # Every writer looks which one is in force; the system alone makes and removes them.
    op.execute(
        f"CREATE POLICY {_COLLECTIONS}_read ON {_COLLECTIONS} FOR SELECT TO {APP} USING (true)"
    )
    op.execute(
        f"CREATE POLICY {_COLLECTIONS}_all ON {_COLLECTIONS} FOR ALL TO {APP} "
        f"USING ({_SYSTEM}) WITH CHECK ({_SYSTEM})"
    )
