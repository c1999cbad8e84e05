"""The head of a feed, signed: C2SP checkpoints as C2SP signed notes, and the receiver's cosignature as a receipt.

A checkpoint says how many lines a feed has and what the root of their tree is; its first line names the feed
(`ncen/XA>XB`), so that none can stand for another. A receipt is the same note with the receiver's timestamped
cosignature (C2SP tlog-cosignature v1) below the sender's signature.
"""

import base64
import re
from datetime import UTC, datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from exchange.envelope import Malformed
from ledger import note

MOST_NOTE_BYTES = 2_048
LATEST_S = 253_402_300_799  # the year 9999
_FEED = r"^ncen/(?P<origin>[A-Z0-9-]{2,12})>(?P<recipient>[A-Z0-9-]{2,12})\n"
_TEXT = re.compile(_FEED + r"(?P<size>[1-9][0-9]{0,15})\n(?P<root>[A-Za-z0-9+/]{43}=)\n\Z")


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The head of the feed from origin to recipient: its number of lines and the root of their tree."""

    origin: str
    recipient: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"ncen/{self.origin}>{self.recipient}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


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
    found = _TEXT.match(text)
    if found is None:
        raise Malformed("The checkpoint does not have the form of one.")
    if (found["origin"], found["recipient"]) != (origin, recipient):
        raise Malformed("The checkpoint belongs to another feed.")
    root = base64.b64decode(found["root"])
    head = Checkpoint(origin=origin, recipient=recipient, size=int(found["size"]), root=root)
    if head.text != text:
        raise Malformed("The checkpoint is not in its canonical form.")
    return head


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
