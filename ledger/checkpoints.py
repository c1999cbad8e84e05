"""The ledger's signed checkpoints: kept in PostgreSQL, and again in files of the node outside of it.

Every checkpoint is read with the node's public keys before it counts, wherever it lay. The newest one, and the last of
each day, lie as files in the node's home: an older copy of the database, or a server that starts some entries short
without a word, does not bring the files back with it. A newer checkpoint is never replaced by an older one.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger import checkpoint, note
from ledger.checkpoint import Head, NotCheckpoint
from ledger.node_keys import NodeKeys
from ledger.sessions import Session
from ledger.verdict import Fault
from ledger.whole_file import alone_in, make_folder, write_whole

NEWEST = "newest.note"
MOST_FILE_BYTES = checkpoint.MOST_NOTE_BYTES

_STORE = "INSERT INTO ledger.checkpoint (size, key_id, note) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_NOTES = "SELECT size, note FROM ledger.checkpoint WHERE size >= %s ORDER BY size"
_NEWEST = "SELECT size, note FROM ledger.checkpoint ORDER BY size DESC LIMIT 1"
_COSIGN = """
    INSERT INTO ledger.cosignature (size, witness, public_key, line, cosigned_at) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING
"""
_COSIGNATURES = "SELECT witness, public_key, line, cosigned_at FROM ledger.cosignature WHERE size = %s ORDER BY witness"


class Signed(msgspec.Struct, frozen=True):
    """A checkpoint that was signed with a key of the node, and where it lay."""

    head: Head
    note: str
    place: str

    is_stored: bool = False
    """Whether it lies in PostgreSQL, from where others have it."""

    @property
    def size(self) -> int:
        """How many entries it speaks of."""
        return self.head.size


class Cosignature(msgspec.Struct, frozen=True):
    """A peer's word that it has seen a checkpoint, and that the ledger had only grown since the one before."""

    witness: str
    public_key: bytes
    line: str
    cosigned_at: datetime


class Found(msgspec.Struct, frozen=True):
    """Checkpoints that hold, by size, and what lies where one should lie and does not hold."""

    signed: tuple[Signed, ...]
    faults: tuple[Fault, ...]
    lost: tuple[str, ...] = ()
    """Where those lie that are of a history whose loss was acknowledged."""

    @property
    def newest(self) -> Signed | None:
        """The one that speaks of the most entries."""
        return self.signed[-1] if self.signed else None


def find(connection: Session, keys: NodeKeys, folder: Path | None, *, only_newest: bool = False) -> Found:
    """Read the checkpoints that are kept, in PostgreSQL and in the node's folder: all, or the newest of each."""
    rows = connection.execute(_NEWEST) if only_newest else connection.execute(_NOTES, [0])
    told = [(text, f"the database, for {size} entries", size) for size, text in rows.fetchall()]
    told += [(text, str(path), None) for path, text in _files(folder, only_newest=only_newest)]
    signed: dict[tuple[int, bytes], Signed] = {}
    faults, lost = [], []
    for text, place, size in told:
        try:
            head = keys.read(text)
        except NotCheckpoint as error:
            if keys.losses and _is_lost(keys, text):
                lost.append(place)
                continue
            faults.append(Fault(size, None, None, f"the checkpoint kept in {place}, does not hold. {error}"))
            continue
        if size not in {None, head.size}:
            faults.append(Fault(size, None, None, f"the checkpoint kept in {place}, is for {head.size}."))
        signed.setdefault((head.size, head.root), Signed(head, text, place, size is not None))
    return Found(tuple(sorted(signed.values(), key=lambda one: one.size)), tuple(faults), tuple(lost))


def _is_lost(keys: NodeKeys, text: str) -> bool:
    try:
        return keys.is_lost(text)
    except NotCheckpoint:
        return False


def set_aside(folder: Path, keys: NodeKeys) -> None:
    """Let what was signed of a lost history lie under names of its own, so that what is signed now is kept beside it.

    A file, and the folder of tiles, whose checkpoint is of that history keeps its content and gets the number of the
    statement by which the loss was acknowledged.
    """
    if not keys.losses or not folder.is_dir():
        return
    serial = keys.losses[-1].serial
    for path in folder.glob("*.note"):
        if not path.name.startswith("lost-") and _is_lost(keys, path.read_text(encoding="utf-8", errors="replace")):
            path.replace(folder / f"lost-{serial}-{path.name}")
    for tiles in folder.glob("tiles/checkpoint"):
        if _is_lost(keys, tiles.read_text(encoding="utf-8", errors="replace")):
            tiles.parent.replace(folder / f"lost-{serial}-tiles")


def store(connection: Session, signed: str, head: Head, key: Ed25519PublicKey, folder: Path | None) -> None:
    """Keep a checkpoint that we signed: as a file first, if it is newer than the one there, then in PostgreSQL.

    From there others have it: by then it lies where no older copy of the database takes it away.
    """
    if folder is not None:
        keep(folder, signed, head)
    key_id = note.key_id(head.origin, note.SIGNATURE, key)
    connection.execute(_STORE, [head.size, key_id, signed])


def keep(folder: Path, signed: str, head: Head) -> None:
    """Write a checkpoint into the node's folder, whole and flushed, unless a newer one lies there.

    Of several who keep one at once, none puts an older one in the place of what another has just written.
    """
    make_folder(folder)
    with alone_in(folder):
        for name in (NEWEST, f"{datetime.now(UTC).date().isoformat()}.note"):
            path = folder / name
            if _size_of(path) < head.size:
                write_whole(path, signed.encode())


def store_cosignature(connection: Session, size: int, told: Cosignature) -> None:
    """Keep a witness's cosignature, which the caller has verified, beside the checkpoint that it is of."""
    row = [size, told.witness, told.public_key, told.line, told.cosigned_at]
    connection.execute(_COSIGN, row)


def cosignatures(connection: Session, size: int) -> list[Cosignature]:
    """Return who has cosigned the checkpoint of this size, as it was stored."""
    return [Cosignature(*row) for row in connection.execute(_COSIGNATURES, [size]).fetchall()]


def with_cosignatures(signed: str, told: Iterable[Cosignature]) -> tuple[str, list[Cosignature]]:
    """Return a note with the cosignatures that hold below it, and those."""
    held: list[Cosignature] = []
    for one in told:
        cosigned = signed + one.line
        try:
            checkpoint.read_cosignature(cosigned, one.witness, Ed25519PublicKey.from_public_bytes(one.public_key))
        except (NotCheckpoint, ValueError):
            continue
        signed = cosigned
        held.append(one)
    return signed, held


def since(found: Sequence[Signed], size: int) -> Iterator[Signed]:
    """Return those that speak of more than so many entries, smallest first."""
    return (one for one in found if one.size > size)


def _files(folder: Path | None, *, only_newest: bool) -> Iterator[tuple[Path, str]]:
    if folder is None or not folder.is_dir():
        return
    for path in sorted(folder.glob(NEWEST if only_newest else "*.note")):
        raw = path.read_bytes()[: MOST_FILE_BYTES + 1]
        yield path, raw.decode(errors="replace")


def _size_of(path: Path) -> int:
    """Return of how many entries a kept file speaks; -1 where it is not there or is not a checkpoint."""
    try:
        return checkpoint.unsigned(path.read_bytes()[: MOST_FILE_BYTES + 1].decode(errors="replace")).size
    except (FileNotFoundError, NotCheckpoint):
        return -1
