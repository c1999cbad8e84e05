"""The tables of access: accounts, sessions, tokens and failures, with hashes only, and the matrix for PostgreSQL.

They are made when the first user is, and a node is closed from that moment on: `is_closed` is asked by every verb.
What a role may do and see is written here from `domain.permissions` at each preparation and is never edited by hand.
"""

from pathlib import Path

from psycopg import sql

from access import gate_sql, log_sql, logins, masking
from access.need_to_know import PREDICATE
from domain.permissions import HOST, SIGHTS, VERBS
from ledger import log_tree
from ledger.schema import DDL_LOCK
from ledger.sessions import Session, connect

TABLES = """
CREATE SCHEMA IF NOT EXISTS access;
REVOKE ALL ON SCHEMA access FROM PUBLIC;

CREATE TABLE IF NOT EXISTS access.account (
    user_id text PRIMARY KEY,
    record_id uuid NOT NULL UNIQUE,
    roles text[] NOT NULL,
    office text,
    cases uuid[] NOT NULL,
    password_hash text,
    totp_sealed bytea,
    totp_step bigint NOT NULL DEFAULT 0,
    enrolment_hash bytea,
    enrolment_until timestamptz,
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS access.session (
    secret_hash bytea PRIMARY KEY,
    user_id text NOT NULL REFERENCES access.account,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    used_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    until timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS session_of_user ON access.session (user_id);
CREATE TABLE IF NOT EXISTS access.token (
    secret_hash bytea PRIMARY KEY,
    token_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    user_id text NOT NULL REFERENCES access.account,
    name text NOT NULL,
    verbs text[] NOT NULL,
    role text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    until timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS access.failure (
    name_tag bytea PRIMARY KEY,
    failures integer NOT NULL,
    last_at timestamptz NOT NULL,
    locked_until timestamptz
);
CREATE TABLE IF NOT EXISTS access.permission (role text NOT NULL, verb text NOT NULL, PRIMARY KEY (role, verb));
CREATE TABLE IF NOT EXISTS access.sight (
    role text PRIMARY KEY, scope text NOT NULL, sees_restricted boolean NOT NULL, handling text NOT NULL
);
DO $$ BEGIN  -- every look reads it
    IF NOT EXISTS (SELECT FROM pg_attribute
            WHERE attrelid = 'access.sight'::regclass AND attname = 'masked' AND NOT attisdropped) THEN
        ALTER TABLE access.sight ADD COLUMN masked boolean NOT NULL DEFAULT true;
    END IF;
END $$;
CREATE INDEX IF NOT EXISTS subject_key_tag ON ledger.subject_key (subject_tag);  -- gate.is_shielded asks by it
"""


def is_closed(session: Session) -> bool:
    """Whether the node is closed: it has had a user, so that every verb asks who calls."""
    found = session.execute("SELECT to_regclass('access.account')").fetchone()
    if found == (None,):
        return False
    return session.execute("SELECT EXISTS (SELECT FROM access.account)").fetchone() == (True,)


def prepare(session: Session, keys: Path) -> None:
    """Make or renew tables, functions and logins, and write the matrix into them: all of it, or nothing.

    `keys` is the folder in which the logins of those who only read are kept.

    Raises:
        Unsafe: the database's user may not make roles, and nobody else has made them.
    """
    with session.transaction():
        session.execute("SELECT pg_advisory_xact_lock(%s)", [DDL_LOCK])
        roles = logins.prepare(session, keys)
        session.execute(CLEARING.encode())
        for statements in STATEMENTS:
            session.execute(statements.encode())
        _write_matrix(session)
        for statement in RIGHTS:
            names = {reading.name: sql.Identifier(role) for reading, role in roles.items()}
            session.execute(sql.SQL(statement).format(**names))
        session.execute(SHIELD.encode())


def renew(database_url: str, keys: Path) -> None:
    """Bring the functions, the logins and the matrix of a closed node up to this program; an open node has none."""
    with connect(database_url) as session:
        if is_closed(session):
            prepare(session, keys)


CLEARING = """
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT p.oid::regprocedure AS told FROM pg_proc p
        WHERE p.pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('gate', 'processing'))
          AND p.prorettype <> 'trigger'::regtype LOOP
        EXECUTE format('DROP FUNCTION %s', one.told);
    END LOOP;
    FOR one IN SELECT t.oid::regtype AS told FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid
        WHERE t.typnamespace IN (SELECT oid FROM pg_namespace WHERE nspname = 'gate') AND c.relkind = 'c' LOOP
        EXECUTE format('DROP TYPE %s', one.told);
    END LOOP;
END $$
"""
"""What an older program has installed goes first: a form that changed cannot be replaced, and none may stay beside it.

Who asks meanwhile finds the old functions until all of the new are there.
"""

OPEN_FACTS = """
-- Lets the reader read the tables of facts that name no one, also where a rebuild has put fresh ones in their place.
CREATE OR REPLACE FUNCTION gate.open_facts() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY ARRAY['seizure', 'seizure_line', 'offence'] LOOP
        IF to_regclass('read.' || one) IS NULL OR (has_schema_privilege(session_user, 'read', 'USAGE')
            AND has_table_privilege(session_user, 'read.' || one, 'SELECT')) THEN CONTINUE; END IF;
        PERFORM pg_advisory_xact_lock(hashtext('gate.open_facts'));  -- two who grant at once would trip over each other
        EXECUTE format('GRANT USAGE ON SCHEMA read TO %I', session_user);
        EXECUTE format('GRANT SELECT ON read.%I TO %I', one, session_user);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION gate.open_facts() FROM PUBLIC;
"""

STATEMENTS = (
    TABLES,
    log_sql.TABLES,
    log_tree.TABLES,
    log_sql.FUNCTIONS,
    PREDICATE,
    masking.FUNCTIONS,
    gate_sql.FUNCTIONS,
    OPEN_FACTS,
)

RIGHTS = (
    "GRANT USAGE ON SCHEMA gate TO {GATE}",
    f"GRANT EXECUTE ON FUNCTION gate.open_facts(), {', '.join(gate_sql.GRANTED)} TO {{GATE}}",
    "GRANT USAGE ON SCHEMA processing TO {LOG}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA processing TO {LOG}",
)


SHIELD = """
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT schemaname, tablename FROM pg_tables
        WHERE schemaname IN ('read', 'read_fresh') AND NOT rowsecurity
          AND tablename NOT IN ('seizure', 'seizure_line', 'offence', 'position') LOOP
        EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', one.schemaname, one.tablename);
    END LOOP;
END $$
"""
"""Tables that were made before the node was closed show no row to anybody but their owner either."""


def _write_matrix(session: Session) -> None:
    allowed = [(role.value, verb) for verb, roles in VERBS.items() if roles != HOST for role in roles]
    session.execute("DELETE FROM access.permission")
    session.execute(
        "INSERT INTO access.permission SELECT * FROM unnest(%s::text[], %s::text[])",
        [[role for role, _ in allowed], [verb for _, verb in allowed]],
    )
    session.execute("DELETE FROM access.sight")
    with session.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO access.sight VALUES (%s, %s, %s, %s, %s)",
            [
                (role.value, told.scope, told.sees_restricted, told.handling, told.masked)
                for role, told in SIGHTS.items()
            ],
        )


def enter_reader(session: Session) -> None:
    """Begin to read as the reader, whose session has no right on a table that names anyone."""
    session.execute("SET plan_cache_mode = auto")  # the gate's own statements are planned once, and not each time
    session.execute("SELECT gate.open_facts()")
