"""What stands for the SQL of feeds that begin anew: losses, what is put aside at either side, and openings."""

from collections.abc import Sequence
from typing import Any

from exchange import feed_epoch, inbox, inbox_epoch, relay
from tests.simulation.disk import Row, Transaction
from tests.simulation.session import Answer, Session, statement
from tests.simulation.tables_exchange import of_peer, some


def _all_of(transaction: Transaction, table: str, whose: str) -> list[tuple[Any, Row]]:
    rows = transaction.rows(table)
    return [(key, rows[key]) for key in sorted(rows, key=str) if key[0] == whose]


def _take_away(transaction: Transaction, table: str, whose: str) -> Answer:
    return [], sum(transaction.delete(table, key) for key, _ in _all_of(transaction, table, whose))


# -- the sender


@statement(feed_epoch.NEWEST_LOSS)
def newest_loss(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """The serial of the newest loss that was acknowledged, 0 where none was."""
    return [(max((key[0] for key in transaction.rows("loss")), default=0),)], 1


@statement(feed_epoch.REACHED)
def reached(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Whether the peer has signed for lines that are not here."""
    loss, peer = parameters
    feed = transaction.get("feed", peer)
    assert feed is not None
    epoch = feed["epoch"]
    signed = {key[1] for key, _ in _all_of(transaction, "receipt_before", peer)}
    newest = max((key[1] for key, _ in _all_of(transaction, "receipt", peer)), default=None)
    is_lost = epoch > 0
    if newest is not None:
        receipt, line = transaction.get("receipt", peer, newest), transaction.get("feed_out", peer, newest)
        assert receipt is not None
        head = str((line and line["checkpoint"]) or "?").partition("\n\n")[0]
        is_lost = receipt["note"].partition("\n\n")[0] != head
    is_lost = is_lost or feed["is_parted"] or any(one > epoch for one in signed)
    is_due = all(one < loss for one in signed) and is_lost
    return [(is_due,)], 1


@statement("UPDATE exchange.feed SET is_parted = false WHERE peer = %s")
def not_parted(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The feed and what its peer has are the same again."""
    return [], int(transaction.update("feed", tuple(parameters), is_parted=False))


@statement(relay.PARTED)
def parted_from(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Whether a peer has as a bare hash what was not held back here."""
    peer, epoch, numbers = parameters
    transaction.lock("feed", peer)
    row = transaction.get("feed", peer)
    assert row is not None
    lines = [transaction.get("feed_out", peer, number) for number in numbers]
    if row["epoch"] != epoch or not any(line is not None and line["held"] is None for line in lines):
        return [], 0
    return [], int(transaction.update("feed", (peer,), is_parted=True))


@statement(inbox.HELD)
def held(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The newest lines that came as a bare hash."""
    origin, most = parameters
    rows = [row["number"] for row in of_peer(transaction, "inbox", origin) if row["outcome"] == "held"]
    return [(number,) for number in sorted(rows, reverse=True)[:most]], len(rows)


HEAD, LINES, RECEIPTS = feed_epoch.PUT_ASIDE


@statement(HEAD)
def put_head_aside(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Put the head of a feed aside."""
    at, peer = parameters
    row, sealed = transaction.get("feed", peer), transaction.get("seal_state")
    assert row is not None
    assert sealed is not None
    kept = {"size": sealed["size"], "number": row["number"], "frontier": row["frontier"], "ended_at": at}
    transaction.insert("feed_before", (peer, row["epoch"]), kept)
    return [], 1


@statement(LINES)
def put_lines_aside(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Put its lines aside."""
    epoch, peer = parameters
    for key, row in _all_of(transaction, "feed_out", peer):
        transaction.insert("feed_out_before", (peer, epoch, key[1]), row)
    return [], 1


@statement(RECEIPTS)
def put_receipts_aside(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Put its receipts aside."""
    epoch, peer = parameters
    for key, row in _all_of(transaction, "receipt", peer):
        transaction.put("receipt_before", (peer, epoch, key[1]), row)
    return [], 1


@statement("DELETE FROM exchange.feed_out WHERE peer = %s")
def no_lines(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """No line is in the outbox."""
    return _take_away(transaction, "feed_out", *parameters)


@statement("DELETE FROM exchange.receipt WHERE peer = %s")
def no_receipts(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Nothing was signed for."""
    return _take_away(transaction, "receipt", *parameters)


@statement("DELETE FROM exchange.again WHERE peer = %s")
def nothing_again(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Nothing waits to be decided again."""
    return _take_away(transaction, "again", *parameters)


@statement("SELECT record_id, state FROM exchange.matter WHERE peer = %s")
def all_matters(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """All that is remembered."""
    rows = [(key[1], row["state"]) for key, row in _all_of(transaction, "matter", *parameters)]
    return rows, len(rows)


@statement("UPDATE exchange.matter SET state = %s WHERE peer = %s AND record_id = %s")
def remember_only(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """What is remembered of a record from now on."""
    state, *key = parameters
    return [], int(transaction.update("matter", tuple(key), state=state))


@statement(feed_epoch.MAY_HOLD)
def may_hold(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Whether a record was there when an epoch of the feed ended."""
    peer, record_id = parameters
    most = max((row["size"] for _, row in _all_of(transaction, "feed_before", peer)), default=0)
    found = any(
        key[0] <= most and row["record_id"] == record_id for key, row in transaction.rows("sealed").items() if row
    )
    return [(found,)], 1


@statement("SELECT epoch FROM exchange.feed WHERE peer = %s FOR SHARE")
def epoch_of(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The epoch of a feed, held."""
    transaction.lock("feed", *parameters)
    return some(transaction.get("feed", *parameters), "epoch")


@statement(
    "INSERT INTO exchange.receipt_before (peer, epoch, size, note, received_at) VALUES (%s, %s, %s, %s, %s) "
    "ON CONFLICT DO NOTHING"
)
def store_another(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Keep a receipt of another epoch."""
    *key, note, _at = parameters
    transaction.put("receipt_before", tuple(key), {"note": note})
    return [], 1


ACKNOWLEDGE = "INSERT INTO ledger.loss (serial) VALUES (%s)"
"""The statement of a loss, as far as feeds go by it."""
ACCEPT = "INSERT INTO exchange.peer_loss (origin, serial, accepted_at) VALUES (%s, %s, %s)"
"""The acceptance of a loss by an administrator."""


@statement(ACKNOWLEDGE)
def acknowledge(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """A loss is acknowledged."""
    transaction.put("loss", tuple(parameters), {})
    return [], 1


# -- the receiver


@statement(ACCEPT)
def accept(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """A loss is accepted."""
    *key, at = parameters
    transaction.put("peer_loss", tuple(key), {"accepted_at": at})
    return [], 1


@statement(inbox.RESUME)
def resume(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """A stopped feed goes on."""
    row = transaction.get("inbox_feed", *parameters)
    if row is None or row["stopped"] is None:
        return [], 0
    return [], int(transaction.update("inbox_feed", tuple(parameters), stopped=None))


@statement(inbox_epoch.KEEP)
def keep_opening(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Keep the statement that a feed begins anew, if it is news."""
    epoch, note, _at, origin, _same = parameters
    row = transaction.get("inbox_feed", origin)
    assert row is not None
    if row["epoch"] < epoch and transaction.get("inbox_opening", origin, epoch) is None:
        transaction.put("inbox_opening", (origin, epoch), {"note": note, "accepted_at": None})
    return [], 1


@statement(inbox_epoch.DUE)
def due(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The epoch that is to begin, if its loss was accepted."""
    origin, ledger = parameters
    row = transaction.get("inbox_feed", origin)
    assert row is not None
    found = [
        key[1]
        for key, told in _all_of(transaction, "inbox_opening", origin)
        if key[1] > max(row["epoch"], row["passed"])
        and (told["accepted_at"] is not None or transaction.get("peer_loss", ledger, key[1]) is not None)
    ]
    return ([(max(found),)], 1) if found else ([], 0)


@statement("SELECT FROM exchange.inbox_feed WHERE origin = %s FOR UPDATE")
def hold_inbox(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Hold an inbox."""
    transaction.lock("inbox_feed", *parameters)
    return [()], 1


TAKEN_HEAD, TAKEN_LINES, TAKEN_RECEIPTS = inbox_epoch.PUT_ASIDE


@statement(TAKEN_HEAD)
def put_inbox_aside(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Put the head of what was received aside."""
    at, origin = parameters
    row = transaction.get("inbox_feed", origin)
    assert row is not None
    transaction.insert("inbox_feed_before", (origin, row["epoch"]), row | {"ended_at": at})
    return [], 1


def _aside(transaction: Transaction, table: str, origin: str) -> Answer:
    feed = transaction.get("inbox_feed", origin)
    assert feed is not None
    for key, row in _all_of(transaction, table, origin):
        transaction.insert(f"{table}_before", (origin, feed["epoch"], key[1]), row)
    return [], 1


@statement(TAKEN_LINES)
def put_taken_aside(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Put the lines aside."""
    return _aside(transaction, "inbox", *parameters)


@statement(TAKEN_RECEIPTS)
def put_given_aside(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Put our receipts aside."""
    return _aside(transaction, "inbox_checkpoint", *parameters)


@statement("DELETE FROM exchange.inbox WHERE origin = %s")
def nothing_taken(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Nothing came yet."""
    return _take_away(transaction, "inbox", *parameters)


@statement("DELETE FROM exchange.inbox_checkpoint WHERE origin = %s")
def nothing_given(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """We have signed for nothing yet."""
    return _take_away(transaction, "inbox_checkpoint", *parameters)


@statement(inbox_epoch.BEGIN)
def begin(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Begin the feed anew."""
    epoch, origin = parameters
    fresh = {"number": 0, "frontier": b"", "checkpoint": None, "judged": None, "stopped": None}
    return [], int(transaction.update("inbox_feed", (origin,), epoch=epoch, **fresh))


@statement(
    "SELECT DISTINCT record_id FROM exchange.inbox WHERE record_id = ANY(%s) AND origin = %s "
    "AND outcome = 'quarantined' AND reason = 'differs'"
)
def parted(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The records of which a line was set aside because it differs from what came before."""
    record_ids, origin = parameters
    found = {
        row["record_id"]
        for row in of_peer(transaction, "inbox", origin)
        if row["record_id"] in record_ids and (row["outcome"], row["reason"]) == ("quarantined", "differs")
    }
    return [(one,) for one in sorted(found)], len(found)
