"""The prover: every minute it verifies what came since the last signed checkpoint, and signs anew; daily, everything.

Nothing is signed that does not fit. A fault is stored, shown by `ncen status`, and looked for again each minute until
it is gone. The newest checkpoint that it goes by lies outside PostgreSQL too, so that a database that ends short, or is
an older copy, is found by the next look. Provers of one node may compete: checkpoints are only ever added.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import checkpoint, checkpoints, node_keys, schema
from ledger.checkpoint import Head, NotCheckpoint
from ledger.checkpoints import Found, Signed
from ledger.errors import Conflict, Damaged, NotFound
from ledger.keyring import Keyring
from ledger.node_keys import NodeKeys
from ledger.sessions import Session, connect
from ledger.tiles import Tiles
from ledger.tree import Tree
from ledger.verdict import Fault, Verdict
from ledger.verify import verify_session

EVERY_S = 60.0
FULL_EVERY = timedelta(days=1)
LONGEST_BACK_OFF_S = 60.0
MOST_STORED = 1_000
TAIL, FULL = "tail", "full"
TILES = "tiles"

_STATE = """
    INSERT INTO ledger.proof_state (run, checked_at, size, faults, first_fault) VALUES (%s, now(), %s, %s, %s)
    ON CONFLICT (run) DO UPDATE SET checked_at = excluded.checked_at, size = excluded.size, faults = excluded.faults,
        first_fault = excluded.first_fault
"""
_FAULT = """
    INSERT INTO ledger.fault (run, position, record_id, version, what)
    SELECT %(run)s, %(position)s, %(record)s, %(version)s, %(what)s WHERE NOT EXISTS (
        SELECT FROM ledger.fault f WHERE (f.position, f.record_id, f.version, f.what)
        IS NOT DISTINCT FROM (%(position)s::bigint, %(record)s::uuid, %(version)s::int, %(what)s))
"""
_LAST_FULL = "SELECT checked_at FROM ledger.proof_state WHERE run = 'full'"

log = structlog.get_logger("ledger")


class Prover:
    """Verifies and signs for one node, through a session that the caller brings."""

    def __init__(self, node: str, signing_key: Ed25519PrivateKey, keys: NodeKeys, folder: Path | None) -> None:
        """Sign with this key, go by these; `folder` is where checkpoints are kept outside of PostgreSQL."""
        self.origin = checkpoint.ledger_of(node)
        self.keys = keys
        self.folder = folder
        self.tiles = None if folder is None else Tiles(folder / TILES)
        self._signing_key = signing_key

    @classmethod
    def open(cls, keys: Path, *, node: str, folder: Path | None) -> "Prover":
        """Take the key that the node signs with, and those it has had, from its keys folder.

        Raises:
            Unsafe: the folder is not safe, or the successions in it do not hold.
        """
        keyring = Keyring.open(keys)
        known = node_keys.known(keyring.folder, node, keyring.first_identity)
        return cls(node, node_keys.signer(keyring.folder, known, keyring.signing_key), known, folder)

    def look(self, connection: Session) -> Verdict:
        """Verify what came since the newest checkpoint, store what was found, and sign where nothing is wrong."""
        if self.folder is not None:
            checkpoints.set_aside(self.folder, self.keys)
        verdict, anchor = self.examine(connection)
        if verdict.is_sound and verdict.entries:
            try:
                self._sign(connection, verdict, anchor)
            except (Conflict, Damaged, NotFound, NotCheckpoint) as error:  # of the tiles
                fault = Fault(None, None, None, f"the tiles kept outside of the database do not fit. {error}")
                verdict = msgspec.structs.replace(verdict, faults=(fault,))
        _store(connection, TAIL, verdict)
        return verdict

    def examine(self, connection: Session) -> tuple[Verdict, Signed | None]:
        """Verify what came since the newest checkpoint that still fits; return that too."""
        found = checkpoints.find(connection, self.keys, self.folder, only_newest=True)
        anchor = found.newest
        if anchor is not None and not _fits(Tree(connection), anchor):  # say where, by all that was ever signed
            found = checkpoints.find(connection, self.keys, self.folder)
            anchor = last_fitting(Tree(connection), found)
        return _joined(verify_session(connection, found.signed, since=anchor), found), anchor

    def look_at_all(self, connection: Session) -> Verdict:
        """Verify everything, by all checkpoints that are kept, and store what was found."""
        found = checkpoints.find(connection, self.keys, self.folder)
        verdict = _joined(verify_session(connection, found.signed), found)
        _store(connection, FULL, verdict)
        return verdict

    def _sign(self, connection: Session, verdict: Verdict, anchor: Signed | None) -> None:
        """Sign what stands, unless that was done and stored; keep a newer copy outside of PostgreSQL in any case.

        What lies outside alone is signed once more: who wrote it there was stopped before it was stored.
        """
        head = Head(self.origin, verdict.entries, verdict.root)
        if anchor is None or anchor.head != head or not anchor.is_stored:
            signed = checkpoint.sign(head, self._signing_key)
            checkpoints.store(connection, signed, head, self._signing_key.public_key(), self.folder)
            if self.tiles is not None:
                self.tiles.write(connection, signed, head)
        elif self.folder is not None:
            checkpoints.keep(self.folder, anchor.note, anchor.head)


def run(database_url: str, *, node: str, keys: Path, folder: Path, stop: threading.Event) -> None:
    """Look every minute, and at all once a day, until told to stop; a server that is gone is waited for.

    Raises:
        Unsafe: the server's settings would lose what it acknowledges, or the keys are not safe.
    """

    def opened() -> Prover:
        return Prover.open(keys, node=node, folder=folder)  # each time: a key may have been replaced

    opened()
    whole = threading.Thread(target=_look_at_all, args=(database_url, opened, stop), name="ncen-prove-all")
    whole.start()
    back_off_s = 1.0
    while not stop.is_set():
        try:
            with connect(database_url, statement_timeout_ms=0) as connection:
                schema.prepare_session(connection)
                while not stop.is_set():
                    _tell(TAIL, opened().look(connection))
                    back_off_s = 1.0
                    stop.wait(EVERY_S)
        except psycopg.OperationalError:
            stop.wait(back_off_s)
            back_off_s = min(back_off_s * 2, LONGEST_BACK_OFF_S)
    whole.join()


def _look_at_all(database_url: str, opened: Callable[[], Prover], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            with connect(database_url, statement_timeout_ms=0) as connection:
                if _is_due(connection):
                    _tell(FULL, opened().look_at_all(connection))
        except psycopg.Error as error:
            log.warning("prove.interrupted", run=FULL, error=type(error).__name__)
        stop.wait(EVERY_S)


def _is_due(connection: Session) -> bool:
    row = connection.execute(_LAST_FULL).fetchone()
    return row is None or datetime.now(UTC) - row[0] >= FULL_EVERY


def _fits(tree: Tree, signed: Signed) -> bool:
    """Tell whether the tree is as large as was signed for, and had the root that was signed then."""
    if signed.size > tree.size():
        return False
    edge = tree.frontier(signed.size)
    return edge is not None and edge.root() == signed.head.root


def last_fitting(tree: Tree, found: Found) -> Signed | None:
    """Return the newest checkpoint that the tree still fits, to begin at: what lies before it is as it was signed."""
    low, high = -1, len(found.signed) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _fits(tree, found.signed[middle]) else (low, middle - 1)
    return found.signed[low] if low >= 0 else None


def _joined(verdict: Verdict, found: Found) -> Verdict:
    return msgspec.structs.replace(verdict, faults=(*verdict.faults, *found.faults))


def _store(connection: Session, which: str, verdict: Verdict) -> None:
    """Store how checking stands, and each fault once."""
    with connection.transaction():
        first = str(verdict.faults[0]) if verdict.faults else None
        connection.execute(_STATE, [which, verdict.entries, len(verdict.faults), first])
        for fault in verdict.faults[:MOST_STORED]:
            connection.execute(_FAULT, _columns(which, fault))


def note_of_witness(connection: Session, witness: str, size: int, problem: str | None) -> None:
    """Store what a witness said of our checkpoint: that it has cosigned, or as a fault why not."""
    faults = () if problem is None else (Fault(None, None, None, problem),)
    _store(connection, f"witness {witness}", Verdict(entries=size, root=b"", faults=faults))


def wait_for_witness(connection: Session, witness: str, what: str) -> None:
    """Store what a witness waits for before it cosigns again: it is shown, and is no fault."""
    connection.execute(_STATE, [f"witness {witness}", Tree(connection).size(), 0, what])


def _columns(which: str, fault: Fault) -> dict[str, object]:
    return {
        "run": which,
        "position": fault.position,
        "record": fault.record_id,
        "version": fault.version,
        "what": fault.what,
    }


def _tell(which: str, verdict: Verdict) -> None:
    """Log how a look ended: counts and places, nothing that was recorded."""
    if verdict.is_sound:
        log.info("prove.fits", run=which, entries=verdict.entries, since=verdict.since)
    else:
        first = verdict.faults[0]
        log.error("prove.fault", run=which, faults=len(verdict.faults), position=first.position, what=first.what)
