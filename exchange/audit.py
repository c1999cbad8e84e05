"""The audit of a feed: do its lines, its decisions and what the peer has signed for say the same?

The root is computed from the lines as they are kept and must be the one that the peer's receipts cosigned; every line
must rest on a decision to release that very entry, and every entry up to where the feed has got on some decision. What
a peer has signed holds by the key that it had then. To forge a feed unseen, one would need the peer's key.
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


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: lines and root of the feed, receipts that hold, the newest size signed for, and what is wrong."""

    lines: int
    root: bytes
    receipts: int
    receipted: int
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
            signed = _receipts(connection, own, found)
            walk = _Walk(signed)
            for number, position, core, kept in _lines(connection, peer):
                walk.line(number, core, kept, None if found.role is Role.CEN else position)
            faults = [*walk.faults, *_of_feed(connection, peer, walk.frontier), *_of_decisions(connection, found)]
            faults += _of_confirmations(connection, own, found)
    return Audit(
        lines=walk.frontier.size,
        root=walk.frontier.root(),
        receipts=walk.holding,
        receipted=max((head.size for head, _ in signed.values() if head is not None), default=0),
        faults=tuple(faults[:MOST_FAULTS]),
    )


Signed = dict[int, tuple[checkpoint.Checkpoint | None, str]]


def _receipts(connection: Session, own: Identity, peer: Peer) -> Signed:
    """The peer's receipts by size; None where one does not hold, with the reason."""
    signed: Signed = {}
    rows = connection.execute("SELECT size, note FROM exchange.receipt WHERE peer = %s", [peer.node])
    for size, note in rows:
        try:
            head, _ = renewing.read_receipt(note, own, peer, is_kept=True)
            signed[size] = (head, "")
        except Malformed as error:
            signed[size] = (None, str(error))
    return signed


def _lines(connection: Session, peer: str) -> Iterator[tuple[int, int, bytes, bytes]]:
    after = 0
    while rows := connection.execute(
        "SELECT number, position, core, leaf_hash FROM exchange.feed_out "
        "WHERE peer = %s AND number > %s ORDER BY number LIMIT %s",
        [peer, after, CHUNK],
    ).fetchall():
        yield from rows
        after = rows[-1][0]


class _Walk:
    """The walk along a feed's lines."""

    def __init__(self, signed: Signed) -> None:
        self.frontier = Frontier()
        self.faults: list[str] = []
        self.holding = 0
        self._signed = signed

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
        elif (head.size, head.root) != (number, self.frontier.root()):
            self.faults.append(f"The peer has signed for other lines than the first {number} that are kept here.")
        else:
            self.holding += 1


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
        "WHERE d.peer = o.peer AND d.position = o.position AND d.number = o.number AND d.record_id = o.record_id) "
        "ORDER BY 1 LIMIT %s",
        [peer.node, MOST_FAULTS],
    )
    for (number,) in loose:
        yield f"Line {number} rests on no decision to release it."
    if peer.role is Role.CEN:
        return
    row = connection.execute(
        "SELECT f.position, (SELECT count(DISTINCT d.position) FROM exchange.decision d WHERE d.peer = f.peer) "
        "FROM exchange.feed f WHERE f.peer = %s",
        [peer.node],
    ).fetchone()
    if row is not None and row[0] != row[1]:
        yield f"There are {row[1]} entries with a decision, and the feed has got to position {row[0]}."
