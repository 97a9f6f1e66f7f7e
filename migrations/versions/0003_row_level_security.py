"""Row-level security: the product's role owns nothing and sees what its principal may see.

A transaction says for whom it works by two settings, `youworker.user_id` and `youworker.role`
(`user`, `root` or `system`); without them it sees no row.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

APP = "youworker_app"

# A role belongs to the whole server, where another installation may have made it, or an
# administrator for a login that may not make roles.
_CREATE_ROLE = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP}') THEN
        BEGIN
            CREATE ROLE {APP} NOLOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
    IF NOT pg_has_role(current_user, '{APP}', CASE
        WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END
    ) THEN
        GRANT {APP} TO CURRENT_USER;
    END IF;
END $$
"""

# What runs with the owner's rights looks only for what its argument or the principal entitles to.
_FUNCTIONS = (
    """
    CREATE FUNCTION youworker_user_id() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT nullif(current_setting('youworker.user_id', true), '')::bigint $$
    """,
    """
    CREATE FUNCTION youworker_is_system() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT coalesce(current_setting('youworker.role', true), '') = 'system' $$
    """,
    """
    CREATE FUNCTION youworker_administers() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT coalesce(current_setting('youworker.role', true), '') IN ('system', 'root') $$
    """,
    """
    CREATE FUNCTION youworker_group_ids() RETURNS SETOF bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    $$ SELECT group_id FROM public.group_members WHERE user_id = public.youworker_user_id() $$
    """,
    """
    CREATE FUNCTION youworker_administered_group_ids() RETURNS SETOF bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    $$ SELECT group_id FROM public.group_members
       WHERE user_id = public.youworker_user_id() AND role = 'admin' $$
    """,
    """
    CREATE FUNCTION youworker_create_group(new_name_hash text, new_body bytea) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    $$
    DECLARE made bigint;
    BEGIN
        IF public.youworker_user_id() IS NULL THEN
            RAISE insufficient_privilege USING MESSAGE = 'nobody makes no groups';
        END IF;
        INSERT INTO public.groups (name_hash, body, from_provider)
        VALUES (new_name_hash, new_body, public.youworker_is_system())
        ON CONFLICT (name_hash) DO NOTHING RETURNING id INTO made;
        IF made IS NOT NULL AND NOT public.youworker_is_system() THEN
            INSERT INTO public.group_members (group_id, user_id, role)
            VALUES (made, public.youworker_user_id(), 'admin');
        END IF;
        RETURN made;
    END
    $$
    """,
    """
    CREATE FUNCTION youworker_may_join(candidate bigint) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    $$ SELECT EXISTS (
        SELECT FROM public.users WHERE id = candidate AND is_active AND closing_at IS NULL
    ) $$
    """,
    """
    CREATE FUNCTION youworker_note_unsealed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    $$ BEGIN INSERT INTO public.audit_unsealed VALUES (NEW.id); RETURN NULL; END $$
    """,
    """
    CREATE TRIGGER audit_log_note_unsealed AFTER INSERT ON audit_log
    FOR EACH ROW EXECUTE FUNCTION youworker_note_unsealed()
    """,
    """
    CREATE FUNCTION youworker_find_key(wanted text) RETURNS TABLE (
        id bigint, user_id bigint, scopes text[], expires_at timestamptz,
        last_used_at timestamptz, revoked_at timestamptz,
        username text, is_root boolean, is_active boolean, user_created_at timestamptz
    ) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    $$
        SELECT k.id, k.user_id, k.scopes, k.expires_at, k.last_used_at, k.revoked_at,
            u.username, u.is_root, u.is_active AND u.closing_at IS NULL, u.created_at
        FROM public.api_keys k JOIN public.users u ON u.id = k.user_id
        WHERE k.key_hash = wanted
    $$
    """,
    """
    CREATE FUNCTION youworker_find_login(wanted uuid) RETURNS TABLE (
        id uuid, user_id bigint, api_key_id bigint, root_key_hash text, method text, scopes text[],
        generation integer, expires_at timestamptz, revoked_at timestamptz, created_at timestamptz,
        key_expires_at timestamptz,
        username text, is_root boolean, is_active boolean, user_created_at timestamptz
    ) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    $$
        SELECT s.id, s.user_id, s.api_key_id, s.root_key_hash, s.method, s.scopes, s.generation,
            s.expires_at, coalesce(s.revoked_at, k.revoked_at), s.created_at, k.expires_at,
            u.username, u.is_root, u.is_active AND u.closing_at IS NULL, u.created_at
        FROM public.login_sessions s
        JOIN public.users u ON u.id = s.user_id
        LEFT JOIN public.api_keys k ON k.id = s.api_key_id
        WHERE s.id = wanted
    $$
    """,
    # The generic cell rate algorithm (ITU-T I.371): a bucket is one moment, when it is full again.
    # Either all buckets give a token or none does: whom one refuses does not empty the others. No
    # bucket is further from full than empty: a clock that was set back, or a limit that was
    # lowered, locks nobody out for longer than that. Rows are locked in one order.
    """
    CREATE FUNCTION youworker_take_tokens(
        wanted text[], seconds_each double precision[], tokens_at_most integer[]
    ) RETURNS TABLE (bucket text, allowed boolean, seconds_to_full double precision)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    $$
    #variable_conflict use_column
    DECLARE
        names text[];
        verdicts boolean[];
        moments timestamptz[];
    BEGIN
        WITH asked AS (
            SELECT w.name, make_interval(secs => w.each) AS each,
                make_interval(secs => w.each) * w.most AS most
            FROM unnest(wanted, seconds_each, tokens_at_most) AS w (name, each, most)
        ), taken AS (
            INSERT INTO public.rate_limits AS r (bucket, full_at, allowed)
            SELECT name, clock_timestamp() + CASE WHEN each <= most THEN each ELSE most END,
                each <= most
            FROM asked ORDER BY name
            ON CONFLICT (bucket) DO UPDATE SET (full_at, allowed) = (
                SELECT CASE WHEN fits THEN later ELSE later - each END, fits
                FROM (
                    SELECT each, later, later <= moment + most AS fits
                    FROM asked, LATERAL (SELECT clock_timestamp() AS moment) AS now,
                    LATERAL (
                        SELECT greatest(least(r.full_at, moment + most), moment) + each AS later
                    ) AS next
                    WHERE name = r.bucket
                ) AS judged
            )
            RETURNING r.bucket, r.allowed, r.full_at
        )
        SELECT array_agg(t.bucket), array_agg(t.allowed), array_agg(t.full_at)
        INTO names, verdicts, moments FROM taken AS t;
        IF false = ANY (verdicts) THEN
            UPDATE public.rate_limits AS r SET full_at = r.full_at - make_interval(secs => w.each)
            FROM unnest(wanted, seconds_each) AS w (name, each)
            WHERE r.bucket = w.name AND r.allowed;
        END IF;
        RETURN QUERY SELECT b.name, b.verdict,
            greatest(extract(epoch FROM b.moment - clock_timestamp()), 0)::double precision
        FROM unnest(names, verdicts, moments) AS b (name, verdict, moment);
    END
    $$
    """,
    # Skips what is being taken from: it is not full, and waiting could deadlock.
    """
    CREATE FUNCTION youworker_forget_full_buckets() RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
    $$
        DELETE FROM public.rate_limits WHERE bucket IN (
            SELECT bucket FROM public.rate_limits WHERE full_at < clock_timestamp()
            FOR UPDATE SKIP LOCKED
        )
    $$
    """,
)
_FUNCTION_SIGNATURES = (
    "youworker_note_unsealed()",
    "youworker_user_id()",
    "youworker_is_system()",
    "youworker_administers()",
    "youworker_group_ids()",
    "youworker_administered_group_ids()",
    "youworker_create_group(text, bytea)",
    "youworker_may_join(bigint)",
    "youworker_find_key(text)",
    "youworker_find_login(uuid)",
    "youworker_take_tokens(text[], double precision[], integer[])",
    "youworker_forget_full_buckets()",
)

_OWN = "{column} = (SELECT youworker_user_id())"
_SYSTEM = "(SELECT youworker_is_system())"
_ADMINISTERS = "(SELECT youworker_administers())"
_MY_GROUPS = "IN (SELECT youworker_group_ids())"
_GROUPS_I_ADMINISTER = "IN (SELECT youworker_administered_group_ids())"


def _own(column: str) -> str:
    return _OWN.format(column=column)


_ACCOUNT = f"{_own('user_id')} OR {_ADMINISTERS}"
_CONVERSATION = f"{_own('user_id')} OR {_SYSTEM}"
_OF_SESSION = (
    "EXISTS (SELECT FROM chat_sessions s WHERE s.id = chat_session_id)"  # itself under its policy
)
_OPENED_WITH_OWN_KEY = (
    "(api_key_id IS NULL OR EXISTS (SELECT FROM api_keys k "
    "WHERE k.id = api_key_id AND k.user_id = login_sessions.user_id))"
)
_OF_RUN = "EXISTS (SELECT FROM runs r WHERE r.id = run_id)"

# Table, command, which rows.
_POLICIES: tuple[tuple[str, str, str], ...] = (
    (
        "users",
        "SELECT",
        f"{_own('id')} OR {_ADMINISTERS} OR EXISTS (SELECT FROM group_members m "
        f"WHERE m.user_id = users.id AND m.group_id {_MY_GROUPS})",
    ),
    ("users", "INSERT", _ADMINISTERS),
    ("users", "UPDATE", f"{_own('id')} OR {_ADMINISTERS}"),
    ("users", "DELETE", f"{_own('id')} OR {_ADMINISTERS}"),
    ("api_keys", "ALL", _ACCOUNT),
    ("login_sessions", "ALL", f"({_ACCOUNT}) AND {_OPENED_WITH_OWN_KEY}"),
    ("identities", "ALL", _ACCOUNT),
    ("groups", "SELECT", f"id {_MY_GROUPS} OR {_SYSTEM}"),
    ("groups", "INSERT", _SYSTEM),
    ("groups", "UPDATE", f"id {_GROUPS_I_ADMINISTER} OR {_SYSTEM}"),
    (  # whoever is the last one in a group may end it, admin or not
        "groups",
        "DELETE",
        f"id {_GROUPS_I_ADMINISTER} OR {_SYSTEM} OR (id {_MY_GROUPS} AND NOT EXISTS ("
        "SELECT FROM group_members m WHERE m.group_id = groups.id "
        "AND m.user_id <> (SELECT youworker_user_id())))",
    ),
    ("group_members", "SELECT", f"group_id {_MY_GROUPS} OR {_SYSTEM}"),
    ("group_members", "INSERT", f"group_id {_GROUPS_I_ADMINISTER} OR {_SYSTEM}"),
    ("group_members", "UPDATE", f"group_id {_GROUPS_I_ADMINISTER} OR {_SYSTEM}"),
    (
        "group_members",
        "DELETE",
        f"{_own('user_id')} OR group_id {_GROUPS_I_ADMINISTER} OR {_SYSTEM}",
    ),
    ("chat_sessions", "ALL", _CONVERSATION),
    ("runs", "ALL", f"({_CONVERSATION}) AND {_OF_SESSION}"),
    ("messages", "ALL", _OF_SESSION),
    ("tool_runs", "ALL", _OF_RUN),
    ("documents", "SELECT", f"{_own('owner_id')} OR group_id {_MY_GROUPS} OR {_SYSTEM}"),
    ("documents", "INSERT", _own("owner_id")),
    ("documents", "UPDATE", f"{_own('owner_id')} OR {_SYSTEM}"),
    ("documents", "DELETE", f"{_own('owner_id')} OR {_SYSTEM}"),
    ("audit_log", "SELECT", f"{_ADMINISTERS} OR group_id {_GROUPS_I_ADMINISTER}"),
    ("audit_log", "INSERT", f"{_own('actor_id')} OR {_SYSTEM}"),
    ("audit_unsealed", "SELECT", _SYSTEM),
    ("audit_unsealed", "DELETE", _SYSTEM),
    ("audit_seals", "SELECT", _ADMINISTERS),
    ("audit_seals", "INSERT", _SYSTEM),
    ("rate_limits", "SELECT", _SYSTEM),
)
_CHANGEABLE = (
    "api_keys",
    "login_sessions",
    "identities",
    "groups",
    "group_members",
    "chat_sessions",
    "runs",
    "messages",
    "tool_runs",
    "documents",
)
_GRANTS = (
    *(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APP}" for table in _CHANGEABLE),
    f"GRANT SELECT, INSERT, DELETE, UPDATE (is_active, closing_at) ON users TO {APP}",
    f"GRANT SELECT, INSERT ON audit_log, audit_seals TO {APP}",
    f"GRANT SELECT, DELETE ON audit_unsealed TO {APP}",
    *(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC" for signature in _FUNCTION_SIGNATURES),
    *(f"GRANT EXECUTE ON FUNCTION {signature} TO {APP}" for signature in _FUNCTION_SIGNATURES),
)


def upgrade() -> None:
    op.execute(_CREATE_ROLE)
    op.execute(f"GRANT USAGE ON SCHEMA public TO {APP}")
    for statement in (*_FUNCTIONS, *_GRANTS):
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


def downgrade() -> None:
    for table, command, _ in _POLICIES:
        op.execute(f"DROP POLICY {table}_{command.lower()} ON {table}")
    for table in dict.fromkeys(table for table, _, _ in _POLICIES):
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.execute("DROP TRIGGER audit_log_note_unsealed ON audit_log")
    for signature in reversed(_FUNCTION_SIGNATURES):
        op.execute(f"DROP FUNCTION {signature}")
    # The role itself stays: other databases of the server may know it.
    op.execute(f"DROP OWNED BY {APP}")
