"""The ledger's tables, and the settings without which they would not keep what they were given.

Entries, their positions and the tree's subtrees are only ever inserted: triggers refuse everything else. `prepare` may
be run at any time by any number of processes. PostgreSQL 15 to 18.
"""

import hmac
from dataclasses import dataclass

from psycopg import errors

from ledger import proof_schema
from ledger.errors import Unsafe
from ledger.keyring import Keyring
from ledger.sessions import Session, connect

SCHEMA_VERSION = 1
OLDEST_SERVER = 150_000
DDL_LOCK = 0x6E63656E_01  # "ncen", 1
CHANNEL = "ncen_sealed"
"""Where the sealer says that there is more to read."""

TABLES = """
CREATE SCHEMA IF NOT EXISTS ledger;

CREATE TABLE ledger.node (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    schema_version integer NOT NULL,
    name text,
    key_check bytea
);

CREATE TABLE ledger.entry (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ordinal integer NOT NULL,
    record_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    recorded_at timestamptz NOT NULL,
    node text NOT NULL,
    name text NOT NULL,
    personal boolean NOT NULL,
    body bytea NOT NULL,
    attribution bytea,
    attribution_salt bytea,
    attribution_hash bytea,
    key_id uuid,
    provenance bytea,
    PRIMARY KEY (record_id, version)
);
CREATE INDEX entry_xid_ordinal ON ledger.entry (xid, ordinal);

CREATE TABLE ledger.subject_key (
    key_id uuid PRIMARY KEY,
    record_id uuid NOT NULL,
    subject_tag bytea NOT NULL,
    version integer,
    epoch integer NOT NULL,
    wrapped bytea NOT NULL,
    UNIQUE NULLS NOT DISTINCT (record_id, subject_tag, version)
);

CREATE TABLE ledger.sealed (
    position bigint PRIMARY KEY,
    xid xid8 NOT NULL,
    ordinal integer NOT NULL,
    record_id uuid NOT NULL,
    version integer NOT NULL,
    leaf bytea NOT NULL
);
CREATE UNIQUE INDEX sealed_record ON ledger.sealed (record_id, version) INCLUDE (position);

CREATE TABLE ledger.subtree (
    level smallint NOT NULL,
    number bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (level, number)
);

CREATE TABLE ledger.seal_state (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    size bigint NOT NULL,
    reached_xid xid8 NOT NULL,
    reached_ordinal integer NOT NULL,
    frontier bytea NOT NULL,
    system_identifier bigint NOT NULL,
    is_restored boolean NOT NULL
) WITH (fillfactor = 20);

CREATE TABLE ledger.numbering (
    first_position bigint NOT NULL,
    began_at timestamptz NOT NULL DEFAULT now(),
    system_identifier bigint NOT NULL
);

INSERT INTO ledger.node (schema_version) VALUES (1);
INSERT INTO ledger.seal_state
    SELECT true, 0, '0', -1, '', system_identifier, false FROM pg_control_system();
INSERT INTO ledger.numbering (first_position, system_identifier)
    SELECT 1, system_identifier FROM pg_control_system();

CREATE FUNCTION ledger.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger.% is only ever inserted into: what happened, happened', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
"""

REFUSE = """
CREATE OR REPLACE TRIGGER insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.{table}
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();
"""

INSERT_ONLY = ("entry", "sealed", "subtree", "numbering")


@dataclass(frozen=True, kw_only=True)
class Durability:
    """The settings of a server on which it depends whether what it acknowledged is kept."""

    server_version: int
    fsync: str
    full_page_writes: str
    synchronous_commit: str
    data_checksums: str

    def require_safe(self) -> None:
        """Raise Unsafe with a sentence that names the setting, what it risks, and what to do."""
        if self.server_version < OLDEST_SERVER:
            raise Unsafe(
                f"PostgreSQL {self.server_version // 10_000} is too old: the ledger needs version 15 or newer."
            )
        for setting in ("fsync", "full_page_writes"):
            if getattr(self, setting) != "on":
                raise Unsafe(
                    f"{setting} is off: a power cut would destroy the ledger."
                    f" Set {setting} = on in postgresql.conf and reload the server."
                )
        if self.synchronous_commit == "off":
            raise Unsafe(
                "synchronous_commit is off: entries that were acknowledged would be lost in a crash."
                " Set synchronous_commit = on (server, role and database) and reload the server."
            )


def durability(connection: Session) -> Durability:
    """Read the settings that decide whether what is acknowledged is kept, as the server gives them to a new session."""
    row = connection.execute(
        "SELECT current_setting('fsync'), current_setting('full_page_writes'),"
        " (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'), current_setting('data_checksums')"
    ).fetchone()
    assert row is not None  # noqa: S101  # a SELECT without FROM has one row
    return Durability(
        server_version=connection.info.server_version,
        fsync=row[0],
        full_page_writes=row[1],
        synchronous_commit=row[2],
        data_checksums=row[3],
    )


def prepare(database_url: str, *, node: str | None = None) -> None:
    """Make the ledger's tables if there are none, and remember which node this ledger belongs to.

    Raises:
        Unsafe: a setting of the server would lose what it acknowledged, or the ledger belongs to another node.
        psycopg.OperationalError: the server cannot be reached.
    """
    with connect(database_url) as connection:
        prepare_session(connection, node=node)


def prepare_session(connection: Session, *, node: str | None = None) -> None:
    """Do what `prepare` does, in a session that is open."""
    durability(connection).require_safe()
    if _version(connection) is None:
        _create(connection)
    found = _version(connection)
    if found != SCHEMA_VERSION:
        raise Unsafe(f"The ledger's tables are of version {found}; this program knows version {SCHEMA_VERSION}.")
    _add_proof(connection)
    if node is not None:
        _remember(connection, node)


def _version(connection: Session) -> int | None:
    try:
        row = connection.execute("SELECT schema_version FROM ledger.node").fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return None
    return None if row is None else int(row[0])


def _create(connection: Session) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [DDL_LOCK])
        found = connection.execute("SELECT to_regclass('ledger.node')").fetchone()
        if found == (None,):
            connection.execute(TABLES)
            for table in INSERT_ONLY:
                connection.execute(REFUSE.format(table=table).encode())


def _add_proof(connection: Session) -> None:
    """Make the tables of proof in a ledger that was made before them."""
    if connection.execute(proof_schema.IS_THERE).fetchone() == (True,):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [DDL_LOCK])
        if connection.execute(proof_schema.IS_THERE).fetchone() == (False,):
            connection.execute(proof_schema.TABLES)
            for table in proof_schema.INSERT_ONLY:
                connection.execute(REFUSE.format(table=table).encode())


def _remember(connection: Session, node: str) -> None:
    connection.execute("UPDATE ledger.node SET name = %s WHERE name IS NULL", [node])
    row = connection.execute("SELECT name FROM ledger.node").fetchone()
    if row != (node,):
        raise Unsafe(f"This ledger belongs to the node {row and row[0]}, not to {node}.")


def bind_keys(connection: Session, keyring: Keyring) -> None:
    """Remember which keys belong to this ledger, so that a lost keys folder is not mistaken for erased people.

    Raises:
        Unsafe: the ledger was written with other keys.
    """
    check = hmac.digest(keyring.index_key, b"ncen keyring check v1", "sha256")
    connection.execute("UPDATE ledger.node SET key_check = %s WHERE key_check IS NULL", [check])
    row = connection.execute("SELECT key_check FROM ledger.node").fetchone()
    if row is None or not hmac.compare_digest(row[0], check):
        raise Unsafe(
            f"The keys in {keyring.folder} are not those of this ledger:"
            " restore the keys folder from its copy, or no person in it can be read."
        )
