"""The audit of a feed: do its lines, its decisions and what the peer has signed for say the same?

The root is computed from the lines as they are kept and must be the one that the peer's receipts cosigned; every line
must rest on a decision to release that very entry, and every entry up to where the feed has got on some decision. What
a peer has signed holds by the key that it had then. To forge a feed unseen, one would need the peer's key. Epochs that
a loss has ended are audited too; there, a receipt for other lines than are kept is no fault but what was lost.
"""

from collections.abc import Iterator

import msgspec

from exchange import checkpoint, erasing, peers, renewing
from exchange.envelope import Core, Malformed, decode_core
from exchange.peers import Identity, Peer, Role
from ledger.errors import NotFound
from ledger.merkle import Frontier, leaf_hash
from ledger.sessions import READ_TIMEOUT_MS, Session, connect

CHUNK = 2_000
MOST_FAULTS = 100


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of an epoch: lines and root of the feed, receipts that hold, and the newest size signed for."""

    epoch: int
    lines: int
    root: bytes
    receipts: int
    receipted: int


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of the feed as it stands, of the epochs that have ended (oldest first), and what is wrong."""

    epoch: int
    lines: int
    root: bytes
    receipts: int
    receipted: int
    ended: tuple[Epoch, ...]
    faults: tuple[str, ...]


def audit(database_url: str, own: Identity, peer: str) -> Audit:
    """Audit the feed to a peer.

    Raises:
        NotFound: there is no such peer.
    """
    with connect(database_url, statement_timeout_ms=READ_TIMEOUT_MS) as connection:
        found = next((one for one in peers.listed(connection) if one.node == peer), None)
        if found is None:
            raise NotFound(f"{peer} is not a peer of this node.")
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            ended = [_ended(connection, own, found, epoch) for epoch in _epochs(connection, peer)]
            row = connection.execute("SELECT epoch FROM exchange.feed WHERE peer = %s", [peer]).fetchone()
            epoch = int(row[0]) if row else 0
            walk, now = _walked(connection, own, found, epoch, CURRENT)
            faults = [*walk.faults, *_of_feed(connection, peer, walk.frontier), *_of_decisions(connection, found)]
            faults += _of_confirmations(connection, own, found)
    faults = [fault for _, found_there in ended for fault in found_there] + faults
    return Audit(
        epoch=epoch,
        lines=now.lines,
        root=now.root,
        receipts=now.receipts,
        receipted=now.receipted,
        ended=tuple(one for one, _ in ended),
        faults=tuple(faults[:MOST_FAULTS]),
    )


class _Place(msgspec.Struct, frozen=True):
    """Where lines and receipts of an epoch are kept, and which of them."""

    lines: str
    receipts: str
    of_epoch: str


CURRENT = _Place("exchange.feed_out", "exchange.receipt", "%s >= 0")
ENDED = _Place("exchange.feed_out_before", "exchange.receipt_before", "epoch = %s")


def _walked(connection: Session, own: Identity, peer: Peer, epoch: int, place: _Place) -> "tuple[_Walk, Epoch]":
    signed = _receipts(connection, own, peer, epoch, place)
    walk = _Walk(signed, is_ended=place is ENDED)
    for number, position, core, kept in _lines(connection, peer.node, epoch, place):
        walk.line(number, core, kept, None if peer.role is Role.CEN else position)
    newest = max((head.size for head, _ in signed.values() if head is not None), default=0)
    root, lines = walk.frontier.root(), walk.frontier.size
    return walk, Epoch(epoch=epoch, lines=lines, root=root, receipts=walk.holding, receipted=newest)


def _epochs(connection: Session, peer: str) -> list[int]:
    rows = connection.execute("SELECT epoch FROM exchange.feed_before WHERE peer = %s ORDER BY epoch", [peer])
    return [epoch for (epoch,) in rows.fetchall()]


def _ended(connection: Session, own: Identity, peer: Peer, epoch: int) -> tuple[Epoch, list[str]]:
    """What was found of an epoch that has ended, and what is wrong in it."""
    walk, found = _walked(connection, own, peer, epoch, ENDED)
    faults = list(walk.faults)
    row = connection.execute(
        "SELECT number, frontier FROM exchange.feed_before WHERE peer = %s AND epoch = %s", [peer.node, epoch]
    ).fetchone()
    if row is None or (row[0], bytes(row[1])) != (walk.frontier.size, walk.frontier.to_bytes()):
        faults.append("The feed's tree is not that of its lines.")
    return found, [f"Epoch {epoch}, which has ended: {fault}" for fault in faults]


Signed = dict[int, tuple[checkpoint.Checkpoint | None, str]]


def _receipts(connection: Session, own: Identity, peer: Peer, epoch: int, place: _Place) -> Signed:
    """The peer's receipts by size; None where one does not hold, with the reason."""
    signed: Signed = {}
    query = f"SELECT size, note FROM {place.receipts} WHERE peer = %s AND {place.of_epoch}"  # noqa: S608  # constants
    rows = connection.execute(query.encode(), [peer.node, epoch])
    for size, note in rows:
        try:
            head, _ = renewing.read_receipt(note, own, peer, is_kept=True, epoch=epoch)
            signed[size] = (head, "")
        except Malformed as error:
            signed[size] = (None, str(error))
    return signed


def _lines(connection: Session, peer: str, epoch: int, place: _Place) -> Iterator[tuple[int, int, bytes, bytes]]:
    after = 0
    query = (
        f"SELECT number, position, core, leaf_hash FROM {place.lines} "  # noqa: S608  # constants
        f"WHERE peer = %s AND {place.of_epoch} AND number > %s ORDER BY number LIMIT %s"
    )
    while rows := connection.execute(query.encode(), [peer, epoch, after, CHUNK]).fetchall():
        yield from rows
        after = rows[-1][0]


class _Walk:
    """The walk along a feed's lines."""

    def __init__(self, signed: Signed, *, is_ended: bool) -> None:
        self.frontier = Frontier()
        self.faults: list[str] = []
        self.holding = 0
        self._signed = signed
        self._is_ended = is_ended

    def line(self, number: int, core: bytes, kept: bytes, position: int | None) -> None:
        """Look at a line; `position` is given where its core says which entry it is."""
        if number != self.frontier.size + 1:
            self.faults.append(f"Line {self.frontier.size + 1} is missing.")
        if leaf_hash(core) != kept:
            self.faults.append(f"Line {number} was changed after it was released.")
        if position is not None:
            try:
                decode_core(core, Core)
            except Malformed as error:
                self.faults.append(f"Line {number}: {error}")
        self.frontier.extend([leaf_hash(core)])
        if number in self._signed:
            self._compare(number)

    def _compare(self, number: int) -> None:
        head, reason = self._signed[number]
        if head is None:
            self.faults.append(f"The receipt for {number} lines does not hold: {reason}")
        elif (head.size, head.root) == (number, self.frontier.root()):
            self.holding += 1
        elif not self._is_ended:
            self.faults.append(f"The peer has signed for other lines than the first {number} that are kept here.")


def _of_feed(connection: Session, peer: str, walked: Frontier) -> Iterator[str]:
    row = connection.execute("SELECT number, frontier FROM exchange.feed WHERE peer = %s", [peer]).fetchone()
    if row is None or (row[0], bytes(row[1])) != (walked.size, walked.to_bytes()):
        yield "The feed's tree is not that of its lines."
    beyond = connection.execute(
        "SELECT count(*) FROM exchange.receipt WHERE peer = %s AND size > %s", [peer, walked.size]
    ).fetchone()
    if beyond and beyond[0]:
        yield "The peer has signed for more lines than are kept here."


def _of_confirmations(connection: Session, own: Identity, peer: Peer) -> Iterator[str]:
    """The peer's confirmations of erasures must be signed by the key that it had then."""
    rows = connection.execute(
        "SELECT number, confirmation FROM exchange.erasure_notice WHERE peer = %s AND confirmation IS NOT NULL "
        "ORDER BY number",
        [peer.node],
    )
    for number, text in rows:
        try:
            erasing.read_confirmation(text, origin=own.node, peer=peer, is_kept=True)
        except Malformed:
            yield f"The peer's confirmation of the erasure in line {number} does not hold."


def _of_decisions(connection: Session, peer: Peer) -> Iterator[str]:
    loose = connection.execute(
        "SELECT o.number FROM exchange.feed_out o WHERE o.peer = %s AND NOT EXISTS (SELECT FROM exchange.decision d "
        "JOIN exchange.feed f ON f.peer = d.peer AND f.epoch = d.epoch WHERE d.peer = o.peer "
        "AND d.position = o.position AND d.number = o.number AND d.record_id = o.record_id) ORDER BY 1 LIMIT %s",
        [peer.node, MOST_FAULTS],
    )
    for (number,) in loose:
        yield f"Line {number} rests on no decision to release it."
    if peer.role is Role.CEN:
        return
    row = connection.execute(
        "SELECT f.position, (SELECT count(DISTINCT d.position) FROM exchange.decision d WHERE d.peer = f.peer "
        "AND d.epoch = f.epoch) "
        "FROM exchange.feed f WHERE f.peer = %s",
        [peer.node],
    ).fetchone()
    if row is not None and row[0] != row[1]:
        yield f"There are {row[1]} entries with a decision, and the feed has got to position {row[0]}."
