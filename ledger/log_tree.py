"""The Merkle tree over the processing log's chain, and its signed heads: what of the log is shown to peers.

A leaf is the hash of a line in the chain, which holds a random ticket, so that nothing can be guessed from it. Leaves
stay when a month of lines is erased: the tree goes on, and grows provably. Its heads are checkpoints
under a name of their own, signed with the key of the ledger's checkpoints; the newest lies outside PostgreSQL too.
"""

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger import checkpoint, checkpoints, log_loss
from ledger.checkpoint import Head, NotCheckpoint
from ledger.checkpoints import Cosignature, Signed
from ledger.errors import Damaged
from ledger.leaf import leaf_hash
from ledger.log_loss import LogLoss
from ledger.merkle import Frontier
from ledger.node_keys import NodeKeys
from ledger.sessions import Session
from ledger.tree import Tree

FOLDER = "processing-log"
"""Where in the folder of checkpoints the newest head lies."""
ASIDE = "lost-"
"""With what the name of a file begins whose head is of a history that was lost."""
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
CREATE TABLE IF NOT EXISTS processing.loss (
    serial integer PRIMARY KEY, note text NOT NULL, reason text NOT NULL, acknowledged_by text NOT NULL,
    acknowledged_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS processing.lost_checkpoint (
    serial integer NOT NULL, size bigint NOT NULL, public_key bytea NOT NULL, note text NOT NULL,
    made_at timestamptz NOT NULL, cosigned text NOT NULL, PRIMARY KEY (serial, size, public_key)
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
_LOST = """
    INSERT INTO processing.lost_checkpoint
    SELECT %s, size, public_key, note, made_at, coalesce((SELECT string_agg(line, '' ORDER BY witness)
        FROM processing.cosignature o WHERE o.size = c.size), '')
    FROM processing.checkpoint c WHERE (size, public_key) IN (SELECT * FROM unnest(%s::bigint[], %s::bytea[]))
    ON CONFLICT DO NOTHING
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


def newest(
    session: Session, origin: str, keys: NodeKeys, folder: Path | None, losses: tuple[LogLoss, ...] = ()
) -> Newest:
    """Return the newest head that is kept, in PostgreSQL or outside of it; of a history that was lost none counts."""
    row = session.execute("SELECT note FROM processing.checkpoint ORDER BY size DESC, made_at DESC LIMIT 1").fetchone()
    told = [(row[0], "the database", True)] if row else []
    told += [(text, str(path), False) for path, text in _files(folder) if path.name == checkpoints.NEWEST]
    found, faults = _holding(told, origin, keys, losses)
    return Newest(max(found, key=lambda one: one.size, default=None), tuple(faults))


def heads(
    session: Session, origin: str, keys: NodeKeys, folder: Path | None, losses: tuple[LogLoss, ...] = ()
) -> list[Signed]:
    """Return all heads that are kept and hold, smallest first."""
    rows = session.execute("SELECT note FROM processing.checkpoint ORDER BY size").fetchall()
    told = [(text, "the database", True) for (text,) in rows]
    told += [(text, str(path), False) for path, text in _files(folder)]
    return sorted(_holding(told, origin, keys, losses)[0], key=lambda one: one.size)


def _holding(
    told: list[tuple[str, str, bool]], origin: str, keys: NodeKeys, losses: tuple[LogLoss, ...]
) -> tuple[list[Signed], list[str]]:
    found, faults = list[Signed](), list[str]()
    for text, place, is_stored in told:
        if losses and log_loss.is_lost(text, origin, keys, losses) is not None:
            continue
        try:
            found.append(Signed(read(text, origin, keys), text, place, is_stored))
        except NotCheckpoint as error:
            faults.append(f"The head of the processing log that is kept in {place} does not hold: {error}")
    return found, faults


def _files(folder: Path | None) -> list[tuple[Path, str]]:
    """Heads that lie outside of PostgreSQL, but for those that were set aside."""
    paths = [] if folder is None else sorted((folder / FOLDER).glob("*.note"))
    kept = [path for path in paths if not path.name.startswith(ASIDE)]
    return [(path, path.read_bytes()[: checkpoints.MOST_FILE_BYTES + 1].decode(errors="replace")) for path in kept]


def set_aside(session: Session, origin: str, keys: NodeKeys, folder: Path | None, losses: tuple[LogLoss, ...]) -> None:
    """Let the heads of a history that was lost, and what peers cosigned of them, lie by themselves.

    They keep their content, with the number of the statement by which the loss was acknowledged. To be repeated at
    will.
    """
    if not losses:
        return
    with session.transaction():
        rows = session.execute("SELECT size, public_key, note FROM processing.checkpoint ORDER BY size").fetchall()
        for told in losses:
            lost = [row for row in rows if log_loss.is_lost(row[2], origin, keys, (told,)) is not None]
            if not lost:
                continue
            sizes, public_keys = [row[0] for row in lost], [row[1] for row in lost]
            session.execute(_LOST, [told.serial, sizes, public_keys])
            session.execute(
                "DELETE FROM processing.checkpoint WHERE (size, public_key) IN"
                " (SELECT * FROM unnest(%s::bigint[], %s::bytea[]))",
                [sizes, public_keys],
            )
            session.execute("DELETE FROM processing.cosignature WHERE size = ANY(%s)", [sizes])
    for path, text in _files(folder):
        serial = log_loss.is_lost(text, origin, keys, losses)
        if serial is not None:
            path.replace(path.with_name(f"{ASIDE}{serial}-{path.name}"))


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


def wait(session: Session, size: int, what: str, *, witness: str) -> None:
    """Store what a witness waits for before it cosigns the log again: it is shown, and is no fault."""
    session.execute(_STATE, [f"{RUN}, witness {witness}", size, 0, what])
