"""A peer's feed that begins anew, as its receiver sees it: only after a loss that our administrator has accepted.

The peer says so by the signed checkpoint of an empty tree, whose name holds the serial of its loss. It is believed when
that loss was accepted, when it is newer than the epoch there is, and when nothing was taken in that epoch an hour or
more after the acceptance: so none is begun twice, and what was signed for is never rewritten. What came before is put
aside in tables that take no change, and what was recorded stays recorded. It is one transaction.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from exchange import checkpoint
from exchange.envelope import Malformed
from exchange.peers import Identity, Peer
from ledger.checkpoint import ledger_of
from ledger.errors import NotFound
from ledger.merkle import Frontier
from ledger.sessions import Session

KEEP = """
    INSERT INTO exchange.inbox_opening (origin, epoch, note, told_at)
    SELECT f.origin, %s, %s, %s FROM exchange.inbox_feed f WHERE f.origin = %s AND f.epoch < %s ON CONFLICT DO NOTHING
"""
DUE = """
    SELECT o.epoch FROM exchange.inbox_opening o JOIN exchange.inbox_feed f ON f.origin = o.origin
    WHERE o.origin = %s AND o.epoch > f.epoch AND o.epoch > f.passed AND (o.accepted_at IS NOT NULL OR EXISTS
        (SELECT FROM exchange.peer_loss l WHERE l.origin = %s AND l.serial = o.epoch AND l.accepted_at IS NOT NULL))
    ORDER BY o.epoch DESC LIMIT 1
"""
PUT_ASIDE = (
    """
    INSERT INTO exchange.inbox_feed_before
        (origin, epoch, number, frontier, checkpoint, stopped, evidence, stopped_at, ended_at)
    SELECT origin, epoch, number, frontier, checkpoint, stopped, evidence, stopped_at, %s
    FROM exchange.inbox_feed WHERE origin = %s
    """,
    """
    INSERT INTO exchange.inbox_before
        (origin, epoch, number, leaf_hash, core, proof, record_id, version, outcome, reason, received_at)
    SELECT i.origin, f.epoch, i.number, i.leaf_hash, i.core, i.proof, i.record_id, i.version, i.outcome, i.reason,
        i.received_at
    FROM exchange.inbox i JOIN exchange.inbox_feed f ON f.origin = i.origin WHERE i.origin = %s
    """,
    """
    INSERT INTO exchange.inbox_checkpoint_before (origin, epoch, size, note)
    SELECT c.origin, f.epoch, c.size, c.note
    FROM exchange.inbox_checkpoint c JOIN exchange.inbox_feed f ON f.origin = c.origin WHERE c.origin = %s
    """,
)
BEGIN = """
    UPDATE exchange.inbox_feed SET epoch = %s, number = 0, frontier = '', checkpoint = NULL, judged = NULL,
        stopped = NULL, evidence = NULL, stopped_at = NULL WHERE origin = %s
"""
ACCEPT = """
    UPDATE exchange.inbox_opening o SET accepted_at = %s FROM exchange.inbox_feed f
    WHERE f.origin = o.origin AND o.origin = %s AND o.epoch > f.epoch AND o.accepted_at IS NULL
"""


def told(connection: Session, own: Identity, peer: Peer, note: str, now: datetime) -> bool:
    """Keep a peer's statement that its feed begins anew; False where it is none or not signed by the peer."""
    try:
        epoch = checkpoint.read_opening(note, origin=peer.node, recipient=own.node, key=peer.signing_key)
    except Malformed:
        return False
    connection.execute(KEEP, [epoch, note, now, peer.node, epoch])
    return True


def begin(connection: Session, origin: str, now: datetime) -> bool:
    """Begin a peer's feed anew, if it has said so and the loss that it names was accepted; whether it was begun."""
    if _due(connection, origin) is None:
        return False
    with connection.transaction():
        connection.execute("SELECT FROM exchange.inbox_feed WHERE origin = %s FOR UPDATE", [origin])
        epoch = _due(connection, origin)
        if epoch is None:
            return False
        head, lines, receipts = PUT_ASIDE
        connection.execute(head.encode(), [now, origin])
        connection.execute(lines.encode(), [origin])
        connection.execute(receipts.encode(), [origin])
        connection.execute("DELETE FROM exchange.inbox WHERE origin = %s", [origin])
        connection.execute("DELETE FROM exchange.inbox_checkpoint WHERE origin = %s", [origin])
        connection.execute(BEGIN, [epoch, origin])
    return True


def _due(connection: Session, origin: str) -> int | None:
    row = connection.execute(DUE, [origin, ledger_of(origin)]).fetchone()
    return int(row[0]) if row else None


def accept(connection: Session, peer: Peer, now: datetime) -> int:
    """Accept, at a CEN node, that a nation begins its feed anew; the epoch. To be repeated at will.

    A CEN node is told nothing of a ledger's size and so of no loss: the statement names its serial and no more.

    Raises:
        NotFound: the nation has not said so.
    """
    connection.execute(ACCEPT, [now, peer.node])
    row = connection.execute(
        "SELECT max(epoch) FROM exchange.inbox_opening WHERE origin = %s AND accepted_at IS NOT NULL", [peer.node]
    ).fetchone()
    if row is None or row[0] is None:
        raise NotFound(f"{peer.node} has not said that its feed begins anew.")
    return int(row[0])


# ---------------------------------------------------------------- what is put aside, to be seen


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """An epoch of a peer's feed that has ended: how many lines came, their root, and why it was stopped, if it was."""

    epoch: int
    lines: int
    root: bytes
    stopped: str | None
    ended_at: datetime


def before(connection: Session, origin: str) -> list[Before]:
    """The epochs of a peer's feed that have ended, oldest first."""
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT epoch, number, frontier, stopped, ended_at FROM exchange.inbox_feed_before "
        "WHERE origin = %s ORDER BY 1",
        [origin],
    ).fetchall()
    return [
        Before(
            epoch=epoch,
            lines=number,
            root=Frontier.from_bytes(number, frontier).root(),
            stopped=stopped,
            ended_at=ended_at,
        )
        for epoch, number, frontier, stopped, ended_at in rows
    ]


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """An entry (or notice) that a peer had sent before its loss, and not again: it is on our record, with provenance.

    `version` is None for a notice.
    """

    record_id: UUID
    version: int | None
    epoch: int
    number: int


def lost(connection: Session, origin: str, most: int) -> tuple[int, list[Lost]]:
    """What was recorded of a peer's earlier epochs and has not come again in this one: how many, and the first of them.

    The peer has lost it, or may no longer send it.
    """
    query = (
        "SELECT DISTINCT ON (b.record_id, b.version) b.record_id, b.version, b.epoch, b.number "
        "FROM exchange.inbox_before b WHERE b.origin = %s AND b.outcome IN ('recorded', 'repeated') AND NOT EXISTS "
        "(SELECT FROM exchange.inbox i WHERE i.origin = b.origin AND i.record_id = b.record_id "
        "AND i.version IS NOT DISTINCT FROM b.version AND i.outcome IN ('recorded', 'repeated')) "
        "ORDER BY b.record_id, b.version, b.epoch DESC"
    )
    rows = connection.execute(query.encode(), [origin]).fetchall()
    return len(rows), [
        Lost(record_id=record_id, version=version, epoch=epoch, number=number)
        for record_id, version, epoch, number in rows[:most]
    ]
