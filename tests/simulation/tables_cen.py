"""What stands for the SQL of the exporter to the CEN: open entries of seizures, and what was told of them."""

from collections.abc import Sequence
from typing import Any

from exchange import cen
from tests.simulation.disk import Row, Transaction
from tests.simulation.session import Answer, Session, statement
from tests.simulation.tables_exchange import new_tables as exchange_tables

PEER = "CEN"


def new_tables() -> list[tuple[str, dict[Any, Row]]]:
    """The exchange's tables, with the CEN as peer."""
    return [*exchange_tables(PEER), ("told", {}), ("cell", {})]


@statement("SELECT node FROM exchange.peer WHERE role = 'cen' ORDER BY node")
def peers(_: Session, __: Transaction, ___: Sequence[Any]) -> Answer:
    """Which CEN nodes are peers."""
    return [(PEER,)], 1


@statement("SELECT size FROM ledger.seal_state")
def size(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """How many entries are sealed."""
    state = transaction.get("seal_state")
    return [(state and state["size"],)], 1


@statement(cen.OPEN_ENTRIES)
def open_entries(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The next open entries of our own seizures: through the view in which no personal one stands."""
    after, until, node, most = parameters
    found: list[tuple[Any, ...]] = []
    for position in range(after + 1, until + 1):
        sealed = transaction.get("sealed", position)
        row = sealed and transaction.get("entry", sealed["record_id"], sealed["version"])
        is_open = row and not row["personal"] and row["provenance"] is None and row["name"].startswith("seizure.")
        if row and is_open and row["node"] == node and len(found) < most:
            found.append((position, row["record_id"], row["body"]))
    return found, len(found)


@statement("SELECT record_id, state FROM exchange.told WHERE peer = %s AND record_id = ANY(%s)")
def told(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """What was told of seizures."""
    peer, record_ids = parameters
    rows = [(one, transaction.get("told", peer, one)) for one in dict.fromkeys(record_ids)]
    return [(one, row["state"]) for one, row in rows if row is not None], len(rows)


@statement("SELECT seizures FROM exchange.cell WHERE peer = %s AND cell = %s")
def cell(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How many seizures lie in a cell."""
    row = transaction.get("cell", *parameters)
    return ([], 0) if row is None else ([(row["seizures"],)], 1)


@statement(
    "INSERT INTO exchange.told (peer, record_id, state) VALUES (%s, %s, %s) "
    "ON CONFLICT (peer, record_id) DO UPDATE SET state = excluded.state"
)
def put_told(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """What was told of a seizure."""
    *key, state = parameters
    transaction.put("told", tuple(key), {"state": state})
    return [], 1


@statement(
    "INSERT INTO exchange.cell (peer, cell, seizures) VALUES (%s, %s, %s) "
    "ON CONFLICT (peer, cell) DO UPDATE SET seizures = excluded.seizures"
)
def put_cell(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How many seizures lie in a cell."""
    *key, seizures = parameters
    transaction.put("cell", tuple(key), {"seizures": seizures})
    return [], 1
