"""The ledger's Merkle tree: roots and proofs for any position and any size it ever had.

Proofs are made from the leaves and from the subtrees of 256, 256² … leaves that the sealer keeps, so that a proof
reads some hundred hashes however large the ledger is. Positions count from 1, as everywhere outside `merkle`.
"""

from ledger import merkle
from ledger.errors import NotFound
from ledger.merkle import SUBTREE_LEVELS, Frontier
from ledger.sessions import Session

WIDTH = 1 << SUBTREE_LEVELS

_LEAVES = "SELECT leaf FROM ledger.sealed WHERE position > %s AND position <= %s ORDER BY position"
_SUBTREES = "SELECT hash FROM ledger.subtree WHERE level = %s AND number >= %s AND number < %s ORDER BY number"


class Tree:
    """The tree as one session sees it; where its hashes lie, a tree of something else says otherwise."""

    LEAVES = _LEAVES
    SUBTREES = _SUBTREES
    SIZE = "SELECT size FROM ledger.seal_state"

    def __init__(self, connection: Session) -> None:
        """Read through this session."""
        self._connection = connection
        self._rows: dict[tuple[int, int], list[bytes]] = {}

    def size(self) -> int:
        """Return how many entries are sealed."""
        row = self._connection.execute(self.SIZE).fetchone()
        return 0 if row is None else int(row[0])

    def root(self, size: int) -> bytes:
        """Return the root of the tree over the first `size` entries.

        Raises:
            NotFound: the ledger is not as large.
        """
        self._require(size)
        return merkle.EMPTY_ROOT if size == 0 else merkle.range_hash(self._subtree, 0, size)

    def frontier(self, size: int) -> Frontier | None:
        """Return the tree's right edge as it was with `size` entries, to grow it from there; None where it is damaged.

        Raises:
            NotFound: the ledger is not as large.
        """
        self._require(size)
        peaks, start = [], 0
        try:
            for level in reversed(range(size.bit_length())):
                if size >> level & 1:
                    peaks.append(self._subtree(level, start >> level))
                    start += 1 << level
        except (IndexError, ValueError):  # hashes are missing
            return None
        return Frontier(size, peaks)

    def tile(self, level: int, number: int, width: int) -> list[bytes]:
        """Return neighbouring hashes of a kept level, as a C2SP tile holds them.

        Raises:
            NotFound: there are not as many.
        """
        hashes = self._row(level, number, width)[:width]
        if len(hashes) != width:
            raise NotFound(f"The tree has no {width} hashes in tile {number} of level {level}.")
        return hashes

    def prove_inclusion(self, position: int, size: int) -> list[bytes]:
        """Prove that the tree of this size holds the entry at this position.

        Raises:
            NotFound: there is no such position in a tree of this size, or no such tree.
        """
        self._require(size)
        if not 0 < position <= size:
            raise NotFound(f"The first {size} entries have no position {position}.")
        return merkle.inclusion_path(self._subtree, position - 1, size)

    def prove_consistency(self, size1: int, size2: int) -> list[bytes]:
        """Prove that the tree of `size2` entries begins with that of `size1`.

        Raises:
            NotFound: there is no tree of this size, or the first is empty or larger than the second.
        """
        self._require(size2)
        if not 0 < size1 <= size2:
            raise NotFound(f"Nothing is proven from {size1} to {size2} entries.")
        return merkle.consistency_path(self._subtree, size1, size2)

    def _require(self, size: int) -> None:
        if not 0 <= size <= self.size():
            raise NotFound(f"The ledger has no {size} sealed entries.")

    def _subtree(self, level: int, number: int) -> bytes:
        """Return the hash of a complete subtree: one that is kept, or of the children that are."""
        kept, above = level - level % SUBTREE_LEVELS, level % SUBTREE_LEVELS
        first = number << above
        row = self._row(kept, first // WIDTH, first % WIDTH + (1 << above))
        nodes = row[first % WIDTH : first % WIDTH + (1 << above)]
        while len(nodes) > 1:
            nodes = [merkle.node_hash(*pair) for pair in zip(nodes[::2], nodes[1::2], strict=True)]
        return nodes[0]

    def _row(self, level: int, number: int, at_least: int) -> list[bytes]:
        """Return up to 256 neighbouring hashes of a kept level, what a C2SP tile holds: `at_least` so many."""
        known = self._rows.get((level, number))
        if known is None or len(known) < at_least:
            first = number * WIDTH
            cursor = self._connection.cursor(binary=True)
            if level == 0:
                found = cursor.execute(self.LEAVES, [first, first + WIDTH], prepare=True)
            else:
                found = cursor.execute(self.SUBTREES, [level, first, first + WIDTH], prepare=True)
            known = self._rows[level, number] = [row[0] for row in found.fetchall()]
        return known
