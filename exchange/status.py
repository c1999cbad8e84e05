"""How each feed stands: what was released and withheld, what the peer has signed for, what came in and became of it."""

from datetime import datetime

import msgspec

from exchange import feed_epoch, inbox_epoch, peers, renewing
from exchange.erasing import Notices, notices
from exchange.peers import Role
from exchange.successors import Held
from ledger.sessions import Session, connect


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """A feed of ours. Counts of entries by their newest decision; `waiting` entries are not decided about yet.

    `lines` are in the feed, `receipted` of them the peer has signed for, `held` of them went as a bare hash only.
    `quarantined` and `stopped` are what the peer has told us.
    """

    released: int
    withheld: dict[str, int]
    waiting: int
    lines: int
    receipted: int
    held: int
    quarantined: int
    stopped: str | None
    receipted_at: datetime | None
    erasures: Notices = Notices()
    """Whom the peer was asked to erase, and what it has confirmed."""
    epoch: int = 0
    """The serial of the loss since which the feed was begun anew, 0 where it never was."""
    ended: tuple[feed_epoch.Before, ...] = ()

    @property
    def lag(self) -> int:
        """Lines of the feed that the peer has not signed for."""
        return self.lines - self.receipted


class Receiving(msgspec.Struct, frozen=True, kw_only=True):
    """A feed of the peer's: its lines by what became of them, and why it is stopped, if it is."""

    lines: int
    recorded: int
    repeated: int
    held: int
    quarantined: dict[str, int]
    stopped: str | None
    stopped_at: datetime | None
    epoch: int = 0
    waiting: int | None = None
    """The epoch that the peer has said it begins, where our administrator has not accepted its loss."""
    ended: tuple[inbox_epoch.Before, ...] = ()


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the feeds to and from a peer stand."""

    peer: str
    role: Role
    fingerprint: str
    nats_url: str | None
    sending: Sending
    receiving: Receiving
    held: Held | None = None
    """Why the peer is suspended until a person decides which of its cards is its own."""
    waits_for_cards: bool = False
    """Whether we and the peer have not met yet under our newest cards: until then both feeds wait."""


def status(database_url: str, edition: bytes = b"") -> list[FeedStatus]:
    """How the feeds with all peers stand, by node code; `edition` is that of our own card."""
    with connect(database_url) as connection:
        waiting = renewing.waiting(connection, edition)
        return [
            FeedStatus(
                peer=peer.node,
                role=peer.role,
                fingerprint=peer.fingerprint,
                nats_url=peer.nats_url,
                sending=_sending(connection, peer.node),
                receiving=_receiving(connection, peer.node),
                held=peer.held,
                waits_for_cards=peer.node in waiting,
            )
            for peer in peers.listed(connection)
        ]


def _sending(connection: Session, peer: str) -> Sending:
    newest = connection.execute(
        "SELECT reason, count(*) FROM (SELECT DISTINCT ON (position) position, reason FROM exchange.decision "
        "WHERE peer = %s AND position <= (SELECT f.position FROM exchange.feed f WHERE f.peer = decision.peer) "
        "ORDER BY position, decision DESC) newest GROUP BY reason ORDER BY reason",
        [peer],
    ).fetchall()
    row = connection.execute(
        # A CEN node tells nobody anything, so that nothing waits there.
        "SELECT f.number, CASE WHEN EXISTS (SELECT FROM exchange.own WHERE role = 'cen') THEN 0 "
        "ELSE greatest(s.size - f.position, 0) END, (SELECT count(*) FROM exchange.feed_out o "
        "WHERE o.peer = f.peer AND o.held IS NOT NULL), f.epoch FROM exchange.feed f, ledger.seal_state s "
        "WHERE f.peer = %s",
        [peer],
    ).fetchone()
    lines, waiting, held, epoch = row or (0, 0, 0, 0)
    receipt = connection.execute(
        "SELECT size, quarantined, stopped, received_at FROM exchange.receipt "
        "WHERE peer = %s ORDER BY size DESC LIMIT 1",
        [peer],
    ).fetchone()
    receipted, quarantined, stopped, receipted_at = receipt or (0, 0, None, None)
    return Sending(
        released=sum(count for reason, count in newest if reason is None),
        withheld={reason: count for reason, count in newest if reason is not None},
        waiting=waiting,
        lines=lines,
        receipted=receipted,
        held=held,
        quarantined=quarantined,
        stopped=stopped,
        receipted_at=receipted_at,
        erasures=notices(connection, peer),
        epoch=epoch,
        ended=tuple(feed_epoch.before(connection, peer)),
    )


def _receiving(connection: Session, origin: str) -> Receiving:
    rows = connection.execute(
        "SELECT outcome, reason, count(*) FROM exchange.inbox WHERE origin = %s GROUP BY 1, 2 ORDER BY 1, 2", [origin]
    ).fetchall()
    row = connection.execute(
        "SELECT f.number, f.stopped, f.stopped_at, f.epoch, (SELECT max(o.epoch) FROM exchange.inbox_opening o "
        "WHERE o.origin = f.origin AND o.epoch > f.epoch AND o.epoch > f.passed) "
        "FROM exchange.inbox_feed f WHERE f.origin = %s",
        [origin],
    ).fetchone()
    lines, stopped, stopped_at, epoch, waiting = row or (0, None, None, 0, None)
    by_outcome = {outcome: count for outcome, _, count in rows if outcome != "quarantined"}
    return Receiving(
        lines=lines,
        recorded=by_outcome.get("recorded", 0),
        repeated=by_outcome.get("repeated", 0),
        held=by_outcome.get("held", 0),
        quarantined={str(reason): count for outcome, reason, count in rows if outcome == "quarantined"},
        stopped=stopped,
        stopped_at=stopped_at,
        epoch=epoch,
        waiting=waiting,
        ended=tuple(inbox_epoch.before(connection, origin)),
    )
