"""The statement that the end of a processing log was lost: signed heads beyond a size count as lost from then on.

A database that was brought back to an earlier position has lost lines of the log whose head was signed. As a loss of
the ledger does, the statement names what was signed last and what is kept. The log's heads are signed with the ledger's
key: the statement is signed with one that has signed no head of the lost history, so that the key tells the two
histories apart. Statements are signed notes beside the keys; a peer believes one only when its administrator does.
"""

import base64
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger import checkpoint, note
from ledger.checkpoint import NotCheckpoint
from ledger.errors import Unsafe
from ledger.node_keys import MOST_NOTE_BYTES, NodeKeys
from ledger.whole_file import write_whole

_FILE = re.compile(r"^log-loss-([0-9]{1,6})\.note$")
_B64 = "[A-Za-z0-9+/]{43}="
_TEXT = re.compile(
    rf"^(?P<origin>ncen/[A-Z0-9-]{{2,12}}/processing-log) loss\n(?P<serial>[1-9][0-9]{{0,5}})\nkey (?P<key>{_B64})\n"
    rf"kept (?P<kept>0|[1-9][0-9]{{0,15}}) (?P<kept_root>{_B64})\nlost (?P<lost>[1-9][0-9]{{0,15}}) (?P<root>{_B64})\n"
    rf"at (?P<at>[0-9]{{1,12}})\n\Z"
)


class LogLoss(msgspec.Struct, frozen=True, kw_only=True):
    """A node's statement of which lines of its processing log were lost, and the key that signs heads from then on."""

    origin: str
    serial: int
    key: bytes
    kept: int
    kept_root: bytes
    lost: int
    root: bytes
    at: datetime

    @property
    def text(self) -> str:
        """What is signed."""
        key, kept, lost = (base64.b64encode(one).decode() for one in (self.key, self.kept_root, self.root))
        return (
            f"{self.origin} loss\n{self.serial}\nkey {key}\nkept {self.kept} {kept}\nlost {self.lost} {lost}\n"
            f"at {int(self.at.timestamp())}\n"
        )


def unsigned(signed: str) -> LogLoss:
    """Return what a statement says, whoever has signed it.

    Raises:
        NotCheckpoint: it is not one.
    """
    if len(signed.encode()) > MOST_NOTE_BYTES:
        raise NotCheckpoint("This is too large for a statement of a loss.")
    found = _TEXT.match(signed.partition("\n\n")[0] + "\n")
    if found is None:
        raise NotCheckpoint("This is not a statement of a loss of the processing log.")
    return LogLoss(
        origin=found["origin"],
        serial=int(found["serial"]),
        key=base64.b64decode(found["key"]),
        kept=int(found["kept"]),
        kept_root=base64.b64decode(found["kept_root"]),
        lost=int(found["lost"]),
        root=base64.b64decode(found["root"]),
        at=datetime.fromtimestamp(int(found["at"]), UTC),
    )


def chain(origin: str, keys: NodeKeys, notes: tuple[str, ...]) -> tuple[LogLoss, ...]:
    """Return what these statements say, each signed by a key that the node has had and not by one before the last.

    Raises:
        NotCheckpoint: one of them does not hold, or does not follow upon the one before.
    """
    losses, oldest = list[LogLoss](), 1
    public = [key.public_key for key in keys.keys]
    for serial, signed in enumerate(notes, start=1):
        told = unsigned(signed)
        if (told.origin, told.serial) != (origin, serial) or told.key not in public[oldest:] or told.kept >= told.lost:
            raise NotCheckpoint("The statement of a loss does not follow upon the keys and statements that are known.")
        try:
            if note.verify(signed, origin, Ed25519PublicKey.from_public_bytes(told.key)) != told.text:
                raise NotCheckpoint("The statement of a loss is not in its canonical form.")
        except note.NotSigned:
            raise NotCheckpoint("The statement of a loss is not signed by the key that it names.") from None
        oldest = public.index(told.key) + 1
        losses.append(told)
    return tuple(losses)


def known(folder: Path, origin: str, keys: NodeKeys) -> tuple[LogLoss, ...]:
    """Return the statements that lie in a keys folder, oldest first.

    Raises:
        Unsafe: one of them does not hold.
    """
    try:
        return chain(origin, keys, statements(folder))
    except NotCheckpoint as error:
        raise Unsafe(f"The statements of losses in {folder} do not hold: {error}") from None


def statements(folder: Path) -> tuple[str, ...]:
    """Return the statements in a keys folder as they lie there, oldest first."""
    files = {int(found[1]): path for path in folder.iterdir() if (found := _FILE.match(path.name))}
    return tuple(files[serial].read_text(encoding="utf-8") for serial in sorted(files))


def state(folder: Path, told: LogLoss, key: Ed25519PrivateKey) -> str:
    """Sign a statement and keep it beside the keys: from here on it counts. Returns the signed note."""
    signed = note.sign(told.text, told.origin, key)
    write_whole(folder / f"log-loss-{told.serial}.note", signed.encode())
    return signed


def is_lost(signed: str, origin: str, keys: NodeKeys, losses: tuple[LogLoss, ...]) -> int | None:
    """Return the statement (its serial) by which a head belongs to a history that was lost, None where none does.

    It was signed with a key before that of the statement, for more lines than were kept and no more than were lost; at
    the size that was lost, with the root that was named.
    """
    try:
        head = checkpoint.unsigned(signed)
    except NotCheckpoint:
        return None
    public = [key.public_key for key in keys.keys]
    for told in losses:
        if not told.kept < head.size <= told.lost or (head.size == told.lost and head.root != told.root):
            continue
        if any(checkpoint.is_by(signed, origin, key) for key in public[: public.index(told.key)]):
            return told.serial
    return None
