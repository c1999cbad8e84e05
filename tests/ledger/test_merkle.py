"""The Merkle tree: what its vectors and its own laws say."""

import base64
import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle

VECTORS = Path(__file__).parents[2].parent / "shared" / "data" / "vectors" / "merkle"


def _hash(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def _inclusion(vector: dict[str, Any], proof: list[bytes]) -> bool:
    leaf, root = _hash(vector["leafHash"]), _hash(vector["root"])
    return merkle.verify_inclusion(leaf, vector["leafIdx"], vector["treeSize"], proof, root)


def _consistency(vector: dict[str, Any], proof: list[bytes]) -> bool:
    roots = _hash(vector["root1"]), _hash(vector["root2"])
    return merkle.verify_consistency(vector["size1"], vector["size2"], proof, *roots)


def _subtree_inclusion(vector: dict[str, Any], proof: list[bytes]) -> bool:
    leaf, root = _hash(vector["leafHash"]), _hash(vector["root"])
    return merkle.verify_subtree_inclusion(leaf, vector["leafIdx"], vector["start"], vector["end"], proof, root)


def _subtree_consistency(vector: dict[str, Any], proof: list[bytes]) -> bool:
    roots = _hash(vector["root1"]), _hash(vector["root2"])
    return merkle.verify_subtree_consistency(vector["start"], vector["end"], vector["size"], proof, *roots)


FAMILIES: dict[str, Callable[[dict[str, Any], list[bytes]], bool]] = {
    "inclusion": _inclusion,
    "consistency": _consistency,
    "subtreeinclusion": _subtree_inclusion,
    "subtreeconsistency": _subtree_consistency,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_hold_and_broken_ones_are_refused(family: str) -> None:
    if not VECTORS.is_dir():
        pytest.skip(f"the vectors are not at hand: {VECTORS} is missing")
    files = sorted((VECTORS / family).rglob("*.json"))
    held = refused = 0
    for file in files:
        vector = json.loads(file.read_text(encoding="utf-8"))
        proof = [_hash(part) for part in vector["proof"] or ()]
        is_proven = FAMILIES[family](vector, proof)
        assert is_proven is not vector["wantErr"], f"{file}: {vector['desc']}"
        held, refused = held + is_proven, refused + (not is_proven)
    assert held >= 5
    assert refused >= 50


def test_empty_tree_proves_nothing() -> None:
    root = merkle.root([_leaf(0)])
    assert merkle.EMPTY_ROOT == sha256(b"").digest() == merkle.root([])
    assert not merkle.verify_consistency(0, 1, [], merkle.EMPTY_ROOT, root)
    assert not merkle.verify_consistency(0, 0, [], merkle.EMPTY_ROOT, merkle.EMPTY_ROOT)
    with pytest.raises(ValueError, match="above zero"):
        merkle.consistency_proof([_leaf(0)], 0)
    with pytest.raises(ValueError, match="not within"):
        merkle.inclusion_proof([], 0)


def _leaf(number: int) -> bytes:
    return merkle.leaf_hash(number.to_bytes(4, "big"))


def _recursive_root(leaves: list[bytes]) -> bytes:
    """Compute a root as RFC 6962 defines it, another way than the frontier does."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + _recursive_root(leaves[:split]) + _recursive_root(leaves[split:])).digest()


sizes = st.integers(min_value=1, max_value=700)


@given(sizes, st.lists(st.integers(min_value=1, max_value=300), max_size=4))
def test_frontier_grows_in_any_steps_to_the_same_root(size: int, steps: list[int]) -> None:
    leaves = [_leaf(number) for number in range(size)]
    frontier = merkle.Frontier()
    start = 0
    for step in [*steps, size]:
        frontier.extend(leaves[start : start + step])
        start += step
        frontier = merkle.Frontier.from_bytes(frontier.size, frontier.to_bytes())
    assert frontier.size == size
    assert frontier.root() == _recursive_root(leaves)


@given(sizes)
def test_completed_subtrees_are_roots_of_their_leaves(size: int) -> None:
    leaves = [_leaf(number) for number in range(size)]
    completed = merkle.Frontier().extend(leaves)
    assert [(level, number) for level, number, _ in completed] == [(8, number) for number in range(size // 256)]
    for _, number, root in completed:
        assert root == _recursive_root(leaves[number * 256 : (number + 1) * 256])


@given(st.data())
def test_every_leaf_is_proven_and_no_other(data: st.DataObject) -> None:
    size = data.draw(sizes)
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    leaves = [_leaf(number) for number in range(size)]
    root, proof = merkle.root(leaves), merkle.inclusion_proof(leaves, index)
    assert merkle.verify_inclusion(leaves[index], index, size, proof, root)
    assert not merkle.verify_inclusion(_leaf(size), index, size, proof, root)
    assert not merkle.verify_inclusion(leaves[index], index, size, [*proof, root], root)
    for wrong in _broken(proof):
        assert not merkle.verify_inclusion(leaves[index], index, size, wrong, root)


@given(st.data())
def test_growth_is_proven_and_rewriting_is_not(data: st.DataObject) -> None:
    size2 = data.draw(sizes)
    size1 = data.draw(st.integers(min_value=1, max_value=size2))
    leaves = [_leaf(number) for number in range(size2)]
    root1, root2 = merkle.root(leaves[:size1]), merkle.root(leaves)
    proof = merkle.consistency_proof(leaves, size1)
    assert merkle.verify_consistency(size1, size2, proof, root1, root2)
    rewritten = merkle.root([_leaf(size2), *leaves[1:size1]])
    assert not merkle.verify_consistency(size1, size2, proof, rewritten, root2)
    for wrong in _broken(proof):
        assert not merkle.verify_consistency(size1, size2, wrong, root1, root2)


def _broken(proof: list[bytes]) -> Iterator[list[bytes]]:
    for place, part in enumerate(proof):
        yield [*proof[:place], *proof[place + 1 :]]
        yield [*proof[:place], bytes((part[0] ^ 1, *part[1:])), *proof[place + 1 :]]
        yield [*proof[:place], part[:-1], *proof[place + 1 :]]
