"""A peer's statement that a part of its ledger was lost, until our administrator accepts it.

It is a succession of the peer's ledger key (`ledger.node_keys`), and is believed neither by itself nor for another size
than we know: what we have cosigned must lie within what it says was lost. Once accepted, we cosign what continues the
history that was kept; what we had cosigned beyond is set aside and stays for everybody to see, with both heads.
"""

from datetime import datetime

import msgspec

from exchange.cosigned import Cosigned
from exchange.peers import Peer
from ledger import checkpoint, log_tree, node_keys
from ledger.checkpoint import Head, NotCheckpoint
from ledger.errors import Conflict, NotFound
from ledger.node_keys import NodeKeys, Succession, Why
from ledger.sessions import Session

WAITS = "loss"
"""What a peer is answered whose statement waits for our administrator."""

_NEWEST = "SELECT serial, note, accepted_at FROM exchange.peer_loss WHERE origin = %s ORDER BY serial DESC LIMIT 1"
_KEEP = """
    INSERT INTO exchange.peer_loss (origin, serial, note, told_at) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_SET_ASIDE = """
    INSERT INTO exchange.witnessed_lost (origin, serial, size, root, note, line, cosigned_at)
    SELECT origin, %s, size, root, note, line, cosigned_at FROM exchange.witnessed WHERE origin = %s AND size > %s
"""
_TOLD = """
    SELECT origin, serial, note, told_at, accepted_at FROM exchange.peer_loss WHERE origin NOT LIKE %s
    ORDER BY told_at, origin, serial
"""
_ACCEPT = "UPDATE exchange.peer_loss SET accepted_at = %s WHERE origin = %s AND serial = %s"
_LAST = "SELECT size, root, note, line FROM exchange.witnessed WHERE origin = %s ORDER BY size DESC LIMIT 1"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A loss that a peer has stated: from and to which size, and when we have accepted it, if we have."""

    peer: str
    serial: int
    kept: int
    lost: int
    told_at: datetime
    accepted_at: datetime | None


def is_waiting(connection: Session, known: NodeKeys, note: str, at: datetime) -> bool:
    """Keep a statement of a loss for our administrator; False where it does not fit what we have cosigned."""
    told = known.losses[-1]
    if _problem(connection, known.origin, told) is not None:
        return False
    keep(connection, known.origin, told.serial, note, at)
    return True


def keep(connection: Session, origin: str, serial: int, note: str, at: datetime) -> None:
    """Keep a statement of a tree's loss, which waits for our administrator; one that is kept stays as it is."""
    connection.execute(_KEEP, [origin, serial, note, at])


def with_waiting(connection: Session, known: NodeKeys) -> NodeKeys:
    """The keys of a peer, with the succession that states a loss and waits for our administrator, if one does."""
    row = connection.execute(_NEWEST, [known.origin]).fetchone()
    if row is None or row[2] is not None:
        return known
    try:
        return node_keys.chain(known.origin, known.keys[0].public_key, (*known.notes, str(row[1])))
    except NotCheckpoint:
        return known


def is_loss(known: NodeKeys) -> bool:
    """Whether the newest of these successions states a loss."""
    return known.keys[-2].why is Why.LOST if len(known.keys) > 1 else False


def _problem(connection: Session, origin: str, told: Succession) -> str | None:
    """Say why a statement does not fit what we have cosigned, None where it does."""
    loss = told.loss
    if loss is None:
        return "It does not say what was lost."
    return misfit(connection, Head(origin, told.size, loss.kept_root), Head(origin, loss.size, loss.root))


def misfit(connection: Session, kept: Head, lost: Head) -> str | None:
    """Say why what is kept and lost of a peer's tree does not fit what we have cosigned of it, None where it does."""
    rows = connection.execute("SELECT size, root FROM exchange.witnessed WHERE origin = %s", [lost.origin]).fetchall()
    seen = {size: bytes(root) for size, root in rows}
    if max(seen, default=0) > lost.size:
        return "It names less than we have cosigned: it is for another size."
    if seen.get(lost.size, lost.root) != lost.root:
        return "We have cosigned another root at the size that was lost."
    if seen.get(kept.size, kept.root) != kept.root:
        return "We have cosigned another root at the size that was kept."
    return None


def accept(connection: Session, peer: Peer, known: NodeKeys, kept: Cosigned | None, at: datetime) -> Told:
    """Accept the loss that a peer has stated: from now on what continues the history that it kept is cosigned.

    `known` are the peer's keys as we know them. To be repeated at will: what a crash left undone is done then.

    Raises:
        NotFound: the peer has stated none.
        Conflict: the statement does not follow upon what we know, or does not fit what we have cosigned.
    """
    origin = checkpoint.ledger_of(peer.node)
    with connection.transaction():
        row = connection.execute(f"{_NEWEST} FOR UPDATE".encode(), [origin]).fetchone()
        if row is None:
            raise NotFound(f"{peer.node} has not told us of a loss.")
        serial, note, accepted_at = row
        if accepted_at is None:
            _take(connection, origin, known, str(note), at)
    keep_outside(connection, origin, kept)
    return next(one for one in told(connection) if (one.peer, one.serial) == (peer.node, serial))


def _take(connection: Session, origin: str, known: NodeKeys, note: str, at: datetime) -> None:
    try:
        stated = node_keys.chain(origin, known.keys[0].public_key, (*known.notes, note)).losses[-1]
    except NotCheckpoint as error:
        raise Conflict(f"The statement does not follow upon the keys that we know. {error}") from None
    go_back(connection, origin, stated.serial, stated.size, _problem(connection, origin, stated), at)
    connection.execute(
        "INSERT INTO exchange.peer_succession (origin, serial, note) VALUES (%s, %s, %s)",
        [origin, stated.serial, note],
    )


def go_back(  # noqa: PLR0913, PLR0917  # which statement of which tree
    connection: Session, origin: str, serial: int, kept: int, problem: str | None, at: datetime
) -> None:
    """Let what we cosigned of a tree beyond a size lie by itself, since our administrator accepts the statement.

    Raises:
        Conflict: there is a `problem` with it.
    """
    if problem is not None:
        raise Conflict(f"The statement does not fit what we have cosigned. {problem}")
    connection.execute(_SET_ASIDE, [serial, origin, kept])
    connection.execute("DELETE FROM exchange.witnessed WHERE origin = %s AND size > %s", [origin, kept])
    connection.execute(_ACCEPT, [at, origin, serial])


def keep_outside(connection: Session, origin: str, kept: Cosigned | None) -> None:
    """Let the file outside of PostgreSQL go back with what we cosigned, where it is ahead of it."""
    row = connection.execute(_LAST, [origin]).fetchone()
    if kept is None:
        return
    outside = kept.read(origin)
    if outside is not None and outside[0] > (row[0] if row else 0):
        kept.set_aside(origin)
        if row is not None:
            kept.write(Head(origin, int(row[0]), bytes(row[1])), str(row[2]), str(row[3]))


def told(connection: Session) -> list[Told]:
    """Return the losses that peers have stated, oldest first."""
    rows = connection.execute(_TOLD, [log_tree.origin_of("%")]).fetchall()
    return [_told(origin, note, told_at, accepted_at) for origin, _, note, told_at, accepted_at in rows]


def _told(origin: str, note: str, told_at: datetime, accepted_at: datetime | None) -> Told:
    stated = node_keys.unsigned(note)
    return Told(
        peer=origin.partition("/")[2],
        serial=stated.serial,
        kept=stated.size,
        lost=0 if stated.loss is None else stated.loss.size,
        told_at=told_at,
        accepted_at=accepted_at,
    )
