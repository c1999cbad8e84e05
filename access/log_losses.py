"""The acknowledgement that the end of the processing log was lost, after a restore to an earlier position.

An administrator states it, with a reason; the statement lies beside the keys (`ledger.log_loss`), the reason and who
gave it in `processing.loss`, and the log goes on with a line that says so. Nothing is hidden by it: the heads that were
signed are set aside with what peers cosigned, and a peer goes on only when its own administrator accepts it.
"""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from access.log_prover import LogProver, misfits
from ledger import checkpoint, log_loss, log_tree, node_keys
from ledger.checkpoints import Signed
from ledger.errors import Conflict, Damaged, NotFound
from ledger.keyring import Keyring
from ledger.log_loss import LogLoss
from ledger.log_tree import LogTree
from ledger.merkle import EMPTY_ROOT
from ledger.node_keys import NodeKeys, Why
from ledger.sessions import Session
from ledger.tree import Tree

_KEEP = """
    INSERT INTO processing.loss (serial, note, reason, acknowledged_by) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_TELL = "SELECT processing.tell('erasure', %s, NULL, NULL, NULL, 'loss acknowledge', '{}', NULL, NULL)"
_LISTED = "SELECT serial, reason, acknowledged_by, acknowledged_at FROM processing.loss ORDER BY serial"


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """A loss that was acknowledged: lines kept and signed, why, by whom, and when."""

    serial: int
    kept: int
    lost: int
    reason: str
    by: str
    at: datetime


def acknowledge(session: Session, prover: LogProver, keys: Path, *, reason: str, by: str) -> LogLoss:
    """State that the lines beyond the newest head that still fits were lost; return the statement.

    The ledger's key is replaced where it has signed a head that was lost, since the key tells the two histories apart.

    Raises:
        NotFound: nothing was lost.
        Conflict: something else does not fit either, which no loss explains.
    """
    known, _ = prover.keys()
    before = prover.losses(known)
    log_tree.set_aside(session, prover.origin, known, prover.folder, before)
    found = log_tree.heads(session, prover.origin, known, prover.folder, before)
    kept = _last_fitting(session, found)
    if not found or kept is found[-1]:
        raise NotFound("Nothing was lost: the processing log fits what was signed last.")
    faults = [*prover.newest(session).faults, *misfits(session, kept, everything=True)]
    if faults:
        raise Conflict(f"A loss does not explain everything that does not fit: {faults[0]}")
    lost = [one for one in found if kept is None or one.size > kept.size]
    known = _fresh(session, prover, keys, known, lost, before)
    _, key = prover.keys()
    told = LogLoss(
        origin=prover.origin,
        serial=len(before) + 1,
        key=key.public_key().public_bytes_raw(),
        kept=kept.size if kept is not None else 0,
        kept_root=kept.head.root if kept is not None else EMPTY_ROOT,
        lost=lost[-1].size,
        root=lost[-1].head.root,
        at=datetime.now(UTC),
    )
    note = log_loss.state(keys, told, key)
    with session.transaction():
        session.execute(_KEEP, [told.serial, note, reason, by])
        session.execute(_TELL, [by])
    log_tree.set_aside(session, prover.origin, known, prover.folder, (*before, told))
    return told


def _last_fitting(session: Session, found: list[Signed]) -> Signed | None:
    """The newest head that the log's tree still fits, None where none does."""
    try:
        size = log_tree.grow(session).size
    except Damaged as error:
        raise Conflict(f"A loss does not explain everything that does not fit: {error}.") from None
    tree = LogTree(session)
    return next((one for one in reversed(found) if one.size <= size and tree.root(one.size) == one.head.root), None)


def _fresh(  # noqa: PLR0913, PLR0917  # as `acknowledge`
    session: Session, prover: LogProver, keys: Path, known: NodeKeys, lost: list[Signed], before: tuple[LogLoss, ...]
) -> NodeKeys:
    """The node's keys, the newest of which has signed nothing of what was lost and no statement before."""
    newest = known.keys[-1].public_key
    has_signed = any(checkpoint.is_by(one.note, prover.origin, newest) for one in lost)
    if not has_signed and all(told.key != newest for told in before):
        return known
    keyring, size = Keyring.open(keys), Tree(session).size()
    return node_keys.replace(keyring.folder, known, keyring.signing_key, size=size, why=Why.ROTATED)


def listed(session: Session, prover: LogProver) -> list[Acknowledged]:
    """The losses that were acknowledged, oldest first; one whose row was lost too is told by its statement alone."""
    known, _ = prover.keys()
    rows = {row[0]: row[1:] for row in session.execute(_LISTED).fetchall()}
    found = []
    for told in prover.losses(known):
        reason, by, at = rows.get(told.serial, ("", "", told.at))
        found.append(Acknowledged(serial=told.serial, kept=told.kept, lost=told.lost, reason=reason, by=by, at=at))
    return found
