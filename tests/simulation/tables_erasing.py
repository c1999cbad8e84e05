"""What stands for the SQL of erasures among nodes: lines withdrawn, notices, and confirmations."""

from collections.abc import Sequence
from typing import Any

from tests.simulation.disk import Row, Transaction
from tests.simulation.session import Answer, Session, statement
from tests.simulation.tables_exchange import of_peer
from tests.simulation.tables_vault import COLUMNS, listed


@statement(
    f"SELECT {COLUMNS} FROM ledger.erasure WHERE erased_at IS NOT NULL AND NOT EXISTS "
    "(SELECT FROM exchange.withdrawn w WHERE w.peer = %s AND w.erasure_id = erasure.erasure_id) "
    "ORDER BY asked_at, erasure_id"
)
def not_withdrawn(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Erasures whose lines are still in the feed."""
    (peer,) = parameters

    def keep(row: Row) -> bool:
        return row["erased_at"] is not None and transaction.get("withdrawn", peer, row["erasure_id"]) is None

    return listed(transaction, keep)


@statement(
    "SELECT o.number, o.leaf_hash FROM ledger.entry e "
    "JOIN ledger.sealed s ON s.record_id = e.record_id AND s.version = e.version "
    "JOIN exchange.decision d ON d.peer = %s AND d.position = s.position AND d.number IS NOT NULL "
    "JOIN exchange.feed_out o ON o.peer = d.peer AND o.number = d.number AND o.position = d.position "
    "WHERE e.record_id = ANY(%s) AND e.key_id = ANY(%s) AND o.boxed_key IS NOT NULL"
)
def lines_of(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The lines that carry an entry key of these keys."""
    peer, records, keys = parameters
    found = []
    for line in of_peer(transaction, "feed_out", peer):
        sealed = transaction.get("sealed", line["position"])
        entry = sealed and transaction.get("entry", sealed["record_id"], sealed["version"])
        is_of = entry and entry["record_id"] in records and entry["key_id"] in keys
        if is_of and line["boxed_key"] is not None:
            found.append((line["number"], line["leaf_hash"]))
    return found, len(found)


@statement("UPDATE exchange.feed_out SET held = %s, boxed_key = NULL WHERE peer = %s AND number = %s")
def withdraw_line(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Take the key out of a line."""
    held, *key = parameters
    return [], int(transaction.update("feed_out", tuple(key), held=held, boxed_key=None))


@statement(
    "INSERT INTO exchange.withdrawn (peer, erasure_id, lines, withdrawn_at) VALUES (%s, %s, %s, %s) "
    "ON CONFLICT DO NOTHING"
)
def withdrawn(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The lines of an erasure are withdrawn."""
    *key, lines, _at = parameters
    if transaction.get("withdrawn", *key) is None:
        transaction.put("withdrawn", tuple(key), {"lines": lines})
    return [], 1


@statement("INSERT INTO exchange.again (peer, record_id) VALUES (%s, %s) ON CONFLICT DO NOTHING")
def again(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Have a record decided again."""
    if transaction.get("again", *parameters) is None:
        transaction.put("again", tuple(parameters), {})
    return [], 1


@statement(
    "SELECT EXISTS (SELECT FROM ledger.erasure e JOIN exchange.decision d "
    "ON d.peer = %s AND d.record_id = ANY(e.records) AND d.number IS NOT NULL WHERE e.subject = %s)"
)
def was_told(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Whether anything of a record of the erased has gone to a peer."""
    peer, subject = parameters
    records = {
        one for row in transaction.rows("erasure").values() if row["subject"] == subject for one in row["records"]
    }
    told = any(
        row["record_id"] in records and row["number"] is not None for row in of_peer(transaction, "decision", peer)
    )
    return [(told,)], 1


@statement(
    "INSERT INTO exchange.erasure_notice (peer, subject, number, noticed_at) VALUES (%s, %s, %s, %s) "
    "ON CONFLICT (peer, subject) DO UPDATE SET number = excluded.number WHERE erasure_notice.confirmed_at IS NULL"
)
def noticed(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """A peer is being told."""
    peer, subject, number, at = parameters
    transaction.lock("erasure_notice", peer, subject)
    known = transaction.get("erasure_notice", peer, subject)
    if known is None or known["confirmed_at"] is None:
        row = known or {"noticed_at": at, "confirmed_at": None, "confirmation": None}
        transaction.put("erasure_notice", (peer, subject), row | {"number": number})
    return [], 1


@statement(
    "UPDATE exchange.erasure_notice SET confirmed_at = %s, confirmation = %s "
    "WHERE peer = %s AND subject = %s AND number = %s AND confirmed_at IS NULL"
)
def confirmed(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """A peer has signed for it."""
    at, text, peer, subject, number = parameters
    transaction.lock("erasure_notice", peer, subject)
    row = transaction.get("erasure_notice", peer, subject)
    if row is None or row["number"] != number or row["confirmed_at"] is not None:
        return [], 0
    return [], int(transaction.update("erasure_notice", (peer, subject), confirmed_at=at, confirmation=text))


@statement(
    "INSERT INTO exchange.erasure_confirmation (origin, subject, number, note) VALUES (%s, %s, %s, %s) "
    "ON CONFLICT (origin, subject) DO UPDATE SET number = excluded.number, note = excluded.note, stored_at = NULL"
)
def confirm(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """We have signed for it."""
    origin, subject, number, text = parameters
    transaction.put("erasure_confirmation", (origin, subject), {"number": number, "note": text, "stored_at": None})
    return [], 1


@statement(
    "SELECT note FROM exchange.erasure_confirmation WHERE origin = %s AND stored_at IS NULL ORDER BY number LIMIT %s"
)
def confirmations(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The next confirmations that the sender has not stored."""
    origin, most = parameters
    rows = [row for key, row in transaction.rows("erasure_confirmation").items() if key[0] == origin]
    left = sorted((row for row in rows if row["stored_at"] is None), key=lambda row: row["number"])[:most]
    return [(row["note"],) for row in left], len(left)


@statement("UPDATE exchange.erasure_confirmation SET stored_at = %s WHERE origin = %s AND note = ANY(%s)")
def stored(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The sender has stored these."""
    at, origin, notes = parameters
    done = 0
    for key, row in sorted(transaction.rows("erasure_confirmation").items()):
        if key[0] == origin and row["note"] in notes:
            done += transaction.update("erasure_confirmation", key, stored_at=at)
    return [], done
