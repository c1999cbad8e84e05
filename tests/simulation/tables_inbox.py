"""What stands for the SQL of an inbox: batches taken in, receipts given, and quarantine judged again."""

from collections.abc import Sequence
from typing import Any

from exchange import inbox
from tests.simulation.disk import Transaction
from tests.simulation.session import Answer, Rows, Session, copy_into, statement
from tests.simulation.tables_exchange import of_peer, some

TAKEN = tuple(inbox._COLUMNS.split(", "))


@statement("SELECT number, frontier, stopped, epoch FROM exchange.inbox_feed WHERE origin = %s")
def inbox_stands(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How far the inbox has got."""
    return some(transaction.get("inbox_feed", *parameters), "number", "frontier", "stopped", "epoch")


@statement("SELECT number, frontier, stopped, epoch FROM exchange.inbox_feed WHERE origin = %s FOR UPDATE")
def lock_inbox(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How far the inbox has got, held."""
    transaction.lock("inbox_feed", *parameters)
    return some(transaction.get("inbox_feed", *parameters), "number", "frontier", "stopped", "epoch")


@copy_into(f"COPY exchange.inbox ({inbox._COLUMNS}) FROM STDIN (FORMAT BINARY)")
def copy_taken(transaction: Transaction, rows: Rows) -> None:
    """COPY of lines into the inbox."""
    for values in rows:
        row = dict(zip(TAKEN, values, strict=True))
        transaction.insert("inbox", (row["origin"], row["number"]), row)


@statement(inbox.REACHED)
def inbox_reached(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How far it has got now."""
    number, frontier, checkpoint, _ledger, _before, origin = parameters  # no hour passes here after an acceptance
    moved = {"number": number, "frontier": frontier, "checkpoint": checkpoint}
    return [], int(transaction.update("inbox_feed", (origin,), **moved))


@statement("INSERT INTO exchange.inbox_checkpoint (origin, size, note) VALUES (%s, %s, %s)")
def keep_receipt(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Our receipt."""
    origin, size, note = parameters
    transaction.insert("inbox_checkpoint", (origin, size), {"note": note, "stored_at": None})
    return [], 1


@statement(
    "UPDATE exchange.inbox_feed SET stopped = %s, evidence = %s, stopped_at = %s WHERE origin = %s AND stopped IS NULL"
)
def stop(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Stop the feed."""
    reason, _evidence, _at, origin = parameters
    transaction.lock("inbox_feed", origin)
    row = transaction.get("inbox_feed", origin)
    if row is None or row["stopped"] is not None:
        return [], 0
    return [], int(transaction.update("inbox_feed", (origin,), stopped=reason))


@statement(
    "SELECT f.number, c.note, f.stopped, f.epoch, (SELECT count(*) FROM exchange.inbox i "
    "WHERE i.origin = f.origin AND i.outcome = 'quarantined') FROM exchange.inbox_feed f "
    "LEFT JOIN exchange.inbox_checkpoint c ON c.origin = f.origin AND c.size = f.number "
    "WHERE f.origin = %s"
)
def standing(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """What the sender is told."""
    (origin,) = parameters
    row = transaction.get("inbox_feed", origin)
    assert row is not None
    receipt = transaction.get("inbox_checkpoint", origin, row["number"])
    quarantined = sum(line["outcome"] == "quarantined" for line in of_peer(transaction, "inbox", origin))
    return [(row["number"], receipt and receipt["note"], row["stopped"], row["epoch"], quarantined)], 1


@statement("UPDATE exchange.inbox_checkpoint SET stored_at = %s WHERE origin = %s AND size = %s AND stored_at IS NULL")
def receipt_stored(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The sender has our receipt."""
    at, *key = parameters
    row = transaction.get("inbox_checkpoint", *key)
    if row is None or row["stored_at"] is not None:
        return [], 0
    return [], int(transaction.update("inbox_checkpoint", tuple(key), stored_at=at))


@statement("UPDATE exchange.inbox_feed SET premises = %s, judged = 0 WHERE origin = %s AND premises <> %s")
def judge_anew(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Begin to judge again where the premises stand otherwise."""
    stand, origin, _same = parameters
    row = transaction.get("inbox_feed", origin)
    if row is None or row["premises"] == stand:
        return [], 0
    return [], int(transaction.update("inbox_feed", (origin,), premises=stand, judged=0))


_JUDGED = "SELECT judged, epoch FROM exchange.inbox_feed WHERE origin = %s AND judged IS NOT NULL AND stopped IS NULL"


def _judged(transaction: Transaction, origin: str) -> Answer:
    row = transaction.get("inbox_feed", origin)
    is_due = row is not None and row["judged"] is not None and row["stopped"] is None
    return some(row if is_due else None, "judged", "epoch")


@statement(_JUDGED)
def judged(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Up to which number was judged again."""
    return _judged(transaction, *parameters)


@statement(f"{_JUDGED} FOR UPDATE")
def lock_judged(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The same, held."""
    transaction.lock("inbox_feed", *parameters)
    return _judged(transaction, *parameters)


@statement("UPDATE exchange.inbox_feed SET judged = %s WHERE origin = %s")
def judged_until(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Up to there, or all."""
    until, origin = parameters
    return [], int(transaction.update("inbox_feed", (origin,), judged=until))


@statement(
    "SELECT number, leaf_hash, proof, core, boxed_key FROM exchange.inbox "
    "WHERE origin = %s AND outcome = 'quarantined' AND number > %s ORDER BY number LIMIT %s"
)
def quarantined(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The next that are quarantined."""
    origin, after, most = parameters
    rows = [row for row in of_peer(transaction, "inbox", origin, after) if row["outcome"] == "quarantined"][:most]
    columns = ("number", "leaf_hash", "proof", "core", "boxed_key")
    return [tuple(row[column] for column in columns) for row in rows], len(rows)


@statement("UPDATE exchange.inbox SET outcome = %s, reason = %s, boxed_key = %s WHERE origin = %s AND number = %s")
def judge(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """What has become of a line now."""
    outcome, reason, boxed, *key = parameters
    return [], int(transaction.update("inbox", tuple(key), outcome=outcome, reason=reason, boxed_key=boxed))


@statement(
    "SELECT number, core, boxed_key FROM exchange.inbox WHERE origin = %s AND outcome = 'quarantined' "
    "AND boxed_key IS NOT NULL"
)
def quarantined_with_keys(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The quarantined lines that hold a key."""
    rows = [row for row in of_peer(transaction, "inbox", *parameters) if row["outcome"] == "quarantined"]
    found = [(row["number"], row["core"], row["boxed_key"]) for row in rows if row["boxed_key"] is not None]
    return found, len(found)


@statement("UPDATE exchange.inbox SET boxed_key = NULL WHERE origin = %s AND number = ANY(%s)")
def drop_keys(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Take keys out of lines."""
    origin, numbers = parameters
    done = sum(transaction.update("inbox", (origin, number), boxed_key=None) for number in numbers)
    return [], done
