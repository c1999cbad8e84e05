"""The processing log's own prover: each minute it recomputes what came since the head it signed last, daily all of it.

Nothing is signed that does not fit. What it found is stored, and shown by `ncen status` and `ncen log verify`. It goes
by the newest head that lies outside of PostgreSQL, so that a log cut off or recomputed in the database alone is
found here. What was recomputed with the host's files and key too, only peers can tell.
"""

from datetime import datetime
from pathlib import Path
from typing import Self

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from access import reports
from ledger import checkpoint, log_loss, log_tree, node_keys
from ledger.checkpoint import Head
from ledger.checkpoints import Signed
from ledger.errors import Damaged, NotFound
from ledger.keyring import Keyring
from ledger.log_loss import LogLoss
from ledger.log_tree import LogTree, Newest
from ledger.merkle import Frontier
from ledger.node_keys import NodeKeys
from ledger.sessions import Session

EVERY_S = 60.0
AT_ONCE = 10_000


class LogProver:
    """Signs the heads of one node's processing log."""

    def __init__(self, node: str, keys: Path, folder: Path | None) -> None:
        """Use the keys of this folder; `folder` is where checkpoints are kept outside of PostgreSQL."""
        self.origin = log_tree.origin_of(node)
        self.folder = folder
        self._node = node
        self._keys = keys

    @classmethod
    def open(cls, keys: Path, *, node: str, folder: Path | None) -> Self:
        """Take the keys that are there.

        Raises:
            Unsafe: they are not safe, or do not hold.
        """
        made = cls(node, keys, folder)
        made.keys()
        return made

    def keys(self) -> tuple[NodeKeys, Ed25519PrivateKey]:
        """The keys that the node has had, and the one that signs now; read each time, since one may be replaced."""
        keyring = Keyring.open(self._keys)
        known = node_keys.known(keyring.folder, self._node, keyring.first_identity)
        return known, node_keys.signer(keyring.folder, known, keyring.signing_key)

    def losses(self, known: NodeKeys) -> tuple[LogLoss, ...]:
        """The losses that were acknowledged, oldest first.

        Raises:
            Unsafe: a statement of one does not hold.
        """
        return log_loss.known(self._keys, self.origin, known)

    def newest(self, session: Session) -> Newest:
        """The newest head that was signed, and what lies in the place of one."""
        known, _ = self.keys()
        return log_tree.newest(session, self.origin, known, self.folder, self.losses(known))

    def look(self, session: Session, *, everything: bool = False) -> tuple[str, ...]:
        """Recompute what came since the newest head (or everything), store what was found, and sign what fits."""
        known, key = self.keys()
        losses = self.losses(known)
        log_tree.set_aside(session, self.origin, known, self.folder, losses)
        found = log_tree.newest(session, self.origin, known, self.folder, losses)
        faults, head = list(found.faults), None
        try:
            edge = log_tree.grow(session)
            head = Head(self.origin, edge.size, edge.root())
            faults += misfits(session, found.signed, everything=everything)
        except Damaged as error:
            faults.append(str(error))
        if head is not None and head.size and not faults:
            self._sign(session, head, found.signed, key)
        log_tree.note(session, head.size if head else 0, tuple(faults))
        return tuple(faults)

    def _sign(self, session: Session, head: Head, newest: Signed | None, key: Ed25519PrivateKey) -> None:
        public_key = key.public_key().public_bytes_raw()
        is_signed = newest is not None and newest.head == head and newest.is_stored
        if newest is not None and is_signed and checkpoint.is_by(newest.note, self.origin, public_key):
            log_tree.keep(self.folder, newest.note, head)
        else:
            log_tree.store(session, head, key, self.folder)


def misfits(session: Session, newest: Signed | None, *, everything: bool = False) -> list[str]:
    """What of the tree and of the newest lines (or of all) does not fit the newest head that was signed."""
    if newest is None or everything:
        of_chain = [_of_chain(gap) for gap in reports.verify(session).gaps]
        return of_chain + misfits_of_tree(session, newest)
    tree = LogTree(session)
    try:
        if tree.root(newest.size) != newest.head.root:
            return [f"The processing log is another, up to line {newest.size}, than when that was signed."]
    except (NotFound, IndexError, ValueError):
        there = min(tree.size(), reports.head(session)[0])
        return [f"The processing log was signed up to line {newest.size} and has {there} now: it was cut off."]
    return [_of_chain(gap) for gap in reports.verify(session, since=newest.size).gaps]


def misfits_of_tree(session: Session, newest: Signed | None) -> list[str]:
    """Recompute the whole tree from its leaves, those of erased lines too, and compare it with what was signed."""
    faults, edge = list[str](), Frontier()
    with session.transaction(), session.cursor("leaves") as cursor:
        cursor.execute("SELECT number, leaf FROM processing.leaf ORDER BY number")
        while rows := cursor.fetchmany(AT_ONCE):
            if [number for number, _ in rows] != list(range(edge.size + 1, edge.size + len(rows) + 1)):
                return [f"A leaf after line {edge.size} of the processing log's tree is missing."]
            leaves = [leaf for _, leaf in rows]
            at = 0 if newest is None else newest.size - edge.size
            if newest is not None and 0 < at <= len(leaves):
                edge.extend(leaves[:at])
                leaves = leaves[at:]
                if edge.root() != newest.head.root:
                    faults.append(
                        f"The processing log is another, up to line {newest.size}, than when that was signed."
                    )
            edge.extend(leaves)
    if newest is not None and newest.size > edge.size:
        faults.append(
            f"The processing log was signed up to line {newest.size} and has {edge.size} now: it was cut off."
        )
    return faults


class Witnessed(msgspec.Struct, frozen=True):
    """A peer that has cosigned the log's head: up to which line and when, and what it said is wrong, if anything."""

    witness: str
    size: int
    at: datetime | None
    problem: str | None


def witnessed(session: Session) -> list[Witnessed]:
    """What peers hold of the log, and what they said of it last."""
    rows = session.execute(
        "SELECT coalesce(c.witness, s.witness), coalesce(c.size, 0), c.cosigned_at, s.problem FROM"
        " (SELECT DISTINCT ON (witness) witness, size, cosigned_at FROM processing.cosignature"
        "  ORDER BY witness, size DESC) c"
        " FULL JOIN (SELECT split_part(run, 'witness ', 2) AS witness,"
        "  CASE WHEN faults > 0 THEN first_fault END AS problem FROM processing.standing WHERE run LIKE '%witness %') s"
        " ON s.witness = c.witness ORDER BY 1"
    ).fetchall()
    return [Witnessed(*row) for row in rows]


def _of_chain(gap: reports.Gap) -> str:
    return f"Line {gap.number} of the processing log {gap.what}."
