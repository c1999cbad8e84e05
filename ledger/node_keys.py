"""The keys that a node has signed its ledger's checkpoints with, one after the other.

A key that is replaced signs its successor, and the statement says how many entries the ledger had then: the old key
counts for checkpoints up to that size and no further, the new one from there on. So old checkpoints stay verifiable,
and a key that was stolen after it was replaced signs nothing that is believed. The statements are signed notes, lie
beside the key, and hold nothing secret.
"""

import base64
import re
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger import checkpoint, note
from ledger.checkpoint import Head, NotCheckpoint
from ledger.errors import Unsafe

MOST_NOTE_BYTES = 4_096
_FILE = re.compile(r"^succession-([0-9]{1,6})\.note$")
_B64 = "[A-Za-z0-9+/]{43}="
_TEXT = re.compile(
    rf"^(?P<origin>ncen/[A-Z0-9-]{{2,12}}) key succession\n(?P<serial>[1-9][0-9]{{0,5}})\nold (?P<old>{_B64})\n"
    rf"new (?P<new>{_B64})\nsize (?P<size>0|[1-9][0-9]{{0,15}})\nat (?P<at>[0-9]{{1,12}})\n"
    r"because (?P<why>rotated|revoked)\n\Z"
)


class Why(StrEnum):
    """Why a key was replaced."""

    ROTATED = "rotated"
    REVOKED = "revoked"


class Succession(msgspec.Struct, frozen=True, kw_only=True):
    """A node's statement that one key takes the place of another, when the ledger has `size` entries."""

    origin: str
    serial: int
    old: bytes
    new: bytes
    size: int
    at: datetime
    why: Why

    @property
    def text(self) -> str:
        """What both keys sign."""
        old, new = (base64.b64encode(key).decode() for key in (self.old, self.new))
        at_s = int(self.at.timestamp())
        return (
            f"{self.origin} key succession\n{self.serial}\nold {old}\nnew {new}\nsize {self.size}\nat {at_s}\n"
            f"because {self.why}\n"
        )


class NodeKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key of the node: it counts for checkpoints of more than `after` and at most `until` entries."""

    public_key: bytes
    after: int = -1
    until: int | None = None
    ended_at: datetime | None = None
    why: Why | None = None

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits in fours, to be compared over the telephone."""
        return fingerprint(self.public_key)

    def counts_for(self, size: int) -> bool:
        """Tell whether a checkpoint of this size may be signed by this key."""
        return self.after <= size and (self.until is None or size <= self.until)


class NodeKeys(msgspec.Struct, frozen=True):
    """All keys that a node has had, oldest first, and what its ledger is called."""

    origin: str
    keys: tuple[NodeKey, ...]
    notes: tuple[str, ...] = ()
    """The statements of succession, as signed notes."""

    def read(self, signed: str) -> Head:
        """Return a checkpoint of this ledger that was signed with the key that counts for its size.

        Raises:
            NotCheckpoint: it was not, or it is not one.
        """
        size = checkpoint.unsigned(signed).size
        problem = NotCheckpoint("No key of this node counts for a checkpoint of this size.")
        for key in self.keys:
            if key.counts_for(size):
                try:
                    return checkpoint.read(
                        signed, origin=self.origin, key=Ed25519PublicKey.from_public_bytes(key.public_key)
                    )
                except NotCheckpoint as error:
                    problem = error
        raise problem


def fingerprint(public_key: bytes) -> str:
    """Return sixteen hex digits in fours that tell a public key, to be compared over another channel."""
    digits = sha256(b"ncen key 1 " + public_key).hexdigest()
    return " ".join(digits[place : place + 4] for place in range(0, 16, 4))


def read_succession(signed: str, old: bytes) -> Succession:
    """Return a succession that the old key and the new key have both signed.

    Raises:
        NotCheckpoint: they have not, or it is not one.
    """
    if len(signed.encode()) > MOST_NOTE_BYTES:
        raise NotCheckpoint("This is too large for a succession of keys.")
    found = _TEXT.match(signed.partition("\n\n")[0] + "\n")
    if found is None:
        raise NotCheckpoint("This is not a succession of keys.")
    told = Succession(
        origin=found["origin"],
        serial=int(found["serial"]),
        old=base64.b64decode(found["old"]),
        new=base64.b64decode(found["new"]),
        size=int(found["size"]),
        at=datetime.fromtimestamp(int(found["at"]), UTC),
        why=Why(found["why"]),
    )
    try:
        for key in (old, told.new):
            if note.verify(signed, told.origin, Ed25519PublicKey.from_public_bytes(key)) != told.text:
                raise NotCheckpoint("The succession of keys is not in its canonical form.")
    except (note.NotSigned, ValueError):
        raise NotCheckpoint("The succession is not signed by the key before it and by its successor.") from None
    if told.old != old:
        raise NotCheckpoint("The succession follows upon another key.")
    return told


def chain(origin: str, first: bytes, notes: tuple[str, ...]) -> NodeKeys:
    """Return the keys that these successions make, beginning with the first key.

    Raises:
        NotCheckpoint: a succession does not follow upon the one before.
    """
    keys = [NodeKey(public_key=first)]
    for serial, signed in enumerate(notes, start=1):
        told = read_succession(signed, keys[-1].public_key)
        if (told.origin, told.serial) != (origin, serial) or told.size < max(keys[-1].after, 0):
            raise NotCheckpoint("The successions of keys do not follow upon each other.")
        keys[-1] = msgspec.structs.replace(keys[-1], until=told.size, ended_at=told.at, why=told.why)
        keys.append(NodeKey(public_key=told.new, after=told.size))
    return NodeKeys(origin, tuple(keys), notes)


def known(folder: Path, node: str, current: Ed25519PublicKey) -> NodeKeys:
    """Return the keys of a node, from the successions beside the key that it signs with now.

    Raises:
        Unsafe: a succession does not hold, or does not lead to this key.
    """
    origin = checkpoint.ledger_of(node)
    files = {int(found[1]): path for path in folder.iterdir() if (found := _FILE.match(path.name))}
    notes = tuple(files[serial].read_text(encoding="utf-8") for serial in sorted(files))
    try:
        keys = chain(origin, _first(notes, current), notes)
    except NotCheckpoint as error:
        raise Unsafe(f"The successions of keys in {folder} do not hold: {error}") from None
    if keys.keys[-1].public_key != current.public_bytes_raw():
        raise Unsafe(f"The successions of keys in {folder} do not lead to the key that this node signs with.")
    return keys


def _first(notes: tuple[str, ...], current: Ed25519PublicKey) -> bytes:
    """Return the node's first key: what the first succession says it replaced, else the key of now."""
    found = _TEXT.match(notes[0].partition("\n\n")[0] + "\n") if notes else None
    return current.public_bytes_raw() if found is None else base64.b64decode(found["old"])
