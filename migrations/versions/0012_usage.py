"""What was used, by day: facts as they happen, and the sums that a job makes of them.

A fact is written by whatever writes the row that it tells of, in the same transaction. Sums and the
facts that are not in them yet are read together, so that what is read is exact at any moment.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

APP = "youworker_app"

_KINDS = "kind IN ('session', 'message', 'run', 'model', 'tool', 'file')"
_FIGURES = ("count", "failures", "tokens_in", "tokens_out", "chunks", "bytes", "milliseconds")
_MINE = "user_id = (SELECT youworker_user_id())"
_ADMINISTERS = "(SELECT youworker_administers())"
_LED = "user_id IN (SELECT youworker_led_user_ids())"

# With fewer than three others, the figures of a group would be those of a person.
_LED_USERS = """
CREATE FUNCTION youworker_led_user_ids() RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
    SELECT m.user_id FROM public.group_members m
    WHERE m.group_id IN (SELECT public.youworker_administered_group_ids())
        AND (SELECT count(*) FROM public.group_members o WHERE o.group_id = m.group_id) > 3
$$
"""

_DAY = "(({}) AT TIME ZONE 'UTC')::date"
_WORKED = (
    "round(1000 * ({0}.worked_seconds"
    " + greatest(0, extract(epoch FROM {0}.finished_at - {0}.taken_at))))"
)
_WAITED = "round(1000 * greatest(0, extract(epoch FROM {0}.finished_at - {0}.created_at)))"



def _counted(row: str) -> dict[str, tuple[str, str, str]]:
    """Of each table: where a row's user stands if not in it, when it counts, and as what."""
    finished = f"{row}.finished_at IS NOT NULL"
    return {
        "chat_sessions": (
            "",
            "true",
            f"{row}.user_id, {_DAY.format(f'{row}.created_at')}, 'session', '',"
            " 1, 0, 0, 0, 0, 0, 0",
        ),
        # Copies, as a fork makes them, belong to no run: nobody has said them once more.
        "messages": (
            f"public.chat_sessions o ON o.id = {row}.chat_session_id",
            f"{row}.run_id IS NOT NULL",
            f"o.user_id, {_DAY.format(f'{row}.created_at')}, 'message', {row}.role,"
            " 1, 0, 0, 0, 0, 0, 0",
        ),
        "runs": (
            "",
            finished,
            f"{row}.user_id, {_DAY.format(f'{row}.finished_at')}, 'run', {row}.status,"
            f" 1, ({row}.status = 'error')::int, 0, 0, 0, 0, {_WORKED.format(row)}",
        ),
        "model_calls": (
            "",
            "true",
            f"{row}.user_id, {_DAY.format(f'{row}.created_at')}, 'model', {row}.model,"
            f" 1, 0, {row}.tokens_in, {row}.tokens_out, 0, 0, {row}.latency_ms",
        ),
        "tool_runs": (
            f"public.runs o ON o.id = {row}.run_id",
            f"{row}.status <> 'begun'",
            f"o.user_id, {_DAY.format(f'{row}.started_at')}, 'tool', {row}.tool,"
            f" 1, ({row}.status = 'error')::int, 0, 0, 0, 0, {row}.latency_ms",
        ),
        "ingest_files": (
            "",
            finished,
            f"{row}.user_id, {_DAY.format(f'{row}.finished_at')}, 'file', {row}.status,"
            f" 1, ({row}.status = 'failed')::int, 0, 0, {row}.chunks, {row}.size_bytes,"
            f" {_WAITED.format(row)}",
        ),
    }


_ENDINGS = {"runs": "finished_at", "tool_runs": "status", "ingest_files": "finished_at"}
"""Where rows are written before what they tell of has ended, and what tells that it has."""


def _figures() -> list[sa.Column[int]]:
    return [
        sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        for name in _FIGURES
    ]


def _create_tables() -> None:
    op.create_table(
        "usage_facts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        *_figures(),
        sa.CheckConstraint(_KINDS, name=op.f("ck_usage_facts_kind")),
        # What somebody has used counts for the installation when the account is gone.
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_usage_facts_user_id_users"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_facts")),
    )
    op.create_index(op.f("ix_usage_facts_user_id"), "usage_facts", ["user_id"])
    op.create_table(
        "usage_days",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        *_figures(),
        sa.CheckConstraint(_KINDS, name=op.f("ck_usage_days_kind")),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_usage_days_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "day", "kind", "name", name=op.f("pk_usage_days")),
    )
    op.create_table(
        "usage_totals",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        *_figures(),
        sa.CheckConstraint(_KINDS, name=op.f("ck_usage_totals_kind")),
        sa.PrimaryKeyConstraint("day", "kind", "name", name=op.f("pk_usage_totals")),
    )


def _protect_tables() -> None:
    """The product's role reads; what writes are the triggers and the function below."""
    own = f"{_MINE} OR {_ADMINISTERS} OR {_LED}"
    for table, seen in (
        ("usage_facts", own),
        ("usage_days", own),
        ("usage_totals", _ADMINISTERS),
    ):
        op.execute(f"GRANT SELECT ON {table} TO {APP}")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY {table}_select ON {table} FOR SELECT TO {APP} USING ({seen})")


_SUMS = ", ".join(f"sum(t.{name})" for name in _FIGURES)


def _adding(table: str, keys: str) -> str:
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in _FIGURES)
    return (
        f"INSERT INTO public.{table} ({keys.replace('t.', '')}, {', '.join(_FIGURES)}) "
        f"SELECT {keys}, {_SUMS} FROM taken t {{}} GROUP BY {keys} ORDER BY {keys} "
        f"ON CONFLICT ({keys.replace('t.', '')}) DO UPDATE SET {added}"
    )


# Facts are taken away and added to the sums in one statement: at no moment are they in both. An
# account is locked as its foreign key would: one that goes meanwhile takes its sums along.
_ROLL_UP = f"""
CREATE FUNCTION youworker_roll_up_usage(most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE rolled bigint;
BEGIN
    IF NOT public.youworker_is_system() THEN
        RAISE insufficient_privilege USING MESSAGE = 'a job of the system adds up';
    END IF;
    WITH taken AS (
        DELETE FROM public.usage_facts WHERE id = ANY (ARRAY(
            SELECT id FROM public.usage_facts ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED
        )) RETURNING *
    ), owners AS (
        SELECT id FROM public.users WHERE id IN (SELECT user_id FROM taken) FOR KEY SHARE
    ), days AS (
        {_adding("usage_days", "t.user_id, t.day, t.kind, t.name").format(
            "JOIN owners ON owners.id = t.user_id"
        )}
    ), totals AS (
        {_adding("usage_totals", "t.day, t.kind, t.name").format("")}
    )
    SELECT count(*) INTO rolled FROM taken;
    RETURN rolled;
END
$$
"""

_FACT = f"INSERT INTO public.usage_facts (user_id, day, kind, name, {', '.join(_FIGURES)})"


def _create_triggers() -> None:
    for table, (joined, condition, fact) in _counted("NEW").items():
        source = "FROM " + joined.replace(" ON ", " WHERE ") + " AND" if joined else "WHERE"
        op.execute(
            f"CREATE FUNCTION youworker_count_{table}() RETURNS trigger "
            "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN "
            f"{_FACT} SELECT {fact} {source} {condition}; RETURN NULL; END $$"
        )
        call = f"FOR EACH ROW {{}} EXECUTE FUNCTION youworker_count_{table}()"
        op.execute(f"CREATE TRIGGER {table}_count AFTER INSERT ON {table} {call.format('')}")
        if column := _ENDINGS.get(table):
            was_open = _counted("OLD")[table][1]
            when = f"WHEN (NOT ({was_open}) AND {condition})"
            op.execute(
                f"CREATE TRIGGER {table}_count_end AFTER UPDATE OF {column} ON {table} "
                f"{call.format(when)}"
            )


def upgrade() -> None:
    op.execute(_LED_USERS)
    _create_tables()
    _protect_tables()
    op.execute(_ROLL_UP)
    _create_triggers()
    for table, (joined, condition, fact) in _counted("e").items():
        join = f"JOIN {joined}" if joined else ""
        op.execute(f"{_FACT} SELECT {fact} FROM public.{table} e {join} WHERE {condition}")


def downgrade() -> None:
    for table in _counted("e"):
        op.execute(f"DROP FUNCTION youworker_count_{table}() CASCADE")
    for name in ("usage_totals", "usage_days", "usage_facts"):
        op.drop_table(name)
    op.execute("DROP FUNCTION youworker_roll_up_usage(integer)")
    op.execute("DROP FUNCTION youworker_led_user_ids()")
