"""Verification of a batch of a peer's feed: pure, and before anything of it is believed.

A batch continues the feed exactly: every line has the form and the number that is due, the tree over all lines has the
root that the sender's pinned key has signed, and each line carries its proof. Whatever fails here is no entry that
cannot be accepted but a feed that does not fit: it stops, and the bytes are kept as evidence.
"""

from collections.abc import Iterator, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from exchange import checkpoint
from exchange.checkpoint import AnotherEpoch, Checkpoint
from exchange.envelope import (
    AnyCore,
    Held,
    Line,
    Malformed,
    Whole,
    decode_core,
    decode_line,
    feed_of,
    is_held_by,
    key_hash,
)
from exchange.envelope import Core as EntryCore
from exchange.outbox import MOST_LINES
from ledger.merkle import Frontier, verify_inclusion


class Mismatch(Exception):  # noqa: N818  # an answer about a feed, not a fault of ours
    """The feed does not fit what was signed or what came before; the message is a sentence and quotes nothing."""


class FormerKey(Exception):  # noqa: N818  # an answer: nothing is wrong, and nothing is taken
    """The batch is signed by a key that its sender has replaced: it will sign it anew."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The feed that a batch must continue: from whom to whom, signed by which key, carrying which kind of core.

    `former` are the keys that the sender had before: nothing that they have signed is believed.
    """

    origin: str
    recipient: str
    key: Ed25519PublicKey
    carries: type[AnyCore]
    former: tuple[Ed25519PublicKey, ...] = ()
    epoch: int = 0


class VerifiedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that the sender has signed for; `core` is None where it holds the line back."""

    number: int
    leaf_hash: bytes
    proof: tuple[bytes, ...]
    core: AnyCore | None
    raw_core: bytes | None
    boxed_key: bytes | None
    epoch: int = 0


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that fits; `frontier` is that of the feed's tree after it."""

    lines: tuple[VerifiedLine, ...]
    frontier: Frontier
    head: Checkpoint
    signed: str


def verify(raws: Sequence[bytes], source: Source, before: Frontier) -> Verified:
    """Verify the batch that follows a feed's first `before.size` lines.

    Raises:
        AnotherEpoch: the sender has signed it for another epoch of this feed.
        Mismatch: it does not fit.
        FormerKey: it is signed by a key that the sender has replaced.
    """
    if not 0 < len(raws) <= MOST_LINES:
        raise Mismatch(f"A batch has between 1 and {MOST_LINES} lines, and its last one the checkpoint.")
    try:
        lines = [decode_line(raw) for raw in raws]
        signed = _only_signed(lines)
        head = checkpoint.read(
            signed, origin=source.origin, recipient=source.recipient, key=source.key, epoch=source.epoch
        )
        verified = tuple(_lines(lines, source, before.size))
    except AnotherEpoch:
        raise
    except Malformed as error:
        if any(_is_signed(raws[-1], source, key) for key in source.former):
            raise FormerKey from None
        raise Mismatch(str(error)) from None
    frontier = Frontier(before.size, before.peaks)
    frontier.extend(line.leaf_hash for line in verified)
    if head.size != frontier.size:
        raise Mismatch("The checkpoint is for another number of lines than the feed has.")
    if head.root != frontier.root():
        raise Mismatch("The root of the lines received is not the root that the sender has signed.")
    for line in verified:
        if not verify_inclusion(line.leaf_hash, line.number - 1, head.size, line.proof, head.root):
            raise Mismatch(f"The inclusion proof of line {line.number} does not hold.")
    return Verified(lines=verified, frontier=frontier, head=head, signed=signed)


def _is_signed(raw: bytes, source: Source, key: Ed25519PublicKey) -> bool:
    """Whether the checkpoint of this line is signed by a key."""
    try:
        signed = decode_line(raw).checkpoint
        checkpoint.read(signed or "", origin=source.origin, recipient=source.recipient, key=key, epoch=source.epoch)
    except AnotherEpoch:  # which is said once it is signed anew
        return True
    except Malformed:
        return False
    return True


def _only_signed(lines: Sequence[Line]) -> str:
    *others, last = [line.checkpoint for line in lines]
    if last is None:
        raise Mismatch("The batch has no checkpoint.")
    if any(note is not None for note in others):
        raise Mismatch("A checkpoint stands in the middle of a batch.")
    return last


def _lines(lines: Sequence[Line], source: Source, before: int) -> Iterator[VerifiedLine]:
    for number, line in enumerate(lines, start=before + 1):
        yield _held(line, source, number) if isinstance(line, Held) else _whole(line, source, number)


def _held(line: Held, source: Source, number: int) -> VerifiedLine:
    if line.number != number:
        raise Mismatch(f"The line that is due is number {number}, and another one came.")
    if not is_held_by(source.key, feed_of(source.origin, source.recipient, source.epoch), line):
        raise Mismatch(f"Line {number} is held back, but not by a signature of its sender.")
    return VerifiedLine(
        number=number,
        leaf_hash=line.leaf_hash,
        proof=line.proof,
        core=None,
        raw_core=None,
        boxed_key=None,
        epoch=source.epoch,
    )


def _whole(line: Whole, source: Source, number: int) -> VerifiedLine:
    core = decode_core(line.core, source.carries)
    if (core.origin, core.recipient) != (source.origin, source.recipient):
        raise Mismatch(f"Line {number} belongs to the feed of other nodes.")
    if core.number != number:
        raise Mismatch(f"The line that is due is number {number}, and another one came.")
    committed = core.key_hash if isinstance(core, EntryCore) else None
    if (key_hash(line.boxed_key) if line.boxed_key is not None else None) != committed:
        raise Mismatch(f"The key beside line {number} is not the one that its sender has signed for.")
    return VerifiedLine(
        number=number,
        leaf_hash=line.leaf_hash,
        proof=line.proof,
        core=core,
        raw_core=line.core,
        boxed_key=line.boxed_key,
        epoch=source.epoch,
    )
