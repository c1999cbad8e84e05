"""Merkle trees as RFC 6962 and RFC 9162 tell them: roots, proofs, and a frontier that grows.

Hashes are SHA-256. A leaf is given by its hash (RFC 6962: SHA-256 over 0x00 and the leaf), indices count from 0. The
verifiers answer False to whatever does not prove the claim, of whatever shape it is; in particular nothing is proven
by a consistency proof from an empty tree.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from ledger.leaf import HASH_BYTES, leaf_hash

__all__ = [
    "EMPTY_ROOT",
    "Frontier",
    "consistency_proof",
    "inclusion_proof",
    "is_subtree",
    "leaf_hash",
    "node_hash",
    "root",
    "verify_consistency",
    "verify_inclusion",
    "verify_subtree_consistency",
    "verify_subtree_inclusion",
]

EMPTY_ROOT = sha256(b"").digest()
SUBTREE_LEVELS = 8  # every complete subtree of 256, 256² … leaves is kept: a column of C2SP tiles

Subtree = Callable[[int, int], bytes]
"""The hash of the leaves from one index up to another (complete, aligned): level and number."""


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of the tree over these leaf hashes."""
    return Frontier.of(leaves).root()


class Frontier:
    """The right edge of a growing tree: the hashes of its complete subtrees, largest first."""

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        """Take up a tree where it was left."""
        self.size = size
        self.peaks = list(peaks)
        if len(self.peaks) != size.bit_count() or any(len(peak) != HASH_BYTES for peak in self.peaks):
            raise ValueError("a frontier has one hash for each bit set in its size")

    @classmethod
    def of(cls, leaves: Iterable[bytes]) -> "Frontier":
        """Return the frontier of a tree over these leaf hashes."""
        frontier = cls()
        frontier.extend(leaves)
        return frontier

    @classmethod
    def from_bytes(cls, size: int, packed: bytes) -> "Frontier":
        """Read what `to_bytes` wrote."""
        return cls(size, (packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)))

    def to_bytes(self) -> bytes:
        """Return the hashes of its subtrees, largest first, 32 bytes each."""
        return b"".join(self.peaks)

    def extend(self, leaves: Iterable[bytes]) -> list[tuple[int, int, bytes]]:
        """Append leaf hashes; return each subtree of 256, 256² … leaves that became complete: level, number, hash."""
        completed = []
        peaks, size, node = self.peaks, self.size, node_hash
        for leaf in leaves:
            size += 1
            peak, level, rest = leaf, 0, size
            while not rest & 1:
                peak = node(peaks.pop(), peak)
                level += 1
                rest >>= 1
                if not level % SUBTREE_LEVELS:
                    completed.append((level, rest - 1, peak))
            peaks.append(peak)
        self.size = size
        return completed

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        if not self.peaks:
            return EMPTY_ROOT
        total = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            total = node_hash(peak, total)
        return total


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Prove that the tree over these leaf hashes holds the one at `index` (RFC 6962, section 2.1.1)."""
    if not 0 <= index < len(leaves):
        raise ValueError("the index is not within the tree")
    return _path(_from_leaves(leaves), index, 0, len(leaves))


def consistency_proof(leaves: Sequence[bytes], size1: int) -> list[bytes]:
    """Prove that the tree over the first `size1` leaves grew into this one (RFC 6962, section 2.1.2)."""
    return consistency_path(_from_leaves(leaves), size1, len(leaves))


def _from_leaves(leaves: Sequence[bytes]) -> Subtree:
    def subtree(level: int, number: int) -> bytes:
        if level == 0:
            return leaves[number]
        return node_hash(subtree(level - 1, 2 * number), subtree(level - 1, 2 * number + 1))

    return subtree


def inclusion_path(subtree: Subtree, index: int, size: int) -> list[bytes]:
    """Prove inclusion in a tree of which complete subtrees can be asked for."""
    if not 0 <= index < size:
        raise ValueError("the index is not within the tree")
    return _path(subtree, index, 0, size)


def consistency_path(subtree: Subtree, size1: int, size2: int) -> list[bytes]:
    """Prove consistency of a tree of which complete subtrees can be asked for."""
    if not 0 < size1 <= size2:
        raise ValueError("the first size must be above zero and not above the second")
    return _growth(subtree, size1, 0, size2, is_known=True)


def range_hash(subtree: Subtree, start: int, end: int) -> bytes:
    """Return the hash of the tree over leaves `start` up to (not including) `end`, aligned as RFC 6962 splits."""
    size = end - start
    if not size & (size - 1):
        level = size.bit_length() - 1
        return subtree(level, start >> level)
    split = start + _split(size)
    return node_hash(range_hash(subtree, start, split), range_hash(subtree, split, end))


def _split(size: int) -> int:
    """Return the largest power of two below a size of at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _path(subtree: Subtree, index: int, start: int, end: int) -> list[bytes]:
    if end - start == 1:
        return []
    split = start + _split(end - start)
    if index < split:
        return [*_path(subtree, index, start, split), range_hash(subtree, split, end)]
    return [*_path(subtree, index, split, end), range_hash(subtree, start, split)]


def _growth(subtree: Subtree, size1: int, start: int, end: int, *, is_known: bool) -> list[bytes]:
    if size1 == end:
        return [] if is_known else [range_hash(subtree, start, end)]
    split = start + _split(end - start)
    if size1 <= split:
        return [*_growth(subtree, size1, start, split, is_known=is_known), range_hash(subtree, split, end)]
    return [*_growth(subtree, size1, split, end, is_known=False), range_hash(subtree, start, split)]


def is_subtree(start: int, end: int) -> bool:
    """Tell whether the leaves from `start` up to `end` are a subtree: as RFC 6962 would split a larger tree."""
    return 0 <= start < end and start % (1 << (end - start - 1).bit_length()) == 0


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether a tree of this size and root holds this leaf hash at this index (RFC 9162, section 2.1.3.2)."""
    return (
        0 <= index < size
        and _are_hashes(leaf, root)
        and verify_subtree_consistency(index, index + 1, size, proof, leaf, root)
    )


def verify_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> bool:
    """Tell whether the tree of size1 and root1 grew into that of size2 and root2 (RFC 9162, section 2.1.4.2)."""
    return size1 > 0 and verify_subtree_consistency(0, size1, size2, proof, root1, root2)


def verify_subtree_inclusion(  # noqa: PLR0913, PLR0917  # the claim has as many parts
    leaf: bytes, index: int, start: int, end: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Tell whether the subtree of the leaves from `start` up to `end` holds this leaf hash at `index`."""
    return is_subtree(start, end) and verify_inclusion(leaf, index - start, end - start, proof, root)


def verify_subtree_consistency(  # noqa: PLR0913, PLR0917  # the same
    start: int, end: int, size: int, proof: Sequence[bytes], subtree_root: bytes, root: bytes
) -> bool:
    """Tell whether a subtree belongs to the tree of this size and root (as in the IETF's Merkle Tree Certificates).

    The empty subtree belongs to every tree: nothing is said of the tree then, not even of its root.
    """
    if 0 <= start == end <= size:
        return not proof and subtree_root == EMPTY_ROOT
    if start == 0 and end == size:
        return not proof and subtree_root == root
    is_claim = is_subtree(start, end) and end <= size and _are_hashes(subtree_root, root, *proof)
    return is_claim and _climb(start, end - 1, size - 1, proof, subtree_root) == (subtree_root, root)


def _climb(first: int, last: int, edge: int, proof: Sequence[bytes], subtree_root: bytes) -> tuple[bytes, bytes] | None:
    """Return the roots that a proof gives: of the subtree from `first` to `last`, and of the tree up to `edge`."""
    while first != last and (last == edge or last & 1):
        first, last, edge = first >> 1, last >> 1, edge >> 1
    path = [subtree_root, *proof] if first == last else list(proof)
    before = after = path.pop(0) if path else b""
    for sibling in path:
        if edge == 0:
            return None
        if last & 1 or last == edge:
            before = node_hash(sibling, before) if first < last else before
            after = node_hash(sibling, after)
            while last and not last & 1:
                first, last, edge = first >> 1, last >> 1, edge >> 1
        else:
            after = node_hash(after, sibling)
        first, last, edge = first >> 1, last >> 1, edge >> 1
    return (before, after) if edge == 0 else None


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
