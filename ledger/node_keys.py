"""The keys that a node has signed its ledger's checkpoints with, one after the other.

The first is the key by which peers know the node. A key that is replaced signs its successor, and the statement says
how many entries the ledger had then: the old key counts for checkpoints up to that size and no further, the new one
from there on. So old checkpoints stay verifiable, and a key that was stolen signs nothing later that is believed. The
statements are signed notes, lie beside the keys, and hold nothing secret; a key that was replaced is destroyed. A loss
that was acknowledged is such a statement too: the new key signs the history that is left, and no key before it does.
"""

import base64
import re
import secrets
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger import checkpoint, note
from ledger.checkpoint import Head, NotCheckpoint
from ledger.errors import Conflict, Unsafe
from ledger.whole_file import alone_in, destroy, write_whole

MOST_NOTE_BYTES = 4_096
SECRET_BYTES = 32
_FILE = re.compile(r"^succession-([0-9]{1,6})\.note$")
_B64 = "[A-Za-z0-9+/]{43}="
_TEXT = re.compile(
    rf"^(?P<origin>ncen/[A-Z0-9-]{{2,12}}) key succession\n(?P<serial>[1-9][0-9]{{0,5}})\nold (?P<old>{_B64})\n"
    rf"new (?P<new>{_B64})\nsize (?P<size>0|[1-9][0-9]{{0,15}})\nat (?P<at>[0-9]{{1,12}})\n"
    rf"because (?P<why>rotated|revoked|lost\nkept (?P<kept>{_B64})\n"
    rf"lost (?P<lost>[1-9][0-9]{{0,15}}) (?P<root>{_B64}))\n\Z"
)


class Why(StrEnum):
    """Why a key was replaced."""

    ROTATED = "rotated"
    REVOKED = "revoked"
    LOST = "lost"
    """What was signed beyond a size was lost, and an administrator has acknowledged it."""


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What was lost: from the root of the entries that are left, to the size and root that were signed last."""

    kept_root: bytes
    size: int
    root: bytes


class Succession(msgspec.Struct, frozen=True, kw_only=True):
    """A node's statement that one key takes the place of another, when the ledger has `size` entries."""

    origin: str
    serial: int
    old: bytes
    new: bytes
    size: int
    at: datetime
    why: Why
    loss: Loss | None = None

    @property
    def text(self) -> str:
        """What both keys sign."""
        old, new = (base64.b64encode(key).decode() for key in (self.old, self.new))
        at_s = int(self.at.timestamp())
        told = (
            f"{self.origin} key succession\n{self.serial}\nold {old}\nnew {new}\nsize {self.size}\nat {at_s}\n"
            f"because {self.why}\n"
        )
        if self.loss is None:
            return told
        kept, root = (base64.b64encode(one).decode() for one in (self.loss.kept_root, self.loss.root))
        return f"{told}kept {kept}\nlost {self.loss.size} {root}\n"


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
    losses: tuple[Succession, ...] = ()
    """The statements by which a loss was acknowledged, oldest first."""

    def is_lost(self, signed: str) -> bool:
        """Tell whether a checkpoint belongs to a history whose loss was acknowledged.

        It was signed before by a key that counts no further, for more entries than were kept and no more than were
        lost; at the size that was lost, with the root that was named.
        """
        head = checkpoint.unsigned(signed)
        for told in self.losses:
            loss = told.loss
            if loss is None or not told.size < head.size <= loss.size:
                continue
            if head.size == loss.size and head.root != loss.root:
                continue
            if any(checkpoint.is_by(signed, self.origin, key.public_key) for key in self.keys[: told.serial]):
                return True
        return False

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


def unsigned(signed: str) -> Succession:
    """Return what a succession says, whoever has signed it.

    Raises:
        NotCheckpoint: it is not one.
    """
    if len(signed.encode()) > MOST_NOTE_BYTES:
        raise NotCheckpoint("This is too large for a succession of keys.")
    found = _TEXT.match(signed.partition("\n\n")[0] + "\n")
    if found is None:
        raise NotCheckpoint("This is not a succession of keys.")
    return Succession(
        origin=found["origin"],
        serial=int(found["serial"]),
        old=base64.b64decode(found["old"]),
        new=base64.b64decode(found["new"]),
        size=int(found["size"]),
        at=datetime.fromtimestamp(int(found["at"]), UTC),
        why=Why(found["why"].partition("\n")[0]),
        loss=None
        if found["lost"] is None
        else Loss(
            kept_root=base64.b64decode(found["kept"]),
            size=int(found["lost"]),
            root=base64.b64decode(found["root"]),
        ),
    )


def read_succession(signed: str, old: bytes) -> Succession:
    """Return a succession that the old key and the new key have both signed.

    Raises:
        NotCheckpoint: they have not, or it is not one.
    """
    told = unsigned(signed)
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
    keys, losses = [NodeKey(public_key=first)], []
    for serial, signed in enumerate(notes, start=1):
        told = read_succession(signed, keys[-1].public_key)
        is_loss = told.why is Why.LOST
        if (told.origin, told.serial) != (origin, serial) or (told.size < max(keys[-1].after, 0) and not is_loss):
            raise NotCheckpoint("The successions of keys do not follow upon each other.")
        if is_loss:
            _require_loss(told)
            losses.append(told)
            keys = [_cut(key, told.size) for key in keys]
        keys[-1] = msgspec.structs.replace(keys[-1], until=told.size, ended_at=told.at, why=told.why)
        keys.append(NodeKey(public_key=told.new, after=told.size))
    return NodeKeys(origin, tuple(keys), notes, tuple(losses))


def _require_loss(told: Succession) -> None:
    if told.loss is None or told.loss.size <= told.size:
        raise NotCheckpoint("The statement of a loss does not say what was lost.")


def _cut(key: NodeKey, size: int) -> NodeKey:
    """Count a key no further than what was kept: what it signed beyond is of the history that was lost."""
    return key if key.until is None or key.until <= size else msgspec.structs.replace(key, until=size)


def known(folder: Path, node: str, identity: Ed25519PublicKey) -> NodeKeys:
    """Return the keys of a node: that by which it became known, and those to which the successions beside it lead.

    `identity` is the first that the node had (`Keyring.first_identity`), also when it has another now.

    Raises:
        Unsafe: a succession does not hold.
    """
    try:
        return chain(checkpoint.ledger_of(node), identity.public_bytes_raw(), successions(folder))
    except NotCheckpoint as error:
        raise Unsafe(f"The successions of keys in {folder} do not hold: {error}") from None


def signer(folder: Path, keys: NodeKeys, identity: Ed25519PrivateKey) -> Ed25519PrivateKey:
    """Return the key that the ledger's checkpoints are signed with now.

    Raises:
        Unsafe: it is not there, or not the one that the successions lead to.
    """
    if not keys.notes:
        if identity.public_key().public_bytes_raw() != keys.keys[0].public_key:
            raise Unsafe(f"The succession of the first key is missing in {folder}: restore it from its copy.")
        return identity
    path = folder / f"ledger-{len(keys.notes)}.key"
    if not path.exists():
        raise Unsafe(f"{path} is missing: restore it from its copy, or nothing can be signed.")
    key = Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    if key.public_key().public_bytes_raw() != keys.keys[-1].public_key:
        raise Unsafe(f"{path} is not the key that the successions in {folder} lead to.")
    for serial in range(1, len(keys.notes)):  # what a crash has left of keys that were replaced
        destroy(folder / f"ledger-{serial}.key", secrets.token_bytes(SECRET_BYTES))
    return key


def replace(  # noqa: PLR0913  # where, upon which keys, and what is stated
    folder: Path, keys: NodeKeys, identity: Ed25519PrivateKey, *, size: int, why: Why, loss: Loss | None = None
) -> NodeKeys:
    """Make a new key, have the old one sign it, and destroy the old one (peers go on knowing the node by the first).

    `size` is how many entries the ledger has, or keeps where a loss is acknowledged: up to there the old key counts.

    Raises:
        Unsafe: the key that signs now is not there.
        Conflict: the key was replaced meanwhile.
    """
    with alone_in(folder):
        if successions(folder) != keys.notes:
            raise Conflict("The key was replaced just now: say it again if it is to be replaced once more.")
        return _replace(folder, keys, signer(folder, keys, identity), size=size, why=why, loss=loss)


def _replace(  # noqa: PLR0913  # as `replace`
    folder: Path, keys: NodeKeys, old: Ed25519PrivateKey, *, size: int, why: Why, loss: Loss | None
) -> NodeKeys:
    serial = len(keys.notes) + 1
    new = Ed25519PrivateKey.generate()
    write_whole(folder / f"ledger-{serial}.key", new.private_bytes_raw())
    told = Succession(
        origin=keys.origin,
        serial=serial,
        old=old.public_key().public_bytes_raw(),
        new=new.public_key().public_bytes_raw(),
        size=size,
        at=datetime.now(UTC),
        why=why,
        loss=loss,
    )
    once = note.sign(told.text, keys.origin, old)
    signed = once + note.sign(told.text, keys.origin, new).removeprefix(f"{told.text}\n")
    write_whole(folder / f"succession-{serial}.note", signed.encode())  # from here on the new one counts
    destroy(folder / f"ledger-{serial - 1}.key", secrets.token_bytes(SECRET_BYTES))
    return chain(keys.origin, keys.keys[0].public_key, (*keys.notes, signed))


def successions(folder: Path) -> tuple[str, ...]:
    """Return the statements of succession in a keys folder, oldest first, as they lie there."""
    files = {int(found[1]): path for path in folder.iterdir() if (found := _FILE.match(path.name))}
    return tuple(files[serial].read_text(encoding="utf-8") for serial in sorted(files))
