"""What stands for the SQL of the ledger: inserting, sealing, reading, and taking in what a peer disclosed.

Each function is named by the statement it stands for, which is taken from our own code wherever it has a name there.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ledger import insertion, line, reader, received, sealer, stand
from ledger.binary import UNIX_TO_PG_US
from ledger.clock import from_us, to_us
from tests.simulation.disk import Row, Tables, Transaction
from tests.simulation.session import (
    Answer,
    Rows,
    Session,
    array_elements,
    as_text,
    copy_into,
    statement,
)

Field = Callable[[bytes], Any]


def new_tables(node: str) -> Tables:
    """The ledger's tables as `ledger.schema` makes them."""
    state = {
        "size": 0,
        "reached_xid": 0,
        "reached_ordinal": -1,
        "frontier": b"",
        "system_identifier": 1,
        "is_restored": False,
    }
    empty: Tables = {table: {} for table in ("entry", "sealed", "subtree", "subject_key", "erasure")}
    return empty | {"node": {(): {"name": node}}, "seal_state": {(): state}}


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "big", signed=True)


def _moment(raw: bytes) -> datetime:
    return from_us(_number(raw) + UNIX_TO_PG_US)


def _uuid(raw: bytes) -> UUID:
    return UUID(bytes=raw)


def _flag(raw: bytes) -> bool:
    return raw != b"\x00"


ENTRY: tuple[tuple[str, Field], ...] = (
    ("record_id", _uuid),
    ("version", _number),
    ("recorded_at", _moment),
    ("node", bytes.decode),
    ("name", bytes.decode),
    ("personal", _flag),
    ("body", bytes),
    ("attribution", bytes),
    ("attribution_salt", bytes),
    ("attribution_hash", bytes),
    ("key_id", _uuid),
    ("provenance", bytes),
)


def insert_entry(transaction: Transaction, ordinal: int, values: Iterable[bytes | None]) -> None:
    """INSERT of one line, in its binary form."""
    row: Row = {
        column: None if value is None else read(value) for (column, read), value in zip(ENTRY, values, strict=True)
    }
    key = row["record_id"], row["version"]
    transaction.insert("entry", key, row | {"xid": transaction.number(), "ordinal": ordinal})


# -- ledger.insertion


@statement(insertion.INSERT_ONE)
def insert_one(_: Session, transaction: Transaction, values: Sequence[Any]) -> Answer:
    """INSERT of one line."""
    insert_entry(transaction, 0, values)
    return [], 1


@statement(insertion.INSERT_MANY)
def insert_many(_: Session, transaction: Transaction, values: Sequence[Any]) -> Answer:
    """INSERT of lines that come as arrays, WITH ORDINALITY."""
    lines = list(zip(*map(array_elements, values), strict=True))
    for ordinal, fields in enumerate(lines):
        insert_entry(transaction, ordinal, fields)
    return [], len(lines)


@copy_into(insertion.COPY)
def copy_entries(transaction: Transaction, rows: Rows) -> None:
    """COPY of lines, each with its ordinal first."""
    for ordinal, *values in rows:
        insert_entry(transaction, _number(ordinal), values)


# -- ledger.sealer


def _seal_state(transaction: Transaction) -> Row:
    state = transaction.get("seal_state")
    assert state is not None
    return state


@statement(sealer._STATE)
def seal_state(session: Session, transaction: Transaction, _: Sequence[Any]) -> Answer:
    """Where sealing stands."""
    state = _seal_state(transaction)
    is_same = session.server.system_identifier == state["system_identifier"]
    columns = ("size", "reached_xid", "reached_ordinal", "frontier", "is_restored")
    return [(is_same, *(state[column] for column in columns))], 1


def _unsealed(transaction: Transaction, parameters: Sequence[Any], horizon: int | None) -> Answer:
    xid, ordinal, most = parameters
    found = [
        row
        for row in transaction.rows("entry").values()
        if (row["xid"], row["ordinal"]) > (xid, ordinal) and (horizon is None or row["xid"] < horizon)
    ]
    found.sort(key=lambda row: (row["xid"], row["ordinal"]))
    assert len(found) <= most
    return [_line(row) for row in found], len(found)


def _line(row: Row) -> tuple[Any, ...]:
    recorded_at = (to_us(row["recorded_at"]) - UNIX_TO_PG_US).to_bytes(8, "big", signed=True)
    columns = ("personal", "body", "attribution", "attribution_salt", "attribution_hash")
    place = row["xid"].to_bytes(8, "big"), row["ordinal"]
    what = row["record_id"].bytes, row["version"], recorded_at, row["node"], row["name"]
    return (*place, *what, *(row[column] for column in columns))


@statement(sealer._LINES + sealer._ENDED + sealer._IN_ORDER)
def lines_behind_the_horizon(session: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The next lines whose transactions, and all before them, have ended: e.xid < pg_snapshot_xmin(...)."""
    return _unsealed(transaction, parameters, session.server.oldest_running())


@statement(sealer._LINES + sealer._IN_ORDER)
def lines_that_can_be_seen(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The next lines, whatever may still come before them: only a mutant asks for this."""
    return _unsealed(transaction, parameters, None)


@statement(sealer._MOVE)
def move(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """UPDATE of ledger.seal_state where it still stands as the sealer found it."""
    size, xid, ordinal, frontier, *before = parameters
    transaction.lock("seal_state")
    state = _seal_state(transaction)
    if [state["size"], state["reached_xid"], state["reached_ordinal"]] != before:
        return [], 0
    transaction.update("seal_state", (), size=size, reached_xid=xid, reached_ordinal=ordinal, frontier=frontier)
    return [], 1


@copy_into(sealer._COPY)
def copy_sealed(transaction: Transaction, rows: Rows) -> None:
    """COPY of positions; the primary key is the position, (record, version) is unique too."""
    for raw in rows:
        position, xid, ordinal, record_id, version, leaf = raw
        row = {
            "position": _number(position),
            "xid": _number(xid),
            "ordinal": _number(ordinal),
            "record_id": _uuid(record_id),
            "version": _number(version),
            "leaf": bytes(leaf),
        }
        transaction.insert("sealed_record", (row["record_id"], row["version"]), row)
        transaction.insert("sealed", (row["position"],), row)


@statement(sealer._NOTIFY)
def notify(_session: Session, _: Transaction, __: Sequence[Any]) -> Answer:
    """Wakes those who listen; who waits here looks by itself."""
    return [(None,)], 1


# -- reading


def _joined(transaction: Transaction, sealed: Iterable[Row], columns: str) -> Rows:
    names = [column.strip().split(".") for column in columns.split(",")]
    found = []
    for seal in sealed:
        entry = transaction.get("entry", seal["record_id"], seal["version"])
        assert entry is not None
        sides = {"s": seal, "e": entry}
        found.append(tuple(sides[side][column] for side, column in names))
    return found


def sealed_between(transaction: Transaction, after: int, until: int) -> list[Row]:
    """The sealed rows of a range of positions; they have no gaps."""
    found, position = [], after + 1
    while position <= until and (row := transaction.get("sealed", position)) is not None:
        found.append(row)
        position += 1
    return found


@statement(reader._HEAD)
def head(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """The highest sealed position."""
    return [(_seal_state(transaction)["size"],)], 1


READ = f"SELECT {line.ENTRY_COLUMNS} {reader._FROM} {reader._RANGE}"
"""What stands for `reader._READ`, whose one column is framed by PostgreSQL: the same entries, column by column."""


@statement(READ)
def read(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The entries of a range of positions."""
    rows = _joined(transaction, sealed_between(transaction, *parameters), line.ENTRY_COLUMNS)
    return rows, len(rows)


@statement(reader._READ_STORED)
def read_stored(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The lines of a range of positions."""
    rows = _joined(transaction, sealed_between(transaction, *parameters), line.STORED_COLUMNS)
    return rows, len(rows)


@statement(reader._RECORD)
def record(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The sealed entries of a record, by version."""
    mine = [row for row in transaction.rows("sealed").values() if row["record_id"] == parameters[0]]
    rows = _joined(transaction, sorted(mine, key=lambda row: row["version"]), line.ENTRY_COLUMNS)
    return rows, len(rows)


@statement(stand._QUERY)
def stands(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The entries of records, sealed or not, and their keys, as far as they are there."""
    mine = sorted(_entries_of(transaction, parameters[0]), key=lambda row: (row["record_id"], row["version"]))
    columns = [column.strip().split(".")[1] for column in line.ENTRY_COLUMNS.split(",")]
    rows = [tuple({"position": None, **row}[column] for column in columns) + _key_of(transaction, row) for row in mine]
    return rows, len(rows)


def _key_of(transaction: Transaction, row: Row) -> tuple[Any, ...]:
    key = transaction.get("subject_key", row["key_id"]) if row["key_id"] is not None else None
    return tuple(key and key[column] for column in ("subject_tag", "version", "epoch", "wrapped"))


def _entries_of(transaction: Transaction, record_ids: Iterable[UUID]) -> list[Row]:
    wanted = set(record_ids)
    return [row for row in transaction.rows("entry").values() if row["record_id"] in wanted]


# -- ledger.received


@statement("SELECT name FROM ledger.node")
def node_name(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """Whose ledger it is."""
    row = transaction.get("node")
    return [(row["name"],)] if row else [], 1


@statement(received._KNOWN)
def known(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """What is here of some records."""
    columns = as_text(received._KNOWN).removeprefix("SELECT ").partition(" FROM ")[0].split(", ")
    rows = [tuple(row[column] for column in columns) for row in _entries_of(transaction, parameters[0])]
    return rows, len(rows)


@statement("SELECT count(*) FROM ledger.entry WHERE xid = pg_current_xact_id()")
def own_lines(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """How many lines this transaction has written."""
    mine = transaction.number()
    return [(sum(row["xid"] == mine for row in transaction.rows("entry").values()),)], 1


@statement("SELECT record_id, version, node FROM ledger.entry WHERE record_id = ANY(%s)")
def here(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Which entries of some records are here."""
    rows = [(row["record_id"], row["version"], row["node"]) for row in _entries_of(transaction, parameters[0])]
    return rows, len(rows)


@statement("SET plan_cache_mode = force_generic_plan")
@statement(
    "SELECT set_config(name, 'off', false) FROM unnest(%s::text[]) AS name",
)
def set_planner(_: Session, __: Transaction, ___: Sequence[Any]) -> Answer:
    """The planner's settings: nothing here is planned."""
    return [], -1
