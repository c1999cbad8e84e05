"""How far each projection has come, what it could not apply, and what it is asked to tell again.

`read.position` holds a row for the tables that serve and, while a projection is rebuilt, one for the fresh tables in
the schema `read_fresh`. A crash of the server empties all of this and the tables together (they are UNLOGGED): then
they are built again, and answer nothing before they have reached what they owe. What is parked names the entry and the
type of the error, never its text, which may be personal.
"""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from projections.catalogue import PROJECTIONS
from projections.projection import Projection

Connection = psycopg.Connection[tuple[Any, ...]]

PREPARE_LOCK = 0x6E63656E_02  # "ncen", 2
NOT_THERE = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.FeatureNotSupported,
)
"""What a server says of tables that are not made yet, are of an older program, or that it cannot have as a standby."""
SHORTEST_WAIT_S = 0.002
LONGEST_WAIT_S = 0.1

SCHEMA = """
CREATE SCHEMA IF NOT EXISTS read;
CREATE SCHEMA IF NOT EXISTS read_fresh;
CREATE UNLOGGED TABLE IF NOT EXISTS read.position (
    name text NOT NULL,
    is_fresh boolean NOT NULL,
    version integer NOT NULL,
    position bigint NOT NULL,
    tables text[] NOT NULL,
    owed bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (name, is_fresh)
) WITH (fillfactor = 20);
CREATE UNLOGGED TABLE IF NOT EXISTS read.parked (
    projection text NOT NULL,
    is_fresh boolean NOT NULL,
    position bigint NOT NULL,
    record_id uuid NOT NULL,
    error text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, is_fresh, position)
);
CREATE UNLOGGED TABLE IF NOT EXISTS read.retelling (
    projection text NOT NULL,
    is_fresh boolean NOT NULL,
    record_id uuid NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (projection, is_fresh, record_id)
);
ALTER TABLE read.position ADD COLUMN IF NOT EXISTS owed bigint NOT NULL DEFAULT 0;
ALTER TABLE read.position SET UNLOGGED;
ALTER TABLE read.parked SET UNLOGGED;
ALTER TABLE read.retelling SET UNLOGGED;
"""
"""The last four are for what an older program made. `owed` is how far the ledger was sealed when tables were made that
serve before they are full: below it they answer nothing."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """How far a projection has come; `rebuilding_at` is the position of its fresh tables while it is rebuilt.

    It answers when `is_built`: not before tables that were lost with a crash, or never made, hold all that they owe.
    """

    name: str
    version: int
    position: int
    lag: int
    parked: int
    rebuilding_at: int | None = None
    is_built: bool = True


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that a projection could not apply, or that follows one of the same record that it could not apply."""

    projection: str
    position: int
    record_id: UUID
    error: str
    at: datetime


def prepare(connection: Connection) -> None:
    """Make the schemas and the tables of positions if there are none."""
    found = connection.execute(
        "SELECT relpersistence = 'u' FROM pg_class WHERE oid = to_regclass('read.retelling')"
    ).fetchone()
    if found == (True,):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [PREPARE_LOCK])
        connection.execute(SCHEMA)


def positions(database_url: str) -> list[Position]:
    """How far each projection has come, by name; empty where no projector has run, or none since a crash.

    Raises:
        psycopg.OperationalError: the server cannot be reached.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        try:
            return [
                Position(
                    name=name,
                    version=version,
                    position=position,
                    lag=max(0, head - position),
                    parked=parked,
                    rebuilding_at=fresh,
                    is_built=is_built,
                )
                for name, version, position, fresh, parked, head, is_built in connection.execute(
                    """SELECT name, coalesce(live.version, fresh.version), coalesce(live.position, 0), fresh.position,
                        (SELECT count(*) FROM read.parked WHERE projection = name AND NOT parked.is_fresh),
                        (SELECT coalesce(max(position), 0) FROM ledger.sealed),
                        coalesce(live.position >= live.owed, false)
                    FROM (SELECT * FROM read.position WHERE NOT is_fresh) AS live
                    FULL JOIN (SELECT * FROM read.position WHERE is_fresh) AS fresh USING (name) ORDER BY name"""
                )
            ]
        except NOT_THERE:
            return []


def parked(database_url: str) -> list[Parked]:
    """What projections could not apply, oldest first."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        try:
            return [
                Parked(projection=projection, position=position, record_id=record_id, error=error, at=at)
                for projection, position, record_id, error, at in connection.execute(
                    "SELECT projection, position, record_id, error, at FROM read.parked WHERE NOT is_fresh"
                    " ORDER BY position, projection"
                )
            ]
        except NOT_THERE:
            return []


def wait_for(database_url: str, position: int, timeout_seconds: float, names: Sequence[str] | None = None) -> bool:
    """Wait until projections (all of them, unless named) have reached a position; False when time ran out.

    A position is reached when every entry up to it has been applied or parked: who has waited reads their own writes.
    """
    wanted = list(PROJECTIONS if names is None else names)
    deadline = time.monotonic() + timeout_seconds
    pause_s = SHORTEST_WAIT_S
    with psycopg.connect(database_url, autocommit=True) as connection:
        while not _have_reached(connection, wanted, position):
            if time.monotonic() >= deadline:
                return False
            time.sleep(min(pause_s, max(0.0, deadline - time.monotonic())))
            pause_s = min(pause_s * 1.5, LONGEST_WAIT_S)
    return True


def _have_reached(connection: Connection, names: Sequence[str], position: int) -> bool:
    try:
        row = connection.execute(
            "SELECT count(*) FROM read.position WHERE NOT is_fresh AND name = ANY(%s)"
            " AND position >= greatest(owed, %s)",
            [list(names), position],
        ).fetchone()
    except NOT_THERE:
        return False
    return row == (len(names),)


def retry(database_url: str, projection: str | None = None, record_id: UUID | None = None) -> int:
    """Ask for parked records to be told again, after the cause was mended; gives the number of records.

    The running projector does it as soon as it can; what fails again stays parked.
    """
    with psycopg.connect(database_url) as connection:
        prepare(connection)
        asked = connection.execute(
            "INSERT INTO read.retelling (projection, is_fresh, record_id, position)"
            " SELECT DISTINCT projection, false, record_id, 0::bigint FROM read.parked WHERE NOT is_fresh"
            " AND projection = coalesce(%s, projection) AND record_id = coalesce(%s, record_id)"
            " ON CONFLICT DO NOTHING",
            [projection, record_id],
        )
        return asked.rowcount


def retell(database_url: str, record_ids: Iterable[UUID]) -> None:
    """Ask for records to be told again from the ledger as it now reads: what can no longer be read drops out.

    This is how an erasure reaches the tables, those that are just being built included. Each projection does it once it
    has passed the position that is sealed now, so that nothing read before the erasure can be written after it.
    """
    with psycopg.connect(database_url) as connection:
        prepare(connection)
        connection.execute(
            "INSERT INTO read.retelling (projection, is_fresh, record_id, position)"
            " SELECT name, is_fresh, record_id, (SELECT coalesce(max(position), 0) FROM ledger.sealed)"
            " FROM read.position, unnest(%s::uuid[]) AS record_id"
            " ON CONFLICT (projection, is_fresh, record_id) DO UPDATE SET position = excluded.position",
            [list(record_ids)],
        )


def rebuild(database_url: str, name: str) -> None:
    """Ask for a projection to be built anew beside its tables, which go on serving until the fresh ones take over.

    Raises:
        KeyError: there is no such projection.
    """
    with psycopg.connect(database_url) as connection:
        prepare(connection)
        start_fresh(connection, PROJECTIONS[name])


def head(connection: Connection) -> int:
    """How far the ledger is sealed."""
    row = connection.execute("SELECT coalesce(max(position), 0) FROM ledger.sealed").fetchone()
    return int(row[0]) if row else 0


def start_fresh(connection: Connection, projection: Projection) -> None:
    """Begin fresh tables at position zero; whatever was begun before is begun anew."""
    with connection.transaction():
        connection.execute("DELETE FROM read.parked WHERE projection = %s AND is_fresh", [projection.NAME])
        connection.execute(
            "INSERT INTO read.position (name, is_fresh, version, position, tables) VALUES (%s, true, %s, -1, '{}')"
            " ON CONFLICT (name, is_fresh) DO UPDATE SET version = excluded.version, position = -1",
            [projection.NAME, projection.VERSION],
        )
