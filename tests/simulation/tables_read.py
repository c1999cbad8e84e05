"""What stands for the SQL of the read side: positions, parked entries, kept states, and a tally of what was told."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from tests.simulation.disk import Transaction
from tests.simulation.session import Answer, Cursor, Rows, Session, copy_into, statement

FOLDED = "folded"
"""The table of kept states."""
TALLY = "tally"
"""The table of what was told, and how often."""
TELL = (
    "INSERT INTO tally (record_id, version, told) VALUES (%s, %s, 1)"
    " ON CONFLICT (record_id, version) DO UPDATE SET told = tally.told + 1"
)
REACH_UNGUARDED = "UPDATE read.position SET position = %s WHERE name = %s AND is_fresh = %s"
"""What no runner says: it moves the position wherever another has moved it meanwhile."""


@statement("SELECT relpersistence = 'u' FROM pg_class WHERE oid = to_regclass('read.retelling')")
def is_prepared(_: Session, __: Transaction, ___: Sequence[Any]) -> Answer:
    """Whether the tables are there: they are."""
    return [(True,)], 1


@statement(
    "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE nspname IN ('read', 'read_fresh') AND relname = ANY(%s) AND relkind = 'r' AND relpersistence = 'p')"
)
def are_logged(_: Session, __: Transaction, ___: Sequence[Any]) -> Answer:
    """Whether an older program made the tables: it did not."""
    return [(False,)], 1


@statement('SET LOCAL search_path = "read"')
def set_path(_: Session, transaction: Transaction, ___: Sequence[Any]) -> Answer:
    """Mean the tables that serve."""
    transaction.path = "read"
    return [], -1


@statement('SET LOCAL search_path = "read_fresh"')
def set_fresh_path(_: Session, transaction: Transaction, ___: Sequence[Any]) -> Answer:
    """Mean the fresh tables."""
    transaction.path = "read_fresh"
    return [], -1


def in_path(transaction: Transaction, table: str) -> str:
    """What a table is called here that is named without a schema."""
    return in_schema(transaction.path, table)


def in_schema(schema: str, table: str) -> str:
    """What a table of a schema is called here."""
    return table if schema == "read" else f"{schema}.{table}"


@statement("SELECT version, position FROM read.position WHERE name = %s AND is_fresh = %s")
def position(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Which version the tables are of and which position they have reached."""
    row = transaction.get("position", *parameters)
    return ([] if row is None else [(row["version"], row["position"])]), 1


@statement("UPDATE read.position SET position = %s WHERE name = %s AND is_fresh = %s AND position = %s")
def reach(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Move the position from where it was believed to be."""
    reached, name, is_fresh, before = parameters
    transaction.lock("position", name, is_fresh)
    row = transaction.get("position", name, is_fresh)
    if row is None or row["position"] != before:
        return [], 0
    transaction.update("position", (name, is_fresh), position=reached)
    return [], 1


@statement(REACH_UNGUARDED)
def reach_unguarded(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Move the position from wherever it is: only a mutant does this."""
    reached, name, is_fresh = parameters
    return [], int(transaction.update("position", (name, is_fresh), position=reached))


@statement("SELECT DISTINCT record_id FROM read.parked WHERE projection = %s AND is_fresh = %s")
def parked_records(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The records of which something is parked."""
    rows = transaction.rows("parked").items()
    found = {row["record_id"] for key, row in rows if list(key[:2]) == list(parameters)}
    return [(record_id,) for record_id in sorted(found)], len(found)


@statement(
    "INSERT INTO read.parked (projection, is_fresh, position, record_id, error) VALUES (%s, %s, %s, %s, %s)"
    " ON CONFLICT (projection, is_fresh, position) DO UPDATE SET error = excluded.error, at = excluded.at"
)
def park(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Park an entry."""
    *key, record_id, error = parameters
    transaction.put("parked", tuple(key), {"record_id": record_id, "error": error})
    return [], 1


@statement(
    "SELECT record_id FROM read.retelling WHERE projection = %s AND is_fresh = %s AND position <= %s LIMIT %s",
)
def retelling(_: Session, __: Transaction, ___: Sequence[Any]) -> Answer:
    """The records that are to be told again: here nobody asks for any."""
    return [], 0


# -- projections.folding


def _ids(literal: str) -> list[UUID]:
    return [UUID(text) for text in literal[1:-1].split(",") if text]


@statement(f"SELECT record_id, version, state FROM {FOLDED} WHERE record_id = ANY(%s::uuid[])")
def kept(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The kept states of some records."""
    rows = [transaction.get(in_path(transaction, FOLDED), record_id) for record_id in _ids(parameters[0])]
    found = [(row["record_id"], row["version"], row["state"]) for row in rows if row is not None]
    return found, len(found)


@statement(f'SELECT "record_id", "version", "state" FROM "{FOLDED}" LIMIT 0')
def columns(_: Session, __: Transaction, ___: Sequence[Any]) -> Answer:
    """No rows: only the types of the columns are wanted."""
    return [], 0


Cursor.DESCRIPTIONS[f'SELECT "record_id", "version", "state" FROM "{FOLDED}" LIMIT 0'] = [
    SimpleNamespace(type_code=oid) for oid in (2950, 23, 17)
]


@copy_into(f'COPY "{FOLDED}" ("record_id", "version", "state") FROM STDIN (FORMAT binary)')
def keep(transaction: Transaction, rows: Rows) -> None:
    """Add states of records that were not met before."""
    for record_id, version, state in rows:
        key = UUID(bytes=record_id)
        row = {"record_id": key, "version": int.from_bytes(version, "big"), "state": state}
        transaction.insert(in_path(transaction, FOLDED), (key,), row)


@statement(
    f"UPDATE {FOLDED} AS stood SET version = told.version, state = told.state"
    " FROM unnest(%s::uuid[], %s::integer[], %s::bytea[]) AS told (record_id, version, state)"
    " WHERE stood.record_id = told.record_id"
)
def change(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Put states in place of those that stood."""
    states = [bytes.fromhex(text.strip('"').replace("\\", "")[1:]) for text in parameters[2][1:-1].split(",")]
    versions = [int(text) for text in parameters[1][1:-1].split(",")]
    told = list(zip(_ids(parameters[0]), versions, states, strict=True))
    for record_id, version, state in told:
        transaction.update(in_path(transaction, FOLDED), (record_id,), version=version, state=state)
    return [], len(told)


@statement(TELL)
def tell(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Count an entry as told once more."""
    key, tally = tuple(parameters), in_path(transaction, TALLY)
    transaction.lock(tally, *key)
    row = transaction.get(tally, *key)
    transaction.put(tally, key, {"told": 1 if row is None else row["told"] + 1})
    return [], 1
