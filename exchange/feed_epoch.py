"""A feed that is begun anew by its sender, after a loss that reached it: the peer has signed for lines that are gone.

Nothing that the peer has signed for is rewritten: lines, receipts and head of the epoch that ended are put aside in
tables that take no change, and the new epoch has the serial of the acknowledged loss in its name, so that none begins
without one, nor twice. It is one transaction. To a nation everything is decided again, under the premises as they
stand; what the peer is known to hold of a record is not forgotten. The CEN is told each seizure as it stands, once.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from exchange import outbox
from exchange.matter import Remembered
from exchange.outbox import Feed
from ledger.merkle import Frontier
from ledger.sessions import Session

NEWEST_LOSS = "SELECT coalesce(max(serial), 0) FROM ledger.loss"
_IS_AHEAD = "f.is_parted OR EXISTS (SELECT FROM exchange.receipt_before b WHERE b.peer = f.peer AND b.epoch > f.epoch)"
"""Whether the peer of a feed f was sent otherwise than we know, or has signed in an epoch that we have lost."""
_IS_OTHER = """
    (SELECT split_part(r.note, E'\n\n', 1) <> split_part(coalesce(o.checkpoint, '?'), E'\n\n', 1)
    FROM exchange.receipt r LEFT JOIN exchange.feed_out o ON o.peer = r.peer AND o.number = r.size
    WHERE r.peer = f.peer ORDER BY r.size DESC LIMIT 1)
"""
"""Whether its newest receipt is for other lines than are here; null where it has signed for none."""
REACHED = f"""
    SELECT NOT EXISTS (SELECT FROM exchange.receipt_before b WHERE b.peer = f.peer AND b.epoch >= %s)
        AND ({_IS_AHEAD} OR coalesce({_IS_OTHER}, f.epoch > 0))
    FROM exchange.feed f WHERE f.peer = %s
"""  # noqa: S608  # our own words
"""Whether the peer has signed for lines that we do not have, in this epoch or a later one that we have lost, or was
sent otherwise than we know what it has signed for. An epoch of which it has signed for nothing gives way to a newer
loss; never is one begun for which it has signed already."""
PUT_ASIDE = (
    """
    INSERT INTO exchange.feed_before (peer, epoch, size, number, frontier, ended_at)
    SELECT f.peer, f.epoch, s.size, f.number, f.frontier, %s FROM exchange.feed f, ledger.seal_state s WHERE f.peer = %s
    """,
    """
    INSERT INTO exchange.feed_out_before
        (peer, epoch, number, position, record_id, core, leaf_hash, proof, checkpoint, premise_id, held)
    SELECT peer, %s, number, position, record_id, core, leaf_hash, proof, checkpoint, premise_id, held
    FROM exchange.feed_out WHERE peer = %s
    """,
    """
    INSERT INTO exchange.receipt_before (peer, epoch, size, note, received_at)
    SELECT peer, %s, size, note, received_at FROM exchange.receipt WHERE peer = %s ON CONFLICT DO NOTHING
    """,
)
MAY_HOLD = """
    SELECT EXISTS (SELECT FROM exchange.feed_before f JOIN ledger.sealed s ON s.position <= f.size
        WHERE f.peer = %s AND s.record_id = %s)
"""


def begin(connection: Session, peer: str, now: datetime) -> Feed | None:
    """Begin the feed to a peer anew, if an acknowledged loss has reached it; the feed, changed and not saved yet.

    What was put aside is in the caller's transaction. Returns None where nothing is to be done.
    """
    row = connection.execute(NEWEST_LOSS).fetchone()
    loss = int(row[0]) if row else 0
    if not loss:
        return None
    feed = outbox.load(connection, peer)
    if feed.epoch >= loss:
        return None
    reached = connection.execute(REACHED.encode(), [loss, peer]).fetchone()
    if reached != (True,):
        return None
    _put_aside(connection, feed, now)
    feed.epoch, feed.number, feed.frontier = loss, 0, Frontier()
    feed.generation += 1  # so that the stream is made anew
    return feed


def _put_aside(connection: Session, feed: Feed, now: datetime) -> None:
    head, lines, receipts = PUT_ASIDE
    connection.execute(head.encode(), [now, feed.peer])
    connection.execute(lines.encode(), [feed.epoch, feed.peer])
    connection.execute(receipts.encode(), [feed.epoch, feed.peer])
    connection.execute("DELETE FROM exchange.feed_out WHERE peer = %s", [feed.peer])
    connection.execute("DELETE FROM exchange.receipt WHERE peer = %s", [feed.peer])
    connection.execute("UPDATE exchange.feed SET is_parted = false WHERE peer = %s", [feed.peer])


def decide_everything_again(connection: Session, feed: Feed) -> None:
    """Let the exporter walk from the first entry on; of each record it stays known whether something of it has gone.

    So whoever was given something is told of what follows, also where the premise has ended since.
    """
    feed.position, feed.sweep, feed.recheck, feed.premises = 0, None, None, b""
    connection.execute("DELETE FROM exchange.again WHERE peer = %s", [feed.peer])
    rows = connection.execute("SELECT record_id, state FROM exchange.matter WHERE peer = %s", [feed.peer]).fetchall()
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE exchange.matter SET state = %s WHERE peer = %s AND record_id = %s",
            [(_only_what_went(state), feed.peer, record_id) for record_id, state in rows],
        )


def _only_what_went(state: bytes) -> bytes:
    return Remembered(released_as=Remembered.of(state).released_as).state


def may_hold(connection: Session, peer: str, record_id: UUID) -> bool:
    """Whether a peer may hold something of this record by lines that we have lost: it was there before a loss."""
    return connection.execute(MAY_HOLD, [peer, record_id]).fetchone() == (True,)


CLOSED = f"SELECT f.peer FROM exchange.feed f WHERE {_IS_AHEAD} OR {_IS_OTHER} ORDER BY f.peer"  # noqa: S608  # our own words


def closed(connection: Session) -> list[str]:
    """The peers that have signed for lines that are not here; none where nothing is exchanged."""
    if connection.execute("SELECT to_regclass('exchange.receipt_before')").fetchone() == (None,):
        return []
    return [peer for (peer,) in connection.execute(CLOSED.encode()).fetchall()]


# ---------------------------------------------------------------- what is put aside, to be seen


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """An epoch of a feed that has ended: how many lines it had, its root, and up to which one the peer has signed."""

    epoch: int
    lines: int
    root: bytes
    receipted: int
    ended_at: datetime


def before(connection: Session, peer: str) -> list[Before]:
    """The epochs of the feed to a peer that have ended, oldest first."""
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT f.epoch, f.number, f.frontier, f.ended_at, coalesce((SELECT max(r.size) FROM exchange.receipt_before r "
        "WHERE r.peer = f.peer AND r.epoch = f.epoch), 0) FROM exchange.feed_before f WHERE f.peer = %s ORDER BY 1",
        [peer],
    ).fetchall()
    return [
        Before(
            epoch=epoch,
            lines=number,
            root=Frontier.from_bytes(number, frontier).root(),
            receipted=receipted,
            ended_at=ended_at,
        )
        for epoch, number, frontier, ended_at, receipted in rows
    ]
