"""The two keys of a node's card, one after the other: the identity, which signs, and the box key, which opens.

A key that is replaced is followed by a statement of succession, a signed note: the identity that holds then signs it,
and a new identity signs its own beginning too. The statements of both keys make one chain, in which each names the
text before it, so that none can be left out, put in or exchanged unseen. They lie beside the keys and in the card, and
hold nothing secret. The statement's file is the moment from which the new key counts; a replaced identity is destroyed,
a replaced box key is kept as long as something may still come that was boxed to it.
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
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ledger import note
from ledger.checkpoint import NotCheckpoint, ledger_of
from ledger.errors import Conflict, Unsafe
from ledger.whole_file import alone_in, destroy, write_whole

MOST_NOTE_BYTES = 1_024
MOST_STATEMENTS = 100
"""Statements in one card: a key replaced twice a year lasts for decades."""
_FILE = re.compile(r"^card-([0-9]{1,6})\.note$")
_B64 = "[A-Za-z0-9+/]{43}="
_TEXT = re.compile(
    rf"^(?P<origin>ncen/[A-Z0-9-]{{2,12}}) card key succession\n(?P<serial>[1-9][0-9]{{0,5}})\n"
    rf"key (?P<kind>identity|box)\nafter (?P<after>{_B64})\nold (?P<old>{_B64})\nnew (?P<new>{_B64})\n"
    rf"at (?P<at>[0-9]{{1,11}})\nbecause (?P<why>rotated|revoked)\n\Z"
)
SECRET_BYTES = 32
BEGINNING = bytes(32)
"""What the first statement follows upon."""


class Kind(StrEnum):
    """Which of a card's two keys."""

    IDENTITY = "identity"
    BOX = "box"


FIRST_FILE = {Kind.IDENTITY: "signing.key", Kind.BOX: "box.key"}


class Why(StrEnum):
    """Why a key was replaced."""

    ROTATED = "rotated"
    REVOKED = "revoked"
    """Somebody else may have it: whoever knows the node by it believes no successor without asking."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A node's statement that one key of its card takes the place of another."""

    origin: str
    serial: int
    kind: Kind
    after: bytes
    old: bytes
    new: bytes
    at: datetime
    why: Why

    @property
    def text(self) -> str:
        """What is signed."""
        after, old, new = (base64.b64encode(one).decode() for one in (self.after, self.old, self.new))
        return (
            f"{self.origin} card key succession\n{self.serial}\nkey {self.kind}\nafter {after}\nold {old}\nnew {new}\n"
            f"at {int(self.at.timestamp())}\nbecause {self.why}\n"
        )

    @property
    def digest(self) -> bytes:
        """What the next statement names as that which it follows upon."""
        return sha256(b"ncen card key succession 1 " + self.text.encode()).digest()


class CardKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key that stood in a node's card, the number of the statement that began it (0), and why it ended."""

    kind: Kind
    public_key: bytes
    serial: int = 0
    ended_at: datetime | None = None
    why: Why | None = None


class CardKeys(msgspec.Struct, frozen=True):
    """All keys that have stood in a node's card, oldest first, and the statements that lead from one to the next."""

    origin: str
    identities: tuple[CardKey, ...]
    boxes: tuple[CardKey, ...]
    statements: tuple[Statement, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def first_identity(self) -> bytes:
        """The key by which the node became known, and with which its ledger's chain of keys begins."""
        return self.identities[0].public_key

    @property
    def identity(self) -> bytes:
        """The public key that signs now."""
        return self.identities[-1].public_key

    @property
    def box(self) -> bytes:
        """The public key to which is boxed now."""
        return self.boxes[-1].public_key

    @property
    def head(self) -> bytes:
        """The digest of the newest statement, nothing where there is none: which edition of the card this is."""
        return self.statements[-1].digest if self.statements else b""


def unsigned(signed: str) -> Statement:
    """Return what a statement says, whoever has signed it.

    Raises:
        NotCheckpoint: it is not one, or not in its canonical form.
    """
    found = _TEXT.match(signed.partition("\n\n")[0] + "\n") if len(signed.encode()) <= MOST_NOTE_BYTES else None
    if found is None:
        raise NotCheckpoint("This is not a statement of succession of a card's keys.")
    told = Statement(
        origin=found["origin"],
        serial=int(found["serial"]),
        kind=Kind(found["kind"]),
        after=base64.b64decode(found["after"]),
        old=base64.b64decode(found["old"]),
        new=base64.b64decode(found["new"]),
        at=datetime.fromtimestamp(int(found["at"]), UTC),
        why=Why(found["why"]),
    )
    if told.text != found[0]:
        raise NotCheckpoint("The statement is not in its canonical form.")
    return told


def _read(signed: str, signers: tuple[bytes, ...]) -> Statement:
    """Return a statement that all of these keys have signed, and nobody else.

    Raises:
        NotCheckpoint: they have not, or it is not one.
    """
    told = unsigned(signed)
    try:
        for key in signers:
            if note.verify(signed, told.origin, Ed25519PublicKey.from_public_bytes(key)) != told.text:
                raise NotCheckpoint("The statement is not in its canonical form.")
    except (note.NotSigned, ValueError):
        raise NotCheckpoint(
            "The statement is not signed by the identity that held then, and by its successor."
        ) from None
    if signed.removeprefix(f"{told.text}\n").count("\n") != len(signers):
        raise NotCheckpoint("The statement has further signatures.")
    return told


def chain(origin: str, first_identity: bytes, first_box: bytes, notes: tuple[str, ...]) -> CardKeys:
    """Return the keys to which these statements lead, from the first ones.

    Raises:
        NotCheckpoint: a statement does not follow upon the one before, is not signed as it must be, or they are too
            many.
    """
    if len(notes) > MOST_STATEMENTS:
        raise NotCheckpoint(f"A card tells of at most {MOST_STATEMENTS} replaced keys.")
    keys = {
        Kind.IDENTITY: [CardKey(kind=Kind.IDENTITY, public_key=first_identity)],
        Kind.BOX: [CardKey(kind=Kind.BOX, public_key=first_box)],
    }
    statements: list[Statement] = []
    for serial, signed in enumerate(notes, start=1):
        told = unsigned(signed)
        identity, had = keys[Kind.IDENTITY][-1].public_key, keys[told.kind]
        _read(signed, (identity, told.new) if told.kind is Kind.IDENTITY else (identity,))
        after = statements[-1].digest if statements else BEGINNING
        if (told.origin, told.serial, told.after, told.old) != (origin, serial, after, had[-1].public_key):
            raise NotCheckpoint("The statements do not follow upon each other.")
        if told.new in {key.public_key for key in had}:
            raise NotCheckpoint("A key that was replaced does not come back.")
        had[-1] = msgspec.structs.replace(had[-1], ended_at=told.at, why=told.why)
        had.append(CardKey(kind=told.kind, public_key=told.new, serial=serial))
        statements.append(told)
    return CardKeys(origin, tuple(keys[Kind.IDENTITY]), tuple(keys[Kind.BOX]), tuple(statements), notes)


def of_card(node: str, identity: bytes, box: bytes, notes: tuple[str, ...]) -> CardKeys:
    """Return the keys of a card that shows these two, and how the node came to them.

    The first of each is the one that the first statement about it replaces.

    Raises:
        NotCheckpoint: the statements do not hold, or do not lead to the two keys.
    """
    first = {Kind.IDENTITY: identity, Kind.BOX: box}
    for signed in reversed(notes):
        told = unsigned(signed)
        first[told.kind] = told.old
    found = chain(ledger_of(node), first[Kind.IDENTITY], first[Kind.BOX], notes)
    if (found.identity, found.box) != (identity, box):
        raise NotCheckpoint("The statements do not lead to the keys of the card.")
    return found


# ---------------------------------------------------------------- our own, in the keys folder


def is_key_folder(folder: Path) -> bool:
    """Tell whether a folder holds the keys of a node's card."""
    return (folder / FIRST_FILE[Kind.IDENTITY]).exists() or (folder / "card-1.note").exists()


def successions(folder: Path) -> tuple[str, ...]:
    """Return the statements in a keys folder, oldest first, as they lie there."""
    files = {int(found[1]): path for path in folder.iterdir() if (found := _FILE.match(path.name))}
    return tuple(files[serial].read_text(encoding="utf-8") for serial in sorted(files))


def held(folder: Path) -> CardKeys | None:
    """Return the keys to which the statements in a keys folder lead; None where there is none.

    Raises:
        Unsafe: they do not hold.
    """
    notes = successions(folder)
    if not notes:
        return None
    try:
        told = [unsigned(one) for one in notes]
        firsts = [next((one.old for one in told if one.kind is kind), None) for kind in Kind]
        keys = [_public(folder, kind) if first is None else first for kind, first in zip(Kind, firsts, strict=True)]
        return chain(told[0].origin, keys[0], keys[1], notes)
    except NotCheckpoint as error:
        raise Unsafe(f"The statements about the card's keys in {folder} do not hold: {error}") from None


def _public(folder: Path, kind: Kind) -> bytes:
    """The public key of a secret that was never replaced."""
    path = folder / FIRST_FILE[kind]
    if not path.exists():
        raise Unsafe(f"{path} is missing: restore it from its copy.")
    return public_of(kind, path.read_bytes())


def public_of(kind: Kind, secret: bytes) -> bytes:
    """Return the public key that belongs to a secret."""
    if kind is Kind.BOX:
        return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def edition(folder: Path) -> bytes:
    """Return which edition of the card the statements in a keys folder make: nothing where there is none."""
    notes = successions(folder) if folder.is_dir() else ()
    return unsigned(notes[-1]).digest if notes else b""


def file_of(key: CardKey) -> str:
    """Return the name of the file in which the secret of a key lies."""
    return f"{key.kind}-{key.serial}.key" if key.serial else FIRST_FILE[key.kind]


def begin(node: str, identity: Ed25519PrivateKey, box: X25519PrivateKey) -> CardKeys:
    """Return the keys of a node that has replaced none."""
    public = identity.public_key().public_bytes_raw(), box.public_key().public_bytes_raw()
    return chain(ledger_of(node), *public, ())


def replace(folder: Path, keys: CardKeys, kind: Kind, identity: Ed25519PrivateKey, why: Why) -> CardKeys:
    """Make a new key, state that it takes the place of the old one, and destroy the old one where it is an identity.

    `identity` is the key that signs now. To be repeated at will: without the statement nothing has happened, and what
    a crash left undone after it is done when the folder is opened next.

    Raises:
        Conflict: the card has no room for another statement, or a key of it was replaced meanwhile.
        Unsafe: `identity` is not the key that the statements lead to.
    """
    if len(keys.notes) >= MOST_STATEMENTS:
        raise Conflict(f"The keys of this card were replaced {MOST_STATEMENTS} times, and it has no room for more.")
    if identity.public_key().public_bytes_raw() != keys.identity:
        raise Unsafe("This is not the identity that the statements about the card's keys lead to.")
    with alone_in(folder):
        if successions(folder) != keys.notes:
            raise Conflict("A key of this card was replaced just now: say it again if it is to be replaced once more.")
        return _replace(folder, keys, kind, identity, why)


def _replace(folder: Path, keys: CardKeys, kind: Kind, identity: Ed25519PrivateKey, why: Why) -> CardKeys:
    serial = len(keys.notes) + 1
    secret, new, also = _made(kind)
    write_whole(folder / f"{kind}-{serial}.key", secret)
    told = Statement(
        origin=keys.origin,
        serial=serial,
        kind=kind,
        after=keys.head or BEGINNING,
        old=keys.identity if kind is Kind.IDENTITY else keys.box,
        new=new,
        at=datetime.now(UTC),
        why=why,
    )
    signed = note.sign(told.text, keys.origin, identity)
    if also is not None:
        signed += note.sign(told.text, keys.origin, also).removeprefix(f"{told.text}\n")
    following = chain(keys.origin, keys.first_identity, keys.boxes[0].public_key, (*keys.notes, signed))
    write_whole(folder / f"card-{serial}.note", signed.encode())  # from here on the new one counts
    destroy_replaced(folder, following)
    return following


def _made(kind: Kind) -> tuple[bytes, bytes, Ed25519PrivateKey | None]:
    """Return a new secret, its public key, and the key itself where it can sign."""
    if kind is Kind.IDENTITY:
        signer = Ed25519PrivateKey.generate()
        return signer.private_bytes_raw(), signer.public_key().public_bytes_raw(), signer
    opener = X25519PrivateKey.generate()
    return opener.private_bytes_raw(), opener.public_key().public_bytes_raw(), None


def destroy_replaced(folder: Path, keys: CardKeys) -> None:
    """Destroy the identities that were replaced, as far as a crash has left them there."""
    for key in keys.identities[:-1]:
        destroy(folder / file_of(key), secrets.token_bytes(SECRET_BYTES))
