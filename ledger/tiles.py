"""The ledger's tree as C2SP tiles (tlog-tiles): files of up to 256 hashes, from which any proof can be made again.

A tile that is full never changes: one that would is refused, and so is a tree that is not the one the folder's
checkpoint was signed for. The checkpoint is written last. Tiles hold hashes only, so that they tell the ledger's size
and nothing of what is in it; kept outside of PostgreSQL they name each entry that was forged together with its leaf.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from ledger import checkpoint, given_file, merkle
from ledger.checkpoint import MOST_NOTE_BYTES, Head, NotCheckpoint
from ledger.errors import Conflict, Damaged, NotFound
from ledger.leaf import HASH_BYTES
from ledger.merkle import SUBTREE_LEVELS
from ledger.sessions import Session
from ledger.tree import WIDTH, Tree
from ledger.verdict import Fault
from ledger.whole_file import flush_folder, make_folder

CHECKPOINT = "checkpoint"
LEVELS = 8
PARTIAL = re.compile(r"[1-9][0-9]{0,2}")
MOST_MISSING = 100
"""After so many tiles that are not there, no more are looked for."""
_LEAVES = "SELECT position, leaf, record_id, version FROM ledger.sealed WHERE position > %s AND position <= %s"


def path_of(level: int, number: int, width: int = WIDTH) -> str:
    """Return where a tile lies: its number in groups of three digits, all but the last marked with an x."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    partial = f".p/{width}" if width < WIDTH else ""
    return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"


class Tiles:
    """The tiles in a folder, and the checkpoint beside them."""

    def __init__(self, folder: Path) -> None:
        """Read and write below this folder."""
        self.folder = folder

    def head(self) -> Head | None:
        """Return what the checkpoint beside the tiles says, None where there is none; its signature is not looked at.

        Raises:
            NotCheckpoint: it is not one.
        """
        try:
            (self.folder / CHECKPOINT).lstat()
            return checkpoint.unsigned(given_file.read(self.folder / CHECKPOINT, MOST_NOTE_BYTES).decode())
        except FileNotFoundError:
            return None
        except (given_file.Unusable, UnicodeDecodeError):
            raise NotCheckpoint("It cannot be read.") from None

    def write(self, connection: Session, signed: str, head: Head) -> int:
        """Write the tiles that the tree of this checkpoint has and the folder has not; return how many.

        Raises:
            Conflict: the folder's tiles are of another history, or of a larger tree.
            Damaged: the tree does not have the root that was signed.
            NotFound: the ledger is not as large.
        """
        tree, before = Tree(connection), self.head()
        had = 0 if before is None else before.size
        if before is not None and (had > head.size or before.origin != head.origin):
            raise Conflict("The tiles in this folder are of a larger tree, or of another ledger.")
        if before is not None and tree.root(had) != before.root:
            raise Conflict("The tiles in this folder are of another history than the ledger's.")
        written = sum(self._write_level(tree, level, had, head.size) for level in range(LEVELS))
        if self.root(head.size) != head.root:
            raise Damaged("The tiles do not come to the root that was signed.")
        _replace(self.folder / CHECKPOINT, signed.encode())
        return written

    def _write_level(self, tree: Tree, level: int, had: int, size: int) -> int:
        below = SUBTREE_LEVELS * level
        first, full, width = had >> below + SUBTREE_LEVELS, size >> below + SUBTREE_LEVELS, (size >> below) % WIDTH
        for number in range(first, full):
            self._write_tile(level, number, tree.tile(below, number, WIDTH))
            shutil.rmtree(self.folder / f"{path_of(level, number)}.p", ignore_errors=True)
        if width:
            self._write_tile(level, full, tree.tile(below, full, width))
        return full - first + bool(width)

    def _write_tile(self, level: int, number: int, hashes: list[bytes]) -> None:
        path = self.folder / path_of(level, number, len(hashes))
        raw = b"".join(hashes)
        if path.exists() and _read(path, path_of(level, number, len(hashes))) != raw:
            raise Conflict(f"The tile {path_of(level, number, len(hashes))} holds other hashes than the ledger's tree.")
        _replace(path, raw)

    # -- from tiles alone

    def root(self, size: int) -> bytes:
        """Return the root of the tree over the first `size` entries.

        Raises:
            NotFound: a tile that is needed is not there.
        """
        return merkle.EMPTY_ROOT if size == 0 else merkle.range_hash(self.subtree, 0, size)

    def subtree(self, level: int, number: int) -> bytes:
        """Return the hash of a complete subtree: one that a tile holds, or of those in a tile below it."""
        kept, above = level - level % SUBTREE_LEVELS, level % SUBTREE_LEVELS
        first = number << above
        at = first % WIDTH
        nodes = self.hashes(kept // SUBTREE_LEVELS, first // WIDTH)[at : at + (1 << above)]
        if len(nodes) < 1 << above:
            raise NotFound(f"The tile {path_of(kept // SUBTREE_LEVELS, first // WIDTH)} is not whole.")
        while len(nodes) > 1:
            nodes = [merkle.node_hash(*pair) for pair in zip(nodes[::2], nodes[1::2], strict=True)]
        return nodes[0]

    def hashes(self, level: int, number: int) -> list[bytes]:
        """Return the hashes of a tile, the fullest one where only partial ones are there."""
        full = self.folder / path_of(level, number)
        partial = Path(f"{full}.p")
        if not full.exists() and not partial.is_dir():
            raise NotFound(f"The tile {path_of(level, number)} is not there.")
        names = () if full.exists() else (path.name for path in partial.iterdir())
        widths = [int(name) for name in names if PARTIAL.fullmatch(name)]
        raw = _read(partial / str(max(widths)) if widths else full, path_of(level, number))
        return [raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)]

    # -- compared with the ledger

    def faults(self, connection: Session) -> Iterator[Fault]:
        """Name each entry whose leaf is not the one in the tiles: forged, displaced, or gone."""
        head, missing = self.head(), 0
        for number in range(0 if head is None else (head.size + WIDTH - 1) // WIDTH):
            first = number * WIDTH
            try:
                kept = self.hashes(0, number)
            except NotFound as error:
                yield Fault(first + 1, None, None, f"the tiles kept outside of the database are not whole. {error}")
                missing += 1
                if missing == MOST_MISSING:
                    return  # the checkpoint beside them may claim any size
                continue
            rows = connection.cursor(binary=True).execute(_LEAVES, [first, first + WIDTH]).fetchall()
            found = {position: (bytes(leaf), record, version) for position, leaf, record, version in rows}
            for position, expected in enumerate(kept, start=first + 1):
                leaf, record, version = found.get(position, (None, None, None))
                if leaf is None:
                    yield Fault(position, None, None, "it was sealed here, and position and leaf are gone.")
                elif leaf != expected:
                    what = "its leaf is not the one that was sealed here and kept outside of the database."
                    yield Fault(position, record, version, what)


def _read(path: Path, name: str) -> bytes:
    try:
        return given_file.read(path, WIDTH * HASH_BYTES)
    except given_file.Unusable:
        raise NotFound(f"The tile {name} cannot be read.") from None


def _replace(path: Path, raw: bytes) -> None:
    """Write a file whole, in place of what is there; it and its folder are flushed: no checkpoint outlasts it."""
    if not path.parent.is_dir():
        make_folder(path.parent, mode=0o777)
    new = path.with_name(f".new-{path.name}-{os.getpid()}")
    with new.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    flush_folder(path.parent)
