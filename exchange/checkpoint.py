"""The head of a feed, signed: C2SP checkpoints as C2SP signed notes, and the receiver's cosignature as a receipt.

A checkpoint says how many lines a feed has and what the root of their tree is; its first line names the feed
(`ncen/XA>XB`), so that none can stand for another. A receipt is the same note with the receiver's timestamped
cosignature (C2SP tlog-cosignature v1) below the sender's signature. A feed that was begun anew after its sender had
lost a part of its ledger has an epoch in its name (`ncen/XA>XB/3`): the serial of the statement of that loss. The
checkpoint of its empty tree is the sender's statement that it begins.
"""

import re
from datetime import UTC, datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from exchange.envelope import Malformed, feed_of
from ledger import note
from ledger.checkpoint import LATEST_S, Head, NotCheckpoint, parse
from ledger.merkle import EMPTY_ROOT

MOST_NOTE_BYTES = 2_048
_FEED = re.compile(r"ncen/(?P<origin>[A-Z0-9-]{2,12})>(?P<recipient>[A-Z0-9-]{2,12})(/(?P<epoch>[1-9][0-9]{0,5}))?")


class AnotherEpoch(Malformed):
    """The checkpoint is one of this feed and signed by its origin, but of another epoch than was asked for."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The head of the feed from origin to recipient: its number of lines and the root of their tree."""

    origin: str
    recipient: str
    size: int
    root: bytes
    epoch: int = 0

    @property
    def text(self) -> str:
        """What is signed."""
        return Head(f"ncen/{feed_of(self.origin, self.recipient, self.epoch)}", self.size, self.root).text


def sign(head: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The checkpoint as a note signed by its origin."""
    return note.sign(head.text, head.origin, key)


def opening(origin: str, recipient: str, epoch: int, key: Ed25519PrivateKey) -> str:
    """The sender's statement that a feed begins anew: the checkpoint of its empty tree, always the same bytes."""
    return sign(Checkpoint(origin=origin, recipient=recipient, size=0, root=EMPTY_ROOT, epoch=epoch), key)


def read_opening(signed: str, *, origin: str, recipient: str, key: Ed25519PublicKey) -> int:
    """The epoch that the origin of this feed begins.

    Raises:
        Malformed: it does not say so, is of another feed, or its signature does not hold.
    """
    found = _FEED.fullmatch(signed[:MOST_NOTE_BYTES].partition("\n")[0])
    if found is None or found["epoch"] is None or len(signed) > MOST_NOTE_BYTES:
        raise Malformed("This does not say that a feed begins anew.")
    epoch = int(found["epoch"])
    try:
        text = note.verify(signed, origin, key)
    except note.NotSigned:
        raise Malformed("The checkpoint is not signed by the key of its origin that we know.") from None
    if text != Checkpoint(origin=origin, recipient=recipient, size=0, root=EMPTY_ROOT, epoch=epoch).text:
        raise Malformed("This does not say that a feed to us begins anew.")
    return epoch


def read(signed: str, *, origin: str, recipient: str, key: Ed25519PublicKey, epoch: int = 0) -> Checkpoint:
    """The checkpoint of this feed in this epoch, signed by this key.

    Raises:
        AnotherEpoch: it is of this feed and its signature holds, but of another epoch.
        Malformed: it is not one, it is of another feed, or its signature does not hold.
    """
    if len(signed) > MOST_NOTE_BYTES:
        raise Malformed("The checkpoint is larger than a checkpoint may be.")
    try:
        text = note.verify(signed, origin, key)
    except note.NotSigned:
        raise Malformed("The checkpoint is not signed by the key of its origin that we know.") from None
    try:
        head = parse(text)
    except NotCheckpoint as error:
        raise Malformed(str(error)) from None
    found = _FEED.fullmatch(head.origin)
    if found is None:
        raise Malformed("The checkpoint does not have the form of one.")
    if (found["origin"], found["recipient"]) != (origin, recipient):
        raise Malformed("The checkpoint belongs to another feed.")
    if int(found["epoch"] or 0) != epoch:
        raise AnotherEpoch("The checkpoint belongs to another epoch of this feed.")
    return Checkpoint(origin=origin, recipient=recipient, size=head.size, root=head.root, epoch=epoch)


def cosign(signed: str, name: str, key: Ed25519PrivateKey, at: datetime) -> str:
    """The note with our timestamped cosignature added: the receipt for all lines of the feed up to its size."""
    return note.cosign(signed, name, key, int(at.astimezone(UTC).timestamp()))


def read_receipt(  # noqa: PLR0913  # two parties with a key each, and which feed of theirs
    receipt: str,
    *,
    origin: str,
    origin_key: Ed25519PublicKey,
    recipient: str,
    recipient_key: Ed25519PublicKey,
    epoch: int = 0,
) -> tuple[Checkpoint, datetime]:
    """What the recipient has signed for, and when, by its own clock.

    Raises:
        Malformed: our own signature or the recipient's cosignature does not hold, or it is of another feed or epoch.
    """
    head = read(receipt, origin=origin, recipient=recipient, key=origin_key, epoch=epoch)
    try:
        _, at_s = note.verify_cosignature(receipt, recipient, recipient_key)
    except note.NotSigned:
        raise Malformed("The receipt is not cosigned by the key of the recipient that we know.") from None
    if at_s > LATEST_S:
        raise Malformed("The time of the receipt is not one.")
    return head, datetime.fromtimestamp(at_s, UTC)
