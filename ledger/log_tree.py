"""The Merkle tree over the processing log's chain, and its signed heads: what of the log is shown to peers.

A leaf is the hash of a line in the chain, which holds a random ticket, so that nothing can be guessed from it. Leaves
stay when a month of lines is erased: the tree goes on, and grows provably. Its heads are checkpoints
under a name of their own, signed with the key of the ledger's checkpoints; the newest lies outside PostgreSQL too.
"""

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger import checkpoint, checkpoints
from ledger.checkpoint import Head, NotCheckpoint
from ledger.checkpoints import Cosignature, Signed
from ledger.errors import Damaged
from ledger.leaf import leaf_hash
from ledger.merkle import Frontier
from ledger.node_keys import NodeKeys
from ledger.sessions import Session
from ledger.tree import Tree

FOLDER = "processing-log"
"""Where in the folder of checkpoints the newest head lies."""
AT_ONCE = 5_000

TABLES = """
CREATE TABLE IF NOT EXISTS processing.leaf (number bigint PRIMARY KEY, leaf bytea NOT NULL);
CREATE TABLE IF NOT EXISTS processing.subtree (
    level integer NOT NULL, number bigint NOT NULL, hash bytea NOT NULL, PRIMARY KEY (level, number)
);
CREATE TABLE IF NOT EXISTS processing.tree_state (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), size bigint NOT NULL, peaks bytea NOT NULL
);
INSERT INTO processing.tree_state (size, peaks) VALUES (0, '') ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS processing.checkpoint (
    size bigint NOT NULL, public_key bytea NOT NULL, note text NOT NULL, made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (size, public_key)
);
CREATE TABLE IF NOT EXISTS processing.cosignature (
    size bigint NOT NULL, witness text NOT NULL, public_key bytea NOT NULL, line text NOT NULL,
    cosigned_at timestamptz NOT NULL, PRIMARY KEY (size, witness)
);
CREATE OR REPLACE VIEW processing.standing AS
    SELECT run, checked_at, size, faults, first_fault FROM ledger.proof_state WHERE run LIKE 'processing log%';
"""
RUN = "processing log"

_LINES = "SELECT number, hash FROM processing.log WHERE number > %s AND number <= %s ORDER BY number"
_STATE = """
    INSERT INTO ledger.proof_state (run, checked_at, size, faults, first_fault)
    VALUES (%s, clock_timestamp(), %s, %s, %s)
    ON CONFLICT (run) DO UPDATE SET checked_at = excluded.checked_at, size = excluded.size, faults = excluded.faults,
        first_fault = excluded.first_fault
"""
_COSIGN = "INSERT INTO processing.cosignature VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"


class LogTree(Tree):
    """The log's tree as one session sees it."""

    LEAVES = "SELECT leaf FROM processing.leaf WHERE number > %s AND number <= %s ORDER BY number"
    SUBTREES = "SELECT hash FROM processing.subtree WHERE level = %s AND number >= %s AND number < %s ORDER BY number"
    SIZE = "SELECT size FROM processing.tree_state"


def origin_of(node: str) -> str:
    """Return how the processing log of a node is called, and the name of the key that signs its heads."""
    return f"{checkpoint.ledger_of(node)}/processing-log"


def grow(session: Session) -> Frontier:
    """Take into the tree what the log has grown by; return its right edge.

    Raises:
        Damaged: a line is missing.
    """
    row = session.execute("SELECT number FROM processing.head").fetchone()
    head = int(row[0]) if row else 0
    while True:
        with session.transaction():
            state = session.execute("SELECT size, peaks FROM processing.tree_state FOR UPDATE").fetchone()
            size, peaks = state or (0, b"")
            frontier = Frontier.from_bytes(size, peaks)
            until = min(head, size + AT_ONCE)
            if until <= size:
                return frontier
            lines = session.execute(_LINES, [size, until]).fetchall()
            if [number for number, _ in lines] != list(range(size + 1, until + 1)):
                raise Damaged(f"a line between {size + 1} and {until} of the processing log is missing")
            _take(session, frontier, [(number, leaf_hash(told)) for number, told in lines])


def _take(session: Session, frontier: Frontier, leaves: list[tuple[int, bytes]]) -> None:
    completed = frontier.extend(leaf for _, leaf in leaves)
    with session.cursor() as cursor:
        cursor.executemany("INSERT INTO processing.leaf VALUES (%s, %s)", leaves)
        cursor.executemany("INSERT INTO processing.subtree VALUES (%s, %s, %s)", completed)
    session.execute("UPDATE processing.tree_state SET size = %s, peaks = %s", [frontier.size, frontier.to_bytes()])


def read(signed: str, origin: str, keys: NodeKeys, *, only_newest: bool = False) -> Head:
    """Return a head of this log that was signed with a key of its node: any it has had, or the newest alone.

    Raises:
        NotCheckpoint: it was not, or it is not one.
    """
    problem = NotCheckpoint("No key of this node has signed this head of its processing log.")
    for key in (keys.keys[-1],) if only_newest else reversed(keys.keys):
        try:
            return checkpoint.read(signed, origin=origin, key=Ed25519PublicKey.from_public_bytes(key.public_key))
        except NotCheckpoint as error:
            problem = error
    raise problem


class Newest(msgspec.Struct, frozen=True):
    """The newest head that was signed and holds, and what lies where one should lie and does not hold."""

    signed: Signed | None
    faults: tuple[str, ...]


def newest(session: Session, origin: str, keys: NodeKeys, folder: Path | None) -> Newest:
    """Return the newest head that is kept, in PostgreSQL or outside of it."""
    row = session.execute("SELECT note FROM processing.checkpoint ORDER BY size DESC, made_at DESC LIMIT 1").fetchone()
    told = [(row[0], "the database", True)] if row else []
    path = None if folder is None else folder / FOLDER / checkpoints.NEWEST
    if path is not None and path.exists():
        text = path.read_bytes()[: checkpoints.MOST_FILE_BYTES + 1].decode(errors="replace")
        told.append((text, str(path), False))
    found, faults = list[Signed](), list[str]()
    for text, place, is_stored in told:
        try:
            found.append(Signed(read(text, origin, keys), text, place, is_stored))
        except NotCheckpoint as error:
            faults.append(f"The head of the processing log that is kept in {place} does not hold: {error}")
    return Newest(max(found, key=lambda one: one.size, default=None), tuple(faults))


def store(session: Session, head: Head, key: Ed25519PrivateKey, folder: Path | None) -> str:
    """Sign a head and keep it, outside of PostgreSQL and then in it, from where others have it; return it."""
    signed = checkpoint.sign(head, key)
    keep(folder, signed, head)
    session.execute(
        "INSERT INTO processing.checkpoint (size, public_key, note) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [head.size, key.public_key().public_bytes_raw(), signed],
    )
    return signed


def keep(folder: Path | None, signed: str, head: Head) -> None:
    """Keep a head outside of PostgreSQL, unless a newer one lies there."""
    if folder is not None:
        checkpoints.keep(folder / FOLDER, signed, head)


def store_cosignature(session: Session, size: int, told: Cosignature) -> None:
    """Keep a witness's cosignature, which the caller has verified."""
    session.execute(_COSIGN, [size, told.witness, told.public_key, told.line, told.cosigned_at])


def note(session: Session, size: int, faults: tuple[str, ...], *, witness: str | None = None) -> None:
    """Store how the log stands: by our own look, or what a witness said of its head."""
    run = RUN if witness is None else f"{RUN}, witness {witness}"
    session.execute(_STATE, [run, size, len(faults), faults[0] if faults else None])
