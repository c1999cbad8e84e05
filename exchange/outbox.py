"""The outbox of a feed: lines under the feed's own gapless numbers, in the feed's own tree, with a signed checkpoint.

Everything here happens in the caller's transaction: the numbers, the tree and the lines are there together with the
decisions that caused them, or not at all. Numbers count from 1; line n is leaf n-1 of the tree (RFC 6962).
"""

from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange import checkpoint
from ledger.merkle import Frontier, inclusion_path, leaf_hash, node_hash
from ledger.sessions import Session

MOST_LINES = 500
"""Lines in a batch, and so between two checkpoints."""
MOST_BYTES = 8 * 1024 * 1024
HASH_BYTES = 32


class Feed(msgspec.Struct, kw_only=True):
    """How far the feed to a peer has got.

    `position`: ledger position decided up to; `number`: last line; `sweep`: position after which what was withheld is
    decided again, None if all of it was; `recheck`: number after which undelivered lines are; `premises`: how the
    premises stood when that began; `generation`: raised whenever a line already handed over for sending changed;
    `epoch`: the serial of the loss since which the feed was begun anew, 0 where it never was.
    """

    peer: str
    position: int
    number: int
    frontier: Frontier
    sweep: int | None
    recheck: int | None
    premises: bytes
    generation: int
    epoch: int = 0


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A line that is to enter the feed; `core` makes its bytes once the number is known."""

    position: int
    record_id: UUID
    core: Callable[[int], bytes]
    boxed_key: bytes | None = None
    premise_id: UUID | None = None


def load(connection: Session, peer: str) -> Feed:
    """The feed to a peer, locked until the transaction ends."""
    row = connection.execute(
        "SELECT position, number, frontier, sweep, recheck, premises, generation, epoch "
        "FROM exchange.feed WHERE peer = %s FOR UPDATE",
        [peer],
    ).fetchone()
    if row is None:
        raise LookupError(f"{peer} is not a peer of this node.")
    position, number, frontier, sweep, recheck, premises, generation, epoch = row
    return Feed(
        peer=peer,
        position=position,
        number=number,
        frontier=Frontier.from_bytes(number, frontier),
        sweep=sweep,
        recheck=recheck,
        premises=premises,
        generation=generation,
        epoch=epoch,
    )


def save(connection: Session, feed: Feed) -> None:
    """Write back how far the feed has got."""
    connection.execute(
        "UPDATE exchange.feed SET position = %s, number = %s, frontier = %s, sweep = %s, recheck = %s, "
        "premises = %s, generation = %s, epoch = %s WHERE peer = %s",
        [
            feed.position,
            feed.number,
            feed.frontier.to_bytes(),
            feed.sweep,
            feed.recheck,
            feed.premises,
            feed.generation,
            feed.epoch,
            feed.peer,
        ],
    )


def receipted(connection: Session, peer: str) -> int:
    """The number up to which the peer has signed for the feed, 0 where it has signed for nothing."""
    row = connection.execute("SELECT coalesce(max(size), 0) FROM exchange.receipt WHERE peer = %s", [peer]).fetchone()
    return int(row[0]) if row else 0


def append(
    connection: Session, feed: Feed, drafts: Sequence[Draft], *, node: str, signing_key: Ed25519PrivateKey
) -> list[int]:
    """Put lines into the feed, in batches that each end with a signed checkpoint; returns their numbers.

    `feed` is changed with it; the caller saves it in the same transaction.
    """
    first = feed.number + 1
    numbered = [(draft, number, draft.core(number)) for number, draft in enumerate(drafts, start=first)]
    for batch in _batches(numbered):
        _append_batch(connection, feed, batch, node=node, signing_key=signing_key)
    return [number for _, number, _ in numbered]


Numbered = tuple[Draft, int, bytes]


def _batches(numbered: Sequence[Numbered]) -> Iterator[list[Numbered]]:
    batch: list[Numbered] = []
    size = 0
    for one in numbered:
        if batch and (len(batch) >= MOST_LINES or size + len(one[2]) > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one[2])
    if batch:
        yield batch


def _append_batch(
    connection: Session, feed: Feed, batch: Sequence[Numbered], *, node: str, signing_key: Ed25519PrivateKey
) -> None:
    hashes = [leaf_hash(core) for _, _, core in batch]
    subtree = _subtrees(feed.frontier, hashes)
    feed.frontier.extend(hashes)
    feed.number += len(batch)
    signed = checkpoint.sign(
        checkpoint.Checkpoint(
            origin=node, recipient=feed.peer, size=feed.number, root=feed.frontier.root(), epoch=feed.epoch
        ),
        signing_key,
    )
    with connection.cursor() as cursor:
        columns = "peer, number, position, record_id, core, boxed_key, leaf_hash, proof, checkpoint, premise_id"
        with cursor.copy(f"COPY exchange.feed_out ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["text", "int8", "int8", "uuid", "bytea", "bytea", "bytea", "bytea", "text", "uuid"])
            for (draft, number, core), hash_of_leaf in zip(batch, hashes, strict=True):
                proof = b"".join(inclusion_path(subtree, number - 1, feed.number))
                note = signed if number == feed.number else None
                place = (feed.peer, number, draft.position, draft.record_id)
                copy.write_row((*place, core, draft.boxed_key, hash_of_leaf, proof, note, draft.premise_id))


def _subtrees(frontier: Frontier, added: Sequence[bytes]) -> Callable[[int, int], bytes]:
    """Complete subtrees of the grown tree, from the old peaks and new leaves: all that proofs of new leaves ask for."""
    known: dict[tuple[int, int], bytes] = {}
    start = 0
    for level in reversed(range(frontier.size.bit_length())):
        if frontier.size >> level & 1:
            known[level, start >> level] = frontier.peaks[len(known)]
            start += 1 << level
    old = frontier.size

    def subtree(level: int, number: int) -> bytes:
        found = known.get((level, number))
        if found is None:
            pair = 2 * number
            found = (
                added[number - old] if level == 0 else node_hash(subtree(level - 1, pair), subtree(level - 1, pair + 1))
            )
            known[level, number] = found
        return found

    return subtree


def split_proof(proof: bytes) -> tuple[bytes, ...]:
    """The hashes of an inclusion proof, nearest the leaf first."""
    return tuple(proof[at : at + HASH_BYTES] for at in range(0, len(proof), HASH_BYTES))
