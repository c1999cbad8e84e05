"""What stands for the SQL of the prover: recomputing in one snapshot, checkpoints, and how checking stands."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ledger import checkpoints, prover, recomputing, tree, verify
from ledger.binary import UNIX_TO_PG_US
from ledger.clock import to_us
from tests.simulation.disk import Row, Transaction
from tests.simulation.session import EMPTY, Answer, Session, statement

EMPTY.add("ledger.subtree")  # the ledgers here are smaller than the smallest that is kept

Place = tuple[int, int]


def new_tables() -> list[tuple[str, dict[Any, Any]]]:
    """What the ledger has beside those of `tables_ledger`: counting transactions has begun once."""
    return [("numbering", {(1,): {}}), ("checkpoint", {}), ("proof_state", {}), ("fault", {})]


@statement("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
def repeatable(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """See from now on what is committed now."""
    transaction.look_once()
    return [], -1


@statement("SELECT set_config(name, 'off', true) FROM unnest(%s::text[]) AS name")
@statement("SELECT set_config(name, 'on', true) FROM unnest(%s::text[]) AS name")
def set_planner(_: Session, __: Transaction, ___: Sequence[Any]) -> Answer:
    """The planner's settings: nothing here is planned."""
    return [], -1


# -- the tree


def _state(transaction: Transaction) -> Row:
    state = transaction.get("seal_state")
    assert state is not None
    return state


def _sealed(transaction: Transaction, after: int, until: int | None = None) -> list[Row]:
    rows = (row for (position,), row in transaction.rows("sealed").items() if after < position)
    return sorted((row for row in rows if until is None or row["position"] <= until), key=lambda row: row["position"])


@statement(tree.Tree.SIZE)
def size(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """How many are sealed."""
    return [(_state(transaction)["size"],)], 1


@statement(tree.Tree.LEAVES)
def leaves(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The leaves of a range of positions."""
    rows = [(row["leaf"],) for row in _sealed(transaction, *parameters)]
    return rows, len(rows)


# -- recomputing


def _place(row: Row) -> bytes:
    ends = row["version"].to_bytes(4, "big")
    return bytes(row["xid"].to_bytes(8, "big") + row["ordinal"].to_bytes(4, "big") + row["record_id"].bytes + ends)


def _order(row: Row) -> Place:
    return row["xid"], row["ordinal"]


def _line(row: Row) -> tuple[Any, ...]:
    at = (to_us(row["recorded_at"]) - UNIX_TO_PG_US).to_bytes(8, "big", signed=True)
    told = row["attribution_salt"] + row["attribution"] if row["attribution_hash"] is None else None
    return (_place(row), at, row["personal"], row["node"], row["name"], row["body"], told, row["attribution_hash"])


@statement(recomputing._BEFORE)
def before(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The place of the line at a position."""
    row = transaction.get("sealed", *parameters)
    return ([], 0) if row is None else ([(_place(row),)], 1)


@statement(recomputing._SEALED)
def sealed(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """What was sealed after a position."""
    after, most = parameters
    rows = [(row["position"], _place(row), row["leaf"]) for row in _sealed(transaction, after)[:most]]
    return rows, len(rows)


@statement(recomputing._LINES)
def lines(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The lines between two places, both of them too."""
    *places, most = parameters
    first, last = tuple(places[:2]), tuple(places[2:])
    found = [row for row in transaction.rows("entry").values() if first <= _order(row) <= last]
    rows = [_line(row) for row in sorted(found, key=_order)[:most]]
    return rows, len(rows)


@statement(recomputing._JOINED)
def joined(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """What was sealed between two positions, each with its line if that is there."""
    first, last = parameters
    found = []
    for row in _sealed(transaction, first - 1, last):
        entry = transaction.get("entry", row["record_id"], row["version"])
        found.append((row["position"], _place(row), row["leaf"], *((None,) * 8 if entry is None else _line(entry))))
    return found, len(found)


# -- verifying


@statement(verify._STATE)
def seal_state(session: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """Where sealing stands, the number of the transaction as text."""
    state = _state(transaction)
    is_same = session.server.system_identifier == state["system_identifier"]
    reached = str(state["reached_xid"]), state["reached_ordinal"]
    return [(state["size"], state["frontier"], *reached, is_same)], 1


@statement("SELECT first_position FROM ledger.numbering")
def numbering(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """Where transactions began to be counted."""
    return list(transaction.rows("numbering")), 1


def _versions(transaction: Transaction, after: int) -> list[tuple[Any, ...]]:
    """Own lines that do not follow upon the version before, or lie before it."""
    records: dict[UUID, list[Row]] = {}
    for row in _sealed(transaction, 0):
        records.setdefault(row["record_id"], []).append(row)
    found = []
    for rows in records.values():
        known, place = 0, 0
        for row in sorted(rows, key=lambda row: row["version"]):
            is_later = place > row["position"]
            entry = transaction.get("entry", row["record_id"], row["version"])
            is_own = entry is not None and entry["node"] == transaction.server.name
            if max(row["position"], place) > after and (is_later or (is_own and row["version"] > known + 1)):
                found.append((row["position"], row["record_id"], row["version"], known, is_later))
            known, place = row["version"], row["position"]
    return sorted(found)


@statement(verify._VERSIONS)
def versions(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """Versions that do not ascend, anywhere."""
    rows = _versions(transaction, 0)
    return rows, len(rows)


@statement(verify._VERSIONS_SINCE)
def versions_since(_: Session, transaction: Transaction, parameters: Any) -> Answer:  # noqa: ANN401  # by name
    """Versions that do not ascend, with what came since a position."""
    rows = _versions(transaction, parameters["since"])
    return rows, len(rows)


def _unsealed(transaction: Transaction, after: Place) -> list[Row]:
    known = transaction.rows("sealed_record")
    entries = transaction.rows("entry").items()
    return sorted((row for key, row in entries if key not in known and _order(row) > after), key=_order)


def _out_of_place(transaction: Transaction, reached: Place, after: Place) -> Answer:
    """Lines that lie unsealed behind the sealer, or claim a transaction that has not been yet."""
    found = [
        (row["record_id"], row["version"], _order(row) <= reached)
        for row in _unsealed(transaction, after)
        if _order(row) <= reached or row["xid"] >= transaction.server.next_xid
    ]
    return found, len(found)


@statement(verify._UNSEALED)
def unsealed(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Lines out of place, anywhere."""
    xid, ordinal = parameters
    return _out_of_place(transaction, (int(xid), ordinal), (0, -1))


@statement(verify._UNSEALED_SINCE)
def unsealed_since(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Lines out of place, behind what was looked at before."""
    xid, ordinal, looked_at, at = parameters
    return _out_of_place(transaction, (int(xid), ordinal), (int(looked_at), at))


@statement(verify._WAITING)
def waiting(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How many lines lie behind what was sealed, and how many of them claim what has not been."""
    xid, ordinal = parameters
    after = [row for row in transaction.rows("entry").values() if _order(row) > (int(xid), ordinal)]
    return [(len(after), sum(row["xid"] >= transaction.server.next_xid for row in after))], 1


@statement(verify._COUNT)
def count(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """How many lines are not sealed, by count."""
    return [(len(transaction.rows("entry")) - len(transaction.rows("sealed")),)], 1


@statement(verify._COUNT_SINCE)
def count_since(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How many lines behind what was sealed are not."""
    xid, ordinal = parameters
    return [(len(_unsealed(transaction, (int(xid), ordinal))),)], 1


@statement(verify._REACHED)
def reached_at(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The place of the line at a position, the number of its transaction as text."""
    row = transaction.get("sealed", *parameters)
    return ([], 0) if row is None else ([(str(row["xid"]), row["ordinal"])], 1)


# -- checkpoints, and how checking stands


@statement(checkpoints._STORE)
def store(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Keep a checkpoint, unless one of this size and key is kept."""
    entries, key_id, note = parameters
    transaction.lock("checkpoint", entries, key_id)
    if transaction.get("checkpoint", entries, key_id) is None:
        transaction.put("checkpoint", (entries, key_id), {"note": note})
    return [], 1


@statement(checkpoints._NOTES)
def notes(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The checkpoints from a size on."""
    kept = sorted(transaction.rows("checkpoint").items())
    rows = [(entries, row["note"]) for (entries, _key), row in kept if entries >= parameters[0]]
    return rows, len(rows)


@statement(checkpoints._NEWEST)
def newest(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """The checkpoint of the largest size."""
    kept = sorted(transaction.rows("checkpoint").items())[-1:]
    return [(entries, row["note"]) for (entries, _key), row in kept], len(kept)


@statement(prover._STATE)
def proof_state(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Store how checking stands."""
    run, entries, faults, first = parameters
    transaction.put("proof_state", (run,), {"size": entries, "faults": faults, "first_fault": first})
    return [], 1


@statement(prover._FAULT)
def fault(_: Session, transaction: Transaction, parameters: Any) -> Answer:  # noqa: ANN401  # by name
    """Store a fault once."""
    key = tuple(parameters[name] for name in ("position", "record", "version", "what"))
    if transaction.get("fault", *key) is None:
        transaction.put("fault", key, {})
    return [], 1
