"""The head of a tree, signed: C2SP checkpoints (tlog-checkpoint) as C2SP signed notes.

A checkpoint says how many leaves a tree has and what its root is; its first line names the tree, so that none can
stand for another: `ncen/XA` is the ledger of the node XA, `ncen/XA>XB` a feed of it. The ledger's checkpoints are
signed and cosigned under key names of the same form. What is not in canonical form, to the byte, is not a checkpoint.
"""

import base64
import re
from datetime import UTC, datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger import note

MOST_NOTE_BYTES = 16_384
LATEST_S = 253_402_300_799  # the year 9999

_TEXT = re.compile(r"^(?P<origin>[A-Za-z0-9/>_.-]{1,80})\n(?P<size>[1-9][0-9]{0,15})\n(?P<root>[A-Za-z0-9+/]{43}=)\n\Z")


class NotCheckpoint(Exception):  # noqa: N818  # an answer, not a fault
    """This is not a checkpoint, or not one of this tree, or not signed by this key."""


class Head(msgspec.Struct, frozen=True):
    """The head of a tree: what the tree is called, how many leaves it has, and its root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def ledger_of(node: str) -> str:
    """Return how the ledger of a node is called, and the name of the key that signs it."""
    return f"ncen/{node}"


def parse(text: str) -> Head:
    """Read the text of a checkpoint.

    Raises:
        NotCheckpoint: it is not one, or not in its canonical form.
    """
    found = _TEXT.match(text)
    if found is None:
        raise NotCheckpoint("The checkpoint does not have the form of one.")
    head = Head(found["origin"], int(found["size"]), base64.b64decode(found["root"]))
    if head.text != text:
        raise NotCheckpoint("The checkpoint is not in its canonical form.")
    return head


def sign(head: Head, key: Ed25519PrivateKey) -> str:
    """Return the checkpoint of a ledger as a note signed under the ledger's name."""
    return note.sign(head.text, head.origin, key)


def read(signed: str, *, origin: str, key: Ed25519PublicKey) -> Head:
    """Return the checkpoint of this ledger, signed by this key.

    Raises:
        NotCheckpoint: it is not one, it is of another tree, or its signature does not hold.
    """
    if len(signed.encode()) > MOST_NOTE_BYTES:
        raise NotCheckpoint("The checkpoint is larger than a checkpoint may be.")
    try:
        head = parse(note.verify(signed, origin, key))
    except note.NotSigned:
        raise NotCheckpoint("The checkpoint is not signed by the key of its ledger that we know.") from None
    if head.origin != origin:
        raise NotCheckpoint("The checkpoint belongs to another ledger.")
    return head


def is_by(signed: str, origin: str, public_key: bytes) -> bool:
    """Tell whether a note is a checkpoint of this tree that was signed by this key."""
    try:
        read(signed, origin=origin, key=Ed25519PublicKey.from_public_bytes(public_key))
    except NotCheckpoint:
        return False
    return True


def unsigned(signed: str) -> Head:
    """Return what a note says, whoever has signed it: to find the key that should have.

    Raises:
        NotCheckpoint: it is not a checkpoint.
    """
    text, divider, _ = signed.partition("\n\n")
    if not divider or len(signed.encode()) > MOST_NOTE_BYTES:
        raise NotCheckpoint("This is not a signed checkpoint.")
    return parse(text + "\n")


def cosignature(signed: str, witness: str, key: Ed25519PrivateKey, at: datetime) -> str:
    """Return the line by which a witness cosigns a checkpoint (C2SP tlog-cosignature), under the witness's name."""
    return note.cosign(signed, witness, key, int(at.astimezone(UTC).timestamp())).removeprefix(signed)


def read_cosignature(signed: str, witness: str, key: Ed25519PublicKey) -> datetime:
    """Return when a witness has cosigned a note, by its own clock.

    Raises:
        NotCheckpoint: it has not, or not with this key.
    """
    try:
        _, at_s = note.verify_cosignature(signed, witness, key)
    except note.NotSigned:
        raise NotCheckpoint(f"The checkpoint is not cosigned by the key of {witness} that we know.") from None
    if at_s > LATEST_S:
        raise NotCheckpoint("The time of the cosignature is not one.")
    return datetime.fromtimestamp(at_s, UTC)
