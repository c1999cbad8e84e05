"""What goes on over a replacement of our own keys, and of a peer's: nothing is lost, and no replaced key is needed.

What we signed before and hand out later (heads of feeds, held lines, receipts, confirmations, cosignatures) is signed
anew with the key that holds, the moment it leaves, and only if it bears the signature of a former key of ours: so no
step of a rotation has to be finished here, and a peer need believe no key but the newest that it knows. A receiver
keeps its old box keys until each sender has told that nothing more will come that was boxed to them, and it came.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from exchange import box, checkpoint, envelope, peers
from exchange.envelope import Core, Held, Malformed
from exchange.peers import Identity, Peer, Role, State
from ledger import card_keys, node_keys, note
from ledger.card_keys import CardKey, CardKeys, Kind, Why
from ledger.checkpoint import NotCheckpoint, ledger_of, read_cosignature
from ledger.checkpoint import cosignature as cosigned
from ledger.keyring import Keyring
from ledger.sessions import Session
from ledger.whole_file import destroy as destroy_file

EDITION = 2**32
"""Streams of another edition of our card are of another generation."""
FIRST_CARDS = b">"
"""Under which two meet of whom neither has replaced a key."""
WAITS = (
    "We have not met {peer} under the newest cards: the feeds wait until each has added the other's"
    " (`ncen peer card`, `ncen peer add`) and lets it in."
)
STILL_SIGNED = timedelta(minutes=10)
"""How long after its end a former key may still have signed, in a process that had not noticed yet."""
_QUARANTINED = """
    SELECT core, boxed_key FROM exchange.inbox WHERE outcome = 'quarantined' AND boxed_key IS NOT NULL AND origin = %s
"""


# ---------------------------------------------------------------- the replacement


def replace(keys: Path, node: str, kind: Kind, why: Why, *, size: int) -> CardKeys:
    """Replace a key of our card; `size` is how many entries the ledger has.

    While the ledger's checkpoints are still signed with the identity, a key of their own follows upon it first: so
    what the old identity signed stays verifiable, and the new one signs no checkpoint. To be repeated at will after a
    crash: what was stated is not stated again.

    Raises:
        Conflict: the card has no room for another statement, or the key was replaced meanwhile.
        Unsafe: the keys folder is not safe, or does not hold.
    """
    keyring = Keyring.open(keys)
    if kind is Kind.IDENTITY:
        known = node_keys.known(keys, node, keyring.first_identity)
        if not known.notes:
            node_keys.replace(keys, known, keyring.signing_key, size=size, why=node_keys.Why(why.value))
    card = keyring.card_keys or card_keys.begin(node, keyring.signing_key, keyring.box_key)
    return card_keys.replace(keyring.folder, card, kind, keyring.signing_key, why)


def destroy(connection: Session, keys: Path, own: Identity, *, is_needed_too: bool = False) -> list[CardKey]:
    """Destroy the replaced box keys that nothing needs any more, or all of them; return those that were destroyed."""
    gone = [key for key, needed_by in needing(connection, own).items() if is_needed_too or not needed_by]
    for key in gone:
        destroy_file(keys / card_keys.file_of(key), secrets.token_bytes(card_keys.SECRET_BYTES))
    return gone


# ---------------------------------------------------------------- what we signed before


def generation(own: Identity, raised: int) -> int:
    """The generation of a stream that is filled under our card as it is: of another card, it is filled anew."""
    return raised + EDITION * (0 if own.keys is None else len(own.keys.notes))


def head(own: Identity, signed: str | None) -> str | None:
    """The checkpoint of a feed of ours, as signed by the key that holds; what was never ours stays as it is."""
    return signed if signed is None or not own.former else _signed_anew(own, signed)


def held(  # noqa: PLR0913, PLR0917  # which line of which feed
    own: Identity, peer: str, epoch: int, number: int, leaf_hash: bytes, signature: bytes
) -> bytes:
    """Our signature on a line that is held back, by the key that holds; what was never ours stays as it is."""
    if not own.former:
        return signature
    line = Held(number=number, leaf_hash=leaf_hash, signature=signature, proof=(), checkpoint=None)
    if any(envelope.is_held_by(key, envelope.feed_of(own.node, peer, epoch), line) for key in own.former):
        return envelope.sign_held(own.signing_key, own.node, peer, number, leaf_hash, epoch)
    return signature


def receipt(connection: Session, own: Identity, origin: str, size: int, signed: str) -> str:
    """Our receipt for a peer's feed, cosigned by the key that holds, and kept so."""
    if not own.former or _cosigned_at(signed, own.node, own.signing_key.public_key()) is not None:
        return signed
    at_s = next((at for key in own.former if (at := _cosigned_at(signed, own.node, key)) is not None), None)
    if at_s is None:
        return signed
    text, _, lines = signed.rpartition("\n\n")
    theirs = [line for line in lines.splitlines() if not line.startswith(f"\u2014 {own.node} ")]
    anew = note.cosign("\n".join([f"{text}\n", *theirs, ""]), own.node, own.signing_key, at_s)
    connection.execute(
        "UPDATE exchange.inbox_checkpoint SET note = %s WHERE origin = %s AND size = %s", [anew, origin, size]
    )
    return anew


def confirmations(connection: Session, own: Identity, origin: str, notes: Sequence[str]) -> tuple[str, ...]:
    """Our confirmations of erasures that a peer has not stored yet, signed by the key that holds, and kept so."""
    if not own.former:
        return tuple(notes)
    anew = tuple(_signed_anew(own, one) for one in notes)
    for before, after in zip(notes, anew, strict=True):
        if before != after:
            connection.execute(
                "UPDATE exchange.erasure_confirmation SET note = %s WHERE origin = %s AND note = %s",
                [after, origin, before],
            )
    return anew


def cosignature(own: Identity, signed: str, line: str, at: datetime) -> str:
    """The line by which we have cosigned a peer's checkpoint, by the key that holds, for the very same head."""
    if not own.former:
        return line
    witness = ledger_of(own.node)
    try:
        read_cosignature(signed + line, witness, own.signing_key.public_key())
    except NotCheckpoint:
        return cosigned(signed, witness, own.signing_key, at)
    return line


def _signed_anew(own: Identity, signed: str) -> str:
    for key in (own.signing_key.public_key(), *own.former):
        try:
            text = note.verify(signed, own.node, key)
        except note.NotSigned:
            continue
        return note.sign(text, own.node, own.signing_key)
    return signed


def _cosigned_at(signed: str, name: str, key: Ed25519PublicKey) -> int | None:
    try:
        return note.verify_cosignature(signed, name, key)[1]
    except note.NotSigned:
        return None


# ---------------------------------------------------------------- what a peer has signed for


def signers(peer: Peer, *, is_kept: bool) -> list[tuple[Ed25519PublicKey, datetime | None]]:
    """The keys by which a peer may have signed, newest first, and when they ended: of what is kept, former ones too."""
    ended = reversed(peer.keys.identities[:-1]) if is_kept else ()
    former = [(Ed25519PublicKey.from_public_bytes(key.public_key), key.ended_at) for key in ended]
    return [(peer.signing_key, None), *former]


def read_receipt(
    signed: str, own: Identity, peer: Peer, *, is_kept: bool = False, epoch: int = 0
) -> tuple[checkpoint.Checkpoint, datetime]:
    """What a peer has signed for, under a head that we signed with the key that holds or one before it.

    The peer's key must be the one that we know; of a receipt that is kept, also one before, if it was made in its time.

    Raises:
        Malformed: it is not so.
    """
    problem: Malformed | None = None
    for their_key, ended_at in signers(peer, is_kept=is_kept):
        for our_key in (own.signing_key.public_key(), *own.former):
            try:
                told, at = checkpoint.read_receipt(
                    signed,
                    origin=own.node,
                    origin_key=our_key,
                    recipient=peer.node,
                    recipient_key=their_key,
                    epoch=epoch,
                )
            except Malformed as error:
                problem = problem or error
                continue
            if ended_at is None or at <= ended_at + STILL_SIGNED:
                return told, at
            problem = Malformed("The receipt is cosigned by a key of the recipient that was replaced before.")
    raise problem or Malformed("The receipt is not one.")


# ---------------------------------------------------------------- whom we have met under which cards


def met(connection: Session, own: Identity, peer: Peer) -> None:
    """Remember that we and a peer have met under our newest cards: one of us has logged in at the other."""
    pair = _pair(own.edition, peer)
    connection.execute(
        "UPDATE exchange.peer SET met = %s WHERE node = %s AND coalesce(met, %s) <> %s",
        [pair, peer.node, FIRST_CARDS, pair],
    )


def refused(connection: Session, peer: Peer) -> None:
    """Remember that a peer does not let us in: it may know another card of ours, or have another of its own."""
    connection.execute("UPDATE exchange.peer SET met = '' WHERE node = %s", [peer.node])


def waiting(connection: Session, edition: bytes) -> list[str]:
    """The peers whom we have not met yet under their newest card that we know and this edition of ours."""
    rows = connection.execute("SELECT node, coalesce(met, %s) FROM exchange.peer", [FIRST_CARDS]).fetchall()
    met_under: dict[str, bytes] = dict(rows)
    return [one.node for one in peers.active(connection) if met_under[one.node] != _pair(edition, one)]


def _pair(edition: bytes, peer: Peer) -> bytes:
    return edition + b">" + peer.edition


# ---------------------------------------------------------------- what may still come for a box key


def arrived(connection: Session, own: Identity, origin: str, number: int, boxed_from: int | None) -> None:
    """Remember that all has arrived that a peer had boxed to our keys before the newest, as it says."""
    if own.keys is not None and boxed_from is not None and number >= boxed_from:
        connection.execute(
            "UPDATE exchange.inbox_feed SET arrived = %s WHERE origin = %s AND arrived < %s",
            [len(own.keys.notes), origin, len(own.keys.notes)],
        )


def needing(connection: Session, own: Identity) -> dict[CardKey, list[str]]:
    """The replaced box keys that are still here, oldest first, and the peers for whom each is still needed."""
    if own.keys is None:
        return {}
    here = {key.public_key().public_bytes_raw(): key for key in own.old_box_keys}
    known = [one for one in peers.listed(connection) if one.role is Role.NATION and one.state is not State.REMOVED]
    rows = connection.execute("SELECT origin, arrived FROM exchange.inbox_feed").fetchall()
    reached: dict[str, int] = dict(rows)
    found = {}
    for key, successor in zip(own.keys.boxes[:-1], own.keys.boxes[1:], strict=True):
        if key.public_key in here:
            found[key] = [
                one.node
                for one in known
                if reached.get(one.node, 0) < successor.serial
                or _waits_in_quarantine(connection, own, one.node, box_key=here[key.public_key])
            ]
    return found


def _waits_in_quarantine(connection: Session, own: Identity, origin: str, *, box_key: X25519PrivateKey) -> bool:
    """Whether something of a peer's waits in quarantine that only this key opens."""
    for raw, boxed in connection.execute(_QUARANTINED, [origin]):
        core = envelope.decode_core(bytes(raw), Core)
        if isinstance(core, Core) and box.unbox(bytes(boxed), box_key, recipient=own.node, header=core.header):
            return True
    return False
