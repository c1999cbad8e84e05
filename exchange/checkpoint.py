"""The head of a feed, signed: C2SP checkpoints as C2SP signed notes, and the receiver's cosignature as a receipt.

A checkpoint says how many lines a feed has and what the root of their tree is; its first line names the feed
(`ncen/XA>XB`), so that none can stand for another. A receipt is the same note with the receiver's timestamped
cosignature (C2SP tlog-cosignature v1) below the sender's signature.
"""

import re
from datetime import UTC, datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from exchange.envelope import Malformed
from ledger import note
from ledger.checkpoint import LATEST_S, Head, NotCheckpoint, parse

MOST_NOTE_BYTES = 2_048
_FEED = re.compile(r"ncen/(?P<origin>[A-Z0-9-]{2,12})>(?P<recipient>[A-Z0-9-]{2,12})")


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The head of the feed from origin to recipient: its number of lines and the root of their tree."""

    origin: str
    recipient: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return Head(f"ncen/{self.origin}>{self.recipient}", self.size, self.root).text


def sign(head: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The checkpoint as a note signed by its origin."""
    return note.sign(head.text, head.origin, key)


def read(signed: str, *, origin: str, recipient: str, key: Ed25519PublicKey) -> Checkpoint:
    """The checkpoint of this feed, signed by this key.

    Raises:
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
    return Checkpoint(origin=origin, recipient=recipient, size=head.size, root=head.root)


def cosign(signed: str, name: str, key: Ed25519PrivateKey, at: datetime) -> str:
    """The note with our timestamped cosignature added: the receipt for all lines of the feed up to its size."""
    return note.cosign(signed, name, key, int(at.astimezone(UTC).timestamp()))


def read_receipt(
    receipt: str, *, origin: str, origin_key: Ed25519PublicKey, recipient: str, recipient_key: Ed25519PublicKey
) -> tuple[Checkpoint, datetime]:
    """What the recipient has signed for, and when, by its own clock.

    Raises:
        Malformed: our own signature or the recipient's cosignature does not hold, or it is of another feed.
    """
    head = read(receipt, origin=origin, recipient=recipient, key=origin_key)
    try:
        _, at_s = note.verify_cosignature(receipt, recipient, recipient_key)
    except note.NotSigned:
        raise Malformed("The receipt is not cosigned by the key of the recipient that we know.") from None
    if at_s > LATEST_S:
        raise Malformed("The time of the receipt is not one.")
    return head, datetime.fromtimestamp(at_s, UTC)
