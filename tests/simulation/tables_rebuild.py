"""What stands for the SQL of making tables of the read side, filling fresh ones, and putting them in their place.

A table that was made is a row of `made`; whoever makes, drops or moves one holds that row until the transaction ends.
"""

from collections.abc import Sequence
from typing import Any

from psycopg import errors

from projections import fresh
from tests.simulation.disk import Transaction
from tests.simulation.session import Answer, Session, statement
from tests.simulation.tables_read import FOLDED, TALLY, in_schema

TABLES = {
    FOLDED: "CREATE TABLE folded (record_id uuid PRIMARY KEY, version integer NOT NULL, state bytea NOT NULL)"
    " WITH (fillfactor = 80)",
    TALLY: "CREATE TABLE tally (record_id uuid, version integer, told integer, PRIMARY KEY (record_id, version))",
}
UNLOGGED = (
    "position",
    "parked",
    "made",
    *(in_schema(where, name) for where in ("read", "read_fresh") for name in TABLES),
)
"""What no log holds, and a crash empties."""


@statement("SELECT coalesce(max(position), 0) FROM ledger.sealed")
def head(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """How far the ledger is sealed."""
    return [(len(transaction.rows("sealed")),)], 1


# -- positions


@statement("DELETE FROM read.parked WHERE projection = %s AND is_fresh")
def drop_parked_fresh(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Forget what is parked of fresh tables."""
    return _drop_parked(transaction, parameters[0], is_fresh=True)


@statement("DELETE FROM read.parked WHERE projection = %s AND NOT is_fresh")
def drop_parked(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Forget what is parked of serving tables."""
    return _drop_parked(transaction, parameters[0], is_fresh=False)


def _drop_parked(transaction: Transaction, name: str, *, is_fresh: bool) -> Answer:
    keys = [key for key in sorted(transaction.rows("parked")) if key[:2] == (name, is_fresh)]
    return [], sum(transaction.delete("parked", key) for key in keys)


@statement(
    "INSERT INTO read.position (name, is_fresh, version, position, tables) VALUES (%s, true, %s, -1, '{}')"
    " ON CONFLICT (name, is_fresh) DO UPDATE SET version = excluded.version, position = -1"
)
def begin(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Let fresh tables be begun."""
    name, version = parameters
    transaction.lock("position", name, True)  # noqa: FBT003  # a part of a key
    known = transaction.get("position", name, True) or {"tables": []}  # the same
    transaction.put("position", (name, True), known | {"version": version, "position": -1})
    return [], 1


@statement(
    "INSERT INTO read.position (name, is_fresh, version, position, tables, owed)"
    " SELECT %s, false, %s, 0, %s, coalesce(max(position), 0) FROM ledger.sealed"
)
def serve(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Begin tables that serve at once."""
    name, version, tables = parameters
    transaction.insert("position", (name, False), {"version": version, "position": 0, "tables": tables})
    return [], 1


@statement("UPDATE read.position SET version = %s, position = 0, tables = %s WHERE name = %s AND is_fresh")
def made(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The fresh tables are made, and empty."""
    version, tables, name = parameters
    return [], int(transaction.update("position", (name, True), version=version, position=0, tables=tables))


# -- tables


def _drop(transaction: Transaction, schema: str, name: str) -> Answer:
    transaction.lock("made", schema, name)
    transaction.delete("made", (schema, name))
    table = in_schema(schema, name)
    for key in sorted(transaction.rows(table)):
        transaction.delete(table, key)
    return [], -1


def _of_table(name: str) -> None:
    @statement(f'DROP TABLE IF EXISTS "{name}"')
    def drop(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
        return _drop(transaction, transaction.path, name)

    @statement(f'DROP TABLE IF EXISTS read."{name}"')
    def drop_serving(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
        return _drop(transaction, "read", name)

    @statement(TABLES[name].replace("CREATE TABLE", "CREATE UNLOGGED TABLE"))
    def create(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
        transaction.insert("made", (transaction.path, name), {})
        return [], -1

    @statement(f'ALTER TABLE "{name}" ALTER COLUMN "state" SET STATISTICS 0')
    @statement(f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY')
    @statement(f'ANALYZE "read_fresh"."{name}"')
    def leave(_: Session, __: Transaction, ___: Sequence[Any]) -> Answer:
        return [], -1

    @statement(f'ALTER TABLE read_fresh."{name}" SET SCHEMA read')
    def move(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
        if not transaction.delete("made", ("read_fresh", name)):
            raise errors.UndefinedTable(f"there is no table read_fresh.{name}")
        transaction.insert("made", ("read", name), {})
        table = in_schema("read_fresh", name)
        for key, row in sorted(transaction.rows(table).items()):
            transaction.delete(table, key)
            transaction.insert(name, key, row)
        return [], -1


for _name in TABLES:
    _of_table(_name)


# -- the swap


@statement(f"SET LOCAL lock_timeout = '{fresh.SWAP_WAIT}'")
def swap_wait(_: Session, __: Transaction, ___: Sequence[Any]) -> Answer:
    """How long the swap waits; here it waits for the end of others."""
    return [], -1


@statement("SELECT tables FROM read.position WHERE name = %s AND NOT is_fresh")
def tables_of(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Which tables serve."""
    row = transaction.get("position", parameters[0], False)  # a part of a key
    return ([], 0) if row is None else ([(row["tables"],)], 1)


@statement("DELETE FROM read.position WHERE name = %s AND NOT is_fresh")
def drop_position(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Forget where the serving tables stood."""
    return [], int(transaction.delete("position", (parameters[0], False)))


@statement("UPDATE read.position SET is_fresh = false WHERE name = %s")
def take_over(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Let the position of the fresh tables be that of those that serve, wherever it stands."""
    return _take_over(transaction, parameters[0], None)


@statement("UPDATE read.position SET is_fresh = false WHERE name = %s AND position = %s")
def take_over_at(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The same, where it stands as was believed."""
    return _take_over(transaction, *parameters)


def _take_over(transaction: Transaction, name: str, at: int | None) -> Answer:
    transaction.lock("position", name, True)  # noqa: FBT003  # a part of a key
    row = transaction.get("position", name, True)  # the same
    if row is None or at not in {None, row["position"]}:
        return [], 0
    transaction.delete("position", (name, True))
    transaction.insert("position", (name, False), row)
    return [], 1


@statement("UPDATE read.parked SET is_fresh = false WHERE projection = %s")
def keep_parked(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Let what is parked of the fresh tables be parked of those that serve."""
    rows = [(key, row) for key, row in sorted(transaction.rows("parked").items()) if key[0] == parameters[0]]
    for key, row in rows:
        transaction.delete("parked", key)
        transaction.insert("parked", (key[0], False, key[2]), row)
    return [], len(rows)


@statement(
    "INSERT INTO read.retelling SELECT projection, false, record_id, position FROM read.retelling"
    " WHERE projection = %s AND is_fresh ON CONFLICT DO NOTHING"
)
@statement("DELETE FROM read.retelling WHERE projection = %s AND is_fresh")
def retelling(_: Session, __: Transaction, ___: Sequence[Any]) -> Answer:
    """Let what is to be told again be told in those that serve: here nobody asks for any."""
    return [], 0
