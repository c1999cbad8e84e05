"""The wire form: what travels to a peer, in closed, versioned types; docs/reference/envelope.md has it byte by byte.

The core is what the feed's tree commits to, exactly as its bytes stand; beside it travel what may be missing (the entry
key, boxed to the peer) and what proves it (inclusion proof, signed checkpoint). A line that may no longer be sent
travels as its bare leaf hash, signed, so that the feed's numbers stay without a gap. Bytes from outside are decoded by
these types alone, must be in their one canonical form, and never name code.
"""

from datetime import datetime
from hashlib import sha256
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from domain import forms
from domain.attribution import Purpose
from domain.codes import InstrumentCode, NodeCode
from domain.forms import form
from domain.handling import Handling, Onward
from domain.notice import Notice
from ledger import leaf
from ledger.clock import from_us, to_us
from ledger.line import StoredLine
from ledger.merkle import leaf_hash

MOST_BODY_BYTES = 4 * 1024 * 1024
MOST_LINE_BYTES = MOST_BODY_BYTES + 64 * 1024

Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
Number = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Version = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Microseconds = Annotated[int, Meta(ge=0, le=2**53 - 1)]
WireName = Annotated[str, form(r"^[a-z]{1,20}\.[a-z-]{1,43}$(?!\n)", "the wire name of an event")]
Proof = Annotated[tuple[Hash, ...], Meta(max_length=64)]
CheckpointText = Annotated[str, Meta(max_length=1_024)]
Evaluation = Annotated[str, form(r"^[ABCX][1-4]$(?!\n)", "source and information, as Europol's 4x4 has them")]

OWN_OBSERVATION = "A1"
"""Reliable source, known to be true: what customs itself found and recorded (Europol's 4x4)."""


class Core(msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """An entry as it is released to a nation: what the feed's leaf commits to."""

    form: Literal["entry/1"]
    origin: NodeCode
    recipient: NodeCode
    number: Number
    record_id: UUID
    version: Version
    recorded_at_us: Microseconds
    name: WireName
    is_personal: bool
    body: Annotated[bytes, Meta(min_length=1, max_length=MOST_BODY_BYTES)]
    attribution: Annotated[bytes, Meta(max_length=1_024)] | None
    attribution_salt: Annotated[bytes, Meta(min_length=16, max_length=16)] | None
    attribution_hash: Hash
    leaf: Hash
    instrument: InstrumentCode
    premise_id: UUID
    premise_version: Version
    handling: Handling
    onward: Onward
    retention_days: Annotated[int, Meta(ge=1)] | None
    purposes: Annotated[tuple[Purpose, ...], Meta(min_length=1, max_length=50)]
    evaluation: Evaluation
    key_hash: Hash | None

    @property
    def recorded_at(self) -> datetime:
        """When the origin's ledger learned of it."""
        return from_us(self.recorded_at_us)

    @property
    def header(self) -> bytes:
        """The header of the origin's leaf."""
        return leaf.header(
            record_id=self.record_id,
            version=self.version,
            recorded_at_us=self.recorded_at_us,
            node=self.origin,
            name=self.name,
            is_personal=self.is_personal,
        )

    @property
    def computed_leaf(self) -> bytes:
        """The origin's leaf hash as it follows from what the envelope shows."""
        return leaf_hash(leaf.leaf_bytes(self.header, self.body, self.attribution_hash))


class NoticeCore(msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """A notice as it is sent to the CEN, None where it is withdrawn; it commits to nothing else in our ledger."""

    form: Literal["notice/1"]
    origin: NodeCode
    recipient: NodeCode
    number: Number
    export_id: UUID
    notice: Notice | None


AnyCore: TypeAlias = Core | NoticeCore


class Whole(msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="whole/1"):
    """A line of the feed in full; the last line of a batch carries the signed checkpoint."""

    core: Annotated[bytes, Meta(min_length=1, max_length=MOST_LINE_BYTES)]
    boxed_key: Annotated[bytes, Meta(max_length=512)] | None
    proof: Proof
    checkpoint: CheckpointText | None

    @property
    def leaf_hash(self) -> bytes:
        """Its leaf hash in the feed's tree."""
        return leaf_hash(self.core)


class Held(msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="held/1"):
    """A line that may no longer be sent, as its bare leaf hash; the sender's signature says that it holds it back."""

    number: Number
    leaf_hash: Hash
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]
    proof: Proof
    checkpoint: CheckpointText | None


Line: TypeAlias = Whole | Held

_encoder = msgspec.msgpack.Encoder(uuid_format="bytes", decimal_format="string", order="sorted")
_lines: msgspec.msgpack.Decoder[Line] = msgspec.msgpack.Decoder(Line)


class Malformed(Exception):  # noqa: N818  # an answer about bytes from outside, not a fault of ours
    """Bytes that came from outside do not have the form they must have; the message quotes nothing of them."""


def encode(value: Line | AnyCore) -> bytes:
    """The one canonical form of a line or a core."""
    return _encoder.encode(value)


def decode_line(raw: bytes) -> Line:
    """Read a line of a feed.

    Raises:
        Malformed: it is too large, not a line, or not in canonical form.
    """
    if len(raw) > MOST_LINE_BYTES:
        raise Malformed("The line is larger than an envelope may be.")
    try:
        line = _lines.decode(raw)
    except (msgspec.MsgspecError, ValueError):
        raise Malformed("The line does not have the form of an envelope.") from None
    if encode(line) != raw:
        raise Malformed("The line is not in its canonical form.")
    return line


def decode_core(raw: bytes, kind: type[AnyCore]) -> AnyCore:
    """Read a core of the kind that this feed carries, and no other.

    Raises:
        Malformed: it is not such a core, or not in canonical form.
    """
    try:
        core: AnyCore = forms.from_msgpack(raw, kind)
    except (msgspec.MsgspecError, ValueError):
        raise Malformed("The core does not have the form that this feed carries.") from None
    if encode(core) != raw:
        raise Malformed("The core is not in its canonical form.")
    return core


def key_hash(boxed_key: bytes) -> bytes:
    """The hash by which a core commits to the boxed key beside it."""
    return sha256(b"ncen boxed key 1 " + boxed_key).digest()


def feed_of(origin: str, recipient: str, epoch: int = 0) -> str:
    """How a feed is called, without `ncen/` before it; the first epoch has no number."""
    return f"{origin}>{recipient}/{epoch}" if epoch else f"{origin}>{recipient}"


def held_text(feed: str, number: int, hash_of_leaf: bytes) -> bytes:
    """What the sender signs when it holds a line of a feed back."""
    return f"ncen held line 1\n{feed}\n{number}\n{hash_of_leaf.hex()}\n".encode("ascii")


def sign_held(  # noqa: PLR0913, PLR0917  # which line of which feed
    key: Ed25519PrivateKey, origin: str, recipient: str, number: int, hash_of_leaf: bytes, epoch: int = 0
) -> bytes:
    """The sender's signature on a line that it holds back."""
    return key.sign(held_text(feed_of(origin, recipient, epoch), number, hash_of_leaf))


def is_held_by(key: Ed25519PublicKey, feed: str, held: Held) -> bool:
    """Whether the sender itself says that it holds this line of a feed back."""
    try:
        key.verify(held.signature, held_text(feed, held.number, held.leaf_hash))
    except InvalidSignature:
        return False
    return True


def time_us(line: StoredLine) -> int:
    """When a stored line was recorded, in microseconds since 1970."""
    return to_us(line.recorded_at)
