"""A peer's statement that lines of its processing log were lost, until our administrator accepts it.

It is kept and compared as that of a loss of its ledger is (`exchange.losses`): what we have cosigned of the log must
lie within what it says was lost. Once accepted, we cosign what continues the log that was kept; both heads stay.
"""

from datetime import datetime

from exchange import losses
from exchange.cosigned import Cosigned
from exchange.losses import Told
from exchange.peers import Peer
from ledger import log_loss, log_tree
from ledger.checkpoint import Head, NotCheckpoint
from ledger.errors import Conflict, NotFound
from ledger.log_loss import LogLoss
from ledger.node_keys import NodeKeys
from ledger.sessions import Session

_ACCEPTED = """
    SELECT note FROM exchange.peer_loss WHERE origin = %s AND accepted_at IS NOT NULL ORDER BY serial
"""
_NEWEST = "SELECT note, told_at, accepted_at FROM exchange.peer_loss WHERE origin = %s ORDER BY serial DESC LIMIT 1"


def is_accepted(connection: Session, origin: str, note: str) -> bool:
    """Whether our administrator has accepted this very statement."""
    return (note,) in connection.execute(_ACCEPTED, [origin]).fetchall()


def read(connection: Session, origin: str, known: NodeKeys, note: str) -> LogLoss:
    """Return what a statement says, if it follows upon those that we have accepted.

    Raises:
        NotCheckpoint: it does not, or no key of the peer has signed it.
    """
    before = tuple(text for (text,) in connection.execute(_ACCEPTED, [origin]).fetchall())
    return log_loss.chain(origin, known, (*before, note))[-1]


def is_waiting(connection: Session, told: LogLoss, note: str, at: datetime) -> bool:
    """Keep a statement for our administrator; False where it does not fit what we have cosigned."""
    if _problem(connection, told) is not None:
        return False
    losses.keep(connection, told.origin, told.serial, note, at)
    return True


def _problem(connection: Session, told: LogLoss) -> str | None:
    kept, lost = Head(told.origin, told.kept, told.kept_root), Head(told.origin, told.lost, told.root)
    return losses.misfit(connection, kept, lost)


def accept(connection: Session, peer: Peer, known: NodeKeys, kept: Cosigned | None, at: datetime) -> Told:
    """Accept the loss of lines that a peer has stated; to be repeated at will, as `losses.accept`.

    Raises:
        NotFound: the peer has stated none.
        Conflict: the statement does not follow upon what we know, or does not fit what we have cosigned.
    """
    origin = log_tree.origin_of(peer.node)
    with connection.transaction():
        row = connection.execute(f"{_NEWEST} FOR UPDATE".encode(), [origin]).fetchone()
        if row is None:
            raise NotFound(f"{peer.node} has not told us of a loss of its processing log.")
        note, told_at, accepted_at = row
        stated = log_loss.unsigned(note)
        if accepted_at is None:
            try:
                read(connection, origin, known, note)
            except NotCheckpoint as error:
                raise Conflict(f"The statement does not follow upon the keys that we know. {error}") from None
            losses.go_back(connection, origin, stated.serial, stated.kept, _problem(connection, stated), at)
    losses.keep_outside(connection, origin, kept)
    return Told(
        peer=peer.node,
        serial=stated.serial,
        kept=stated.kept,
        lost=stated.lost,
        told_at=told_at,
        accepted_at=accepted_at or at,
    )
