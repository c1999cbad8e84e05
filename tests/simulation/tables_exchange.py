"""What stands for the SQL of the exchange: premises, decisions, the outbox of a feed, and its relay."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from exchange import decisions, relay
from tests.simulation.disk import Key, Row, Transaction
from tests.simulation.session import Answer, Rows, Session, copy_into, statement

FEED = ("position", "number", "frontier", "sweep", "recheck", "premises", "generation", "epoch")
SENT = ("number", "position", "record_id", "core", "boxed_key", "leaf_hash", "proof", "checkpoint", "premise_id")
DECIDED = tuple(decisions.COLUMNS.split(", "))


def new_tables(peer: str) -> list[tuple[str, dict[Key, Row]]]:
    """The exchange's tables, with one peer."""
    feed = dict(zip(FEED, (0, 0, b"", None, None, b"", 0, 0), strict=True)) | {"is_parted": False}
    taken = {"number": 0, "frontier": b"", "checkpoint": None, "premises": b"", "judged": None, "stopped": None}
    taken |= {"epoch": 0, "passed": 0}
    names = [
        "premise",
        "premise_walk",
        "matter",
        "again",
        "decision",
        "feed_out",
        "receipt",
        "inbox",
        "inbox_checkpoint",
        "withdrawn",
        "erasure_notice",
        "erasure_confirmation",
        "inbox_before",
    ]
    return [*((name, {}) for name in names), ("feed", {(peer,): feed}), ("inbox_feed", {(peer,): taken})]


def some(row: Row | None, *columns: str) -> Answer:
    """A row of these columns, or none."""
    return ([], 0) if row is None else ([tuple(row[column] for column in columns)], 1)


def of_peer(transaction: Transaction, table: str, peer: str, after: int = 0) -> list[Row]:
    """The rows of a table whose key is peer and number, by number."""
    rows = transaction.rows(table)
    return [rows[key] for key in sorted(key for key in rows if key[0] == peer and key[1] > after)]


# -- exchange.premises


@statement("INSERT INTO exchange.premise_walk (position) VALUES (0) ON CONFLICT DO NOTHING")
def begin_walk(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """Begin at the first position, where nobody has."""
    if transaction.get("premise_walk") is None:
        transaction.lock("premise_walk")
        if transaction.get("premise_walk") is None:
            transaction.insert("premise_walk", (), {"position": 0})
    return [], 1


@statement("SELECT position FROM exchange.premise_walk FOR UPDATE")
def lock_walk(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """Up to where premises are known, held."""
    transaction.lock("premise_walk")
    return some(transaction.get("premise_walk"), "position")


@statement("SELECT position FROM exchange.premise_walk")
def walk(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """Up to where premises are known."""
    return some(transaction.get("premise_walk"), "position")


@statement("UPDATE exchange.premise_walk SET position = %s")
def walked(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Premises are known up to there."""
    return [], int(transaction.update("premise_walk", (), position=parameters[0]))


@statement(
    "SELECT DISTINCT s.record_id FROM ledger.sealed s JOIN ledger.entry e USING (record_id, version) "
    "WHERE s.position > %s AND s.position <= %s AND e.name LIKE 'premise.%%' AND e.provenance IS NULL"
)
def changed_premises(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The premises of our own of which something was sealed between two positions."""
    after, until = parameters
    found: dict[UUID, None] = {}
    for position in range(after + 1, until + 1):
        sealed = transaction.get("sealed", position)
        entry = sealed and transaction.get("entry", sealed["record_id"], sealed["version"])
        if entry and entry["name"].startswith("premise.") and entry["provenance"] is None:
            found[entry["record_id"]] = None
    return [(record_id,) for record_id in found], len(found)


@statement(
    "INSERT INTO exchange.premise (record_id, version, state) VALUES (%s, %s, %s) "
    "ON CONFLICT (record_id) DO UPDATE SET version = excluded.version, state = excluded.state "
    "WHERE premise.version < excluded.version"
)
def put_premise(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How a premise stands now."""
    record_id, version, state = parameters
    transaction.lock("premise", record_id)
    known = transaction.get("premise", record_id)
    if known is None or known["version"] < version:
        transaction.put("premise", (record_id,), {"version": version, "state": state})
    return [], 1


@statement("SELECT record_id, state FROM exchange.premise ORDER BY record_id")
def premises(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """All premises."""
    rows = transaction.rows("premise")
    return [(key[0], rows[key]["state"]) for key in sorted(rows)], len(rows)


# -- exchange.outbox and exchange.feed


@statement(
    "SELECT position, number, frontier, sweep, recheck, premises, generation, epoch "
    "FROM exchange.feed WHERE peer = %s FOR UPDATE"
)
def load_feed(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How far a feed has got, held."""
    transaction.lock("feed", *parameters)
    return some(transaction.get("feed", *parameters), *FEED)


@statement(
    "UPDATE exchange.feed SET position = %s, number = %s, frontier = %s, sweep = %s, recheck = %s, "
    "premises = %s, generation = %s, epoch = %s WHERE peer = %s"
)
def save_feed(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How far it has got now."""
    *values, peer = parameters
    return [], int(transaction.update("feed", (peer,), **dict(zip(FEED, values, strict=True))))


@statement("SELECT coalesce(max(size), 0) FROM exchange.receipt WHERE peer = %s")
def receipted(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Up to which number there is a receipt."""
    return [(max((key[1] for key in transaction.rows("receipt") if key[0] == parameters[0]), default=0),)], 1


@copy_into(f"COPY exchange.feed_out (peer, {', '.join(SENT)}) FROM STDIN (FORMAT BINARY)")
def copy_lines(transaction: Transaction, rows: Rows) -> None:
    """COPY of lines into the outbox."""
    for peer, *values in rows:
        row = dict(zip(SENT, values, strict=True))
        transaction.insert("feed_out", (peer, row["number"]), row | {"held": None})


@statement(
    "SELECT number, position, leaf_hash FROM exchange.feed_out "
    "WHERE peer = %s AND number > %s AND held IS NULL ORDER BY number LIMIT %s"
)
def not_held(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Lines after a number that are not held back."""
    peer, after, most = parameters
    rows = [row for row in of_peer(transaction, "feed_out", peer, after) if row["held"] is None][:most]
    return [(row["number"], row["position"], row["leaf_hash"]) for row in rows], len(rows)


@statement("UPDATE exchange.feed_out SET held = %s WHERE peer = %s AND number = %s")
def hold(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Hold a line back."""
    held, *key = parameters
    return [], int(transaction.update("feed_out", tuple(key), held=held))


@statement(
    "DELETE FROM exchange.again WHERE (peer, record_id) IN "
    "(SELECT peer, record_id FROM exchange.again WHERE peer = %s ORDER BY record_id LIMIT %s) "
    "RETURNING record_id"
)
def take_again(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Take the next records that are to be decided again off the queue."""
    peer, most = parameters
    keys = sorted(key for key in transaction.rows("again") if key[0] == peer)[:most]
    taken = [(key[1],) for key in keys if transaction.delete("again", key)]
    return taken, len(taken)


# -- exchange.memory


@statement("SELECT record_id, state FROM exchange.matter WHERE peer = %s AND record_id = ANY(%s)")
def matters(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """What is remembered of records."""
    peer, record_ids = parameters
    found = [(record_id, transaction.get("matter", peer, record_id)) for record_id in record_ids]
    return [(record_id, row["state"]) for record_id, row in found if row is not None], len(found)


@statement(
    "INSERT INTO exchange.matter (peer, record_id, state) VALUES (%s, %s, %s) "
    "ON CONFLICT (peer, record_id) DO UPDATE SET state = excluded.state"
)
def remember(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Remember of a record."""
    *key, state = parameters
    transaction.put("matter", tuple(key), {"state": state})
    return [], 1


@statement(
    "INSERT INTO exchange.again (peer, record_id) "
    "SELECT DISTINCT %s, d.record_id FROM exchange.decision d "
    "WHERE d.peer = %s AND d.record_id = ANY(%s) AND d.reason IS NOT NULL ON CONFLICT DO NOTHING"
)
def put_again(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Queue those records of which something was once withheld."""
    peer, _same, record_ids = parameters
    decided = of_peer(transaction, "decision", peer)
    withheld = {row["record_id"] for row in decided if row["reason"] is not None} & set(record_ids)
    for record_id in sorted(withheld):
        if transaction.get("again", peer, record_id) is None:
            transaction.put("again", (peer, record_id), {})
    return [], len(withheld)


# -- exchange.decisions


def _newest(rows: Sequence[Row]) -> Answer:
    ordered = sorted(rows, key=lambda row: (row["position"], -row["decision"]))
    newest = [next(same) for _, same in groupby(ordered, key=lambda row: row["position"])]
    return [tuple(row[column] for column in DECIDED) for row in newest], len(newest)


@statement(f"{decisions.NEWEST} AND record_id = ANY(%s){decisions.IN_ORDER}")
def newest_of(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The newest decisions about all entries of some records."""
    peer, record_ids = parameters
    return _newest([row for row in of_peer(transaction, "decision", peer) if row["record_id"] in record_ids])


@statement(f"{decisions.NEWEST} AND position > %s AND position <= %s{decisions.IN_ORDER}")
def newest_between(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The newest decisions about the entries of a range of positions."""
    peer, after, until = parameters
    return _newest([row for row in of_peer(transaction, "decision", peer, after) if row["position"] <= until])


@statement(
    "SELECT position, max(decision) FROM exchange.decision WHERE peer = %s AND position = ANY(%s) GROUP BY position"
)
def latest_numbers(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How many decisions there are about some entries."""
    peer, positions = parameters
    latest: dict[int, int] = {}
    for row in of_peer(transaction, "decision", peer):
        if row["position"] in positions:
            latest[row["position"]] = max(row["decision"], latest.get(row["position"], 0))
    return list(latest.items()), len(latest)


@copy_into(f"COPY exchange.decision (peer, {decisions.COLUMNS}) FROM STDIN (FORMAT BINARY)")
def copy_decisions(transaction: Transaction, rows: Rows) -> None:
    """COPY of decisions."""
    for peer, *values in rows:
        row = dict(zip(DECIDED, values, strict=True))
        transaction.insert("decision", (peer, row["position"], row["decision"]), row)


# -- exchange.relay


@statement(relay.PLAN)
def plan(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How a feed stands, for its relay."""
    row = transaction.get("feed", *parameters)
    assert row is not None
    is_beyond = row["is_parted"] or any(
        key[0] == parameters[0] and key[1] > row["epoch"]
        for key, kept in transaction.rows("receipt_before").items()
        if kept
    )
    plain = (row["number"], row["generation"], row["recheck"] is None, row["premises"], row["epoch"])
    return [(*plain, is_beyond)], 1


@statement(relay._CHECK_AGAIN)
def check_again(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Let lines be checked again from a number on, where the peer has signed for more."""
    number, peer, _same, _again = parameters
    transaction.lock("feed", peer)
    row = transaction.get("feed", peer)
    signed_for = max((key[1] for key in transaction.rows("receipt") if key[0] == peer), default=0)
    if row is None or number >= signed_for or (row["recheck"] is not None and row["recheck"] <= number):
        return [], 0
    return [], int(transaction.update("feed", (peer,), recheck=number))


@statement(relay._IS_SIGNED_FOR)
def is_signed_for(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Whether a receipt is for the feed as it stands here."""
    receipt, line = transaction.get("receipt", *parameters), transaction.get("feed_out", *parameters)
    if receipt is None:
        return [], 0
    told, ours = (one.partition("\n\n")[0] for one in (receipt["note"], (line and line["checkpoint"]) or "?"))
    return [(told == ours,)], 1


@statement(relay.MESSAGES)
def messages(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The next lines to send."""
    peer, after, most = parameters
    columns = ("number", "core", "boxed_key", "leaf_hash", "proof", "checkpoint", "held")
    rows, feed = of_peer(transaction, "feed_out", peer, after)[:most], transaction.get("feed", peer)
    assert feed is not None or not rows
    epoch = feed["epoch"] if feed is not None else 0
    return [(epoch, *(row[column] for column in columns)) for row in rows], len(rows)


@statement(
    "INSERT INTO exchange.receipt (peer, size, note, quarantined, stopped, received_at) "
    "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (peer, size) DO UPDATE "
    "SET quarantined = excluded.quarantined, stopped = excluded.stopped"
)
def store_receipt(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Keep a receipt."""
    peer, size, note, quarantined, stopped, _at = parameters
    transaction.lock("receipt", peer, size)
    known = transaction.get("receipt", peer, size) or {"note": note}
    transaction.put("receipt", (peer, size), known | {"quarantined": quarantined, "stopped": stopped})
    return [], 1


@statement("SELECT box_key FROM exchange.peer WHERE node = %s")
def box_key_of(_: Session, _transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The box key of a peer, which nobody replaces here."""
    from tests.simulation.nodes import card

    return [(card(parameters[0]).box_key.public_bytes_raw(),)], 1
