"""The acknowledgement that a part of the history was lost: the ledger goes on from what is left of it.

An administrator states it, with a reason, after a restore to an earlier position. The statement names the size and root
that were signed last and those that are kept, and is a succession of the ledger's key: the new key signs the history
that is left, and whatever the old one signed beyond counts as lost. Nothing is hidden by it: the faults that were found
stay, the statement lies with the keys and in the table `ledger.loss`, and a peer believes it only when its own
administrator does.
"""

from datetime import datetime
from pathlib import Path

import msgspec

from ledger import checkpoints, node_keys
from ledger.errors import Conflict, NotFound
from ledger.keyring import Keyring
from ledger.merkle import EMPTY_ROOT
from ledger.node_keys import Loss, NodeKeys, Succession, Why
from ledger.prover import Prover, last_fitting
from ledger.sessions import Session
from ledger.tree import Tree
from ledger.verify import verify_session

_KEEP = """
    INSERT INTO ledger.loss (serial, size, root, kept_size, kept_root, note, reason, acknowledged_by)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_LISTED = """
    SELECT serial, size, root, kept_size, kept_root, reason, acknowledged_by, acknowledged_at FROM ledger.loss
    ORDER BY serial
"""


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """A loss that was acknowledged: what was signed last, what was kept, why, by whom, and when."""

    serial: int
    size: int
    root: bytes
    kept_size: int
    kept_root: bytes
    reason: str
    by: str
    at: datetime


def acknowledge(  # noqa: PLR0913  # upon which keys it is stated, why, and by whom
    connection: Session, prover: Prover, keys: Path, *, reason: str, by: str, is_told_by_peers: bool = False
) -> Succession:
    """State that what was signed beyond the newest checkpoint that still fits was lost; return the statement.

    `is_told_by_peers`: a peer has signed for entries that are not here. Where everything that was signed still fits,
    they came after the newest checkpoint, and it is stated that what lies beyond the one before it may have been lost.

    Raises:
        NotFound: nothing was lost.
        Conflict: something else does not fit either, which no loss explains.
    """
    recall(connection, prover.keys)
    found = checkpoints.find(connection, prover.keys, prover.folder)
    tree = Tree(connection)
    newest, kept = found.newest, last_fitting(tree, found)
    if newest is not None and kept is newest and is_told_by_peers:
        kept = next((one for one in reversed(found.signed) if one.size < newest.size), None)
    if newest is None or kept is newest:
        raise NotFound("Nothing was lost: the ledger fits what was signed last.")
    left = tuple(one for one in found.signed if kept is not None and one.size <= kept.size)
    verdict = verify_session(connection, left)
    faults = (*verdict.faults, *found.faults)
    if faults:
        raise Conflict(f"A loss does not explain everything that does not fit: {faults[0]}")
    size, root = (0, EMPTY_ROOT) if kept is None else (kept.size, kept.head.root)
    loss = Loss(kept_root=root, size=newest.size, root=newest.head.root)
    keyring = Keyring.open(keys)
    known = node_keys.replace(keyring.folder, prover.keys, keyring.signing_key, size=size, why=Why.LOST, loss=loss)
    told = known.losses[-1]
    connection.execute(_KEEP, [told.serial, loss.size, loss.root, size, root, known.notes[-1], reason, by])
    if prover.folder is not None:
        checkpoints.set_aside(prover.folder, known)
    return told


def recall(connection: Session, keys: NodeKeys) -> None:
    """Write the rows of losses that their statements tell and the table does not: a crash or a restore has cost them.

    Feeds go by these rows, since who sends them need not have the keys.
    """
    there = {row[0] for row in connection.execute("SELECT serial FROM ledger.loss").fetchall()}
    for told in keys.losses:
        if told.serial not in there and told.loss is not None:
            note = keys.notes[told.serial - 1]
            row = [told.serial, told.loss.size, told.loss.root, told.size, told.loss.kept_root, note, "", ""]
            connection.execute(_KEEP, row)


def listed(connection: Session, keys: NodeKeys | None) -> list[Acknowledged]:
    """Return the losses that were acknowledged, oldest first.

    One whose row was lost too, or was never written because of a crash, is told by its statement alone.
    """
    rows = connection.execute(_LISTED).fetchall()
    told = {row[0]: _acknowledged(*row) for row in rows}
    for one in () if keys is None else keys.losses:
        if one.loss is not None and one.serial not in told:
            told[one.serial] = Acknowledged(
                serial=one.serial,
                size=one.loss.size,
                root=one.loss.root,
                kept_size=one.size,
                kept_root=one.loss.kept_root,
                reason="",
                by="",
                at=one.at,
            )
    return [told[serial] for serial in sorted(told)]


def _acknowledged(  # noqa: PLR0913, PLR0917  # the columns of a row
    serial: int, size: int, root: bytes, kept_size: int, kept_root: bytes, reason: str, by: str, at: datetime
) -> Acknowledged:
    return Acknowledged(
        serial=serial,
        size=size,
        root=bytes(root),
        kept_size=kept_size,
        kept_root=bytes(kept_root),
        reason=reason,
        by=by,
        at=at,
    )
