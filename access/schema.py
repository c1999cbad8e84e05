"""The tables of access: accounts, sessions, tokens and failures, with hashes only, and the matrix for PostgreSQL.

They are made when the first user is, and a node is closed from that moment on: `is_closed` is asked by every verb.
What a role may do and see is written here from `domain.permissions` at each preparation and is never edited by hand.
"""

import psycopg
from psycopg import sql

from access import gate_sql, log_sql
from access.need_to_know import PREDICATE
from domain.permissions import HOST, SIGHTS, VERBS
from ledger import log_tree
from ledger.schema import DDL_LOCK
from ledger.sessions import Session, connect

READER = "ncen_reader"
"""The role in which personal data are read: it may call the functions of `gate`, and has no right on any table."""
LOG_READER = "ncen_log_reader"
"""The role in which the processing log is read: it may read the log, and nothing else."""

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
"""

_MAKE_ROLE = """
DO $$ BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""


def is_closed(session: Session) -> bool:
    """Whether the node is closed: it has had a user, so that every verb asks who calls."""
    found = session.execute("SELECT to_regclass('access.account')").fetchone()
    if found == (None,):
        return False
    return session.execute("SELECT EXISTS (SELECT FROM access.account)").fetchone() == (True,)


def prepare(session: Session) -> None:
    """Make or renew tables, functions and roles, and write the matrix into them.

    Raises:
        psycopg.errors.InsufficientPrivilege: the database's user may not make roles.
    """
    for role in (READER, LOG_READER):
        session.execute(sql.SQL(_MAKE_ROLE).format(role=sql.Identifier(role)))
    with session.transaction():
        session.execute("SELECT pg_advisory_xact_lock(%s)", [DDL_LOCK])
        for statements in (TABLES, log_sql.TABLES, log_tree.TABLES, log_sql.FUNCTIONS, PREDICATE, gate_sql.FUNCTIONS):
            session.execute(statements.encode())
        _write_matrix(session)
        for statement in (*RIGHTS, SHIELD):
            session.execute(statement.encode())


def renew(database_url: str) -> None:
    """Bring the functions and the matrix of a closed node up to this program; an open node has none."""
    with connect(database_url) as session:
        if is_closed(session):
            prepare(session)


RIGHTS = (
    f"GRANT USAGE ON SCHEMA gate TO {READER}",
    f"GRANT EXECUTE ON FUNCTION {', '.join(gate_sql.GRANTED)} TO {READER}",
    f"GRANT USAGE ON SCHEMA processing TO {LOG_READER}",
    f"GRANT SELECT ON ALL TABLES IN SCHEMA processing TO {LOG_READER}",
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
            "INSERT INTO access.sight VALUES (%s, %s, %s, %s)",
            [(role.value, told.scope, told.sees_restricted, told.handling) for role, told in SIGHTS.items()],
        )


OPEN_TABLES = ("seizure", "seizure_line", "offence")
"""Tables of facts that name no one: read directly, narrowed by handling code where they are asked."""


def enter_reader(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Become the reader: from here on the session has no right on a table that names anyone.

    The open tables are granted anew where a rebuild has put fresh ones in their place.
    """
    bare = connection.execute(
        "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass('read.' || name) IS NOT NULL"
        " AND NOT has_table_privilege(%s, 'read.' || name, 'SELECT')",
        [list(OPEN_TABLES), READER],
    ).fetchall()
    if bare:
        connection.execute(f"GRANT USAGE ON SCHEMA read TO {READER}".encode())
    for (name,) in bare:
        connection.execute(
            sql.SQL("GRANT SELECT ON read.{} TO {}").format(sql.Identifier(str(name)), sql.Identifier(READER))
        )
    connection.execute("SET plan_cache_mode = auto")  # the gate's own statements are planned once, and not each time
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(READER)))
    connection.commit()
