"""Peers: the nodes we exchange with, by their public keys and where their NATS answers.

Two administrations hand each other a card, a small JSON file in which nothing is secret; they compare its fingerprint
over another channel, since whoever swaps a card becomes the peer. Keys of a peer that we know are replaced by a card
only if its statements lead from them to the new ones (see `successors`): anything else would be another peer under the
same name. Our own secrets stay in the keys folder.
"""

import hashlib
import re
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit, urlunsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from msgspec import Meta

from domain import forms
from domain.codes import NodeCode
from domain.forms import form
from domain.refused import Refused
from exchange import successors
from exchange.successors import Held
from ledger import card_keys
from ledger.card_keys import CardKeys
from ledger.checkpoint import NotCheckpoint, ledger_of
from ledger.errors import Unsafe
from ledger.keyring import Keyring
from ledger.sessions import Session, connect

KeyBytes = Annotated[bytes, Meta(min_length=32, max_length=32)]
NatsUrl = Annotated[str, form(r"^(nats|tls)://[A-Za-z0-9.\[\]:-]{1,255}$(?!\n)", "nats://host:port")]
MOST_CARD_BYTES = 64 * 1024
Statement = Annotated[str, Meta(max_length=card_keys.MOST_NOTE_BYTES)]
_QUOTED = re.compile(r"'.*'|(?<=unknown field )`.*`(?= - at|$)", re.DOTALL)
"""What a parser repeats of the file."""


class Role(StrEnum):
    """What a node is in the network: a nation's, or the CEN's, which is told only what names no one."""

    NATION = "nation"
    CEN = "cen"


class State(StrEnum):
    """Whether we exchange with a peer: nothing is sent to it or taken from it unless it is active."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVED = "removed"


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one administration hands another: who we are and how to reach us. Nothing in it is secret."""

    card: Literal["ncen-card/1"]
    node: NodeCode
    role: Role
    signing_key: KeyBytes
    box_key: KeyBytes
    nats_url: NatsUrl | None = None
    successions: Annotated[tuple[Statement, ...], Meta(max_length=card_keys.MOST_STATEMENTS)] = ()

    @property
    def keys(self) -> CardKeys:
        """Its two keys, and those before them. Raises NotCheckpoint: its statements do not lead to them."""
        return _keys_of(self.node, self.signing_key, self.box_key, self.successions)

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits in fours, to be compared over the telephone."""
        edition = self.keys.head
        told = (b"ncen card 2 " if edition else b"ncen card 1 ") + self.node.encode() + self.signing_key + self.box_key
        digits = hashlib.sha256(told + edition).hexdigest()
        return " ".join(digits[place : place + 4] for place in range(0, 16, 4))


_keys_of = lru_cache(256)(card_keys.of_card)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Ourselves in the exchange: node, role and the private keys; `keys` where a key of the card was replaced."""

    node: NodeCode
    role: Role
    signing_key: Ed25519PrivateKey
    box_key: X25519PrivateKey
    old_box_keys: tuple[X25519PrivateKey, ...] = ()
    keys: CardKeys | None = None

    @classmethod
    def open(cls, keys: Path, *, node: str, role: str = Role.NATION) -> Self:
        """Read our keys from the keys folder (made on first use).

        Raises:
            Unsafe: the statements in the folder are those of another node.
        """
        keyring = Keyring.open(keys)
        if keyring.card_keys is not None and keyring.card_keys.origin != ledger_of(node):
            raise Unsafe(f"The keys in {keys} are those of another node than {node}.")
        return cls(
            node=node,
            role=Role(role),
            signing_key=keyring.signing_key,
            box_key=keyring.box_key,
            old_box_keys=keyring.old_box_keys,
            keys=keyring.card_keys,
        )

    @property
    def box_keys(self) -> tuple[X25519PrivateKey, ...]:
        """What opens what was boxed for us, newest first."""
        return (self.box_key, *self.old_box_keys)

    @property
    def edition(self) -> bytes:
        """Which edition of our card this is: nothing where no key was replaced."""
        return b"" if self.keys is None else self.keys.head

    @property
    def former(self) -> tuple[Ed25519PublicKey, ...]:
        """The identities that we had before, newest first: what they signed was ours."""
        return () if self.keys is None else _former(self.keys)

    def card(self, nats_url: str | None = None) -> Card:
        """The card of this node; user and password in `nats_url` are left out.

        Raises:
            Refused: the address is not of the form nats://host:port or tls://host:port.
        """
        fields = {
            "card": "ncen-card/1",
            "node": self.node,
            "role": self.role,
            "signing_key": self.signing_key.public_key().public_bytes_raw(),
            "box_key": self.box_key.public_key().public_bytes_raw(),
            "nats_url": without_login(nats_url) if nats_url else None,
            "successions": () if self.keys is None else self.keys.notes,
        }
        try:
            return forms.convert(fields, Card)
        except msgspec.ValidationError as error:
            raise Refused(f"No card can be made of this: {error}.") from None


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A node we exchange with."""

    node: NodeCode
    role: Role
    signing_key: Ed25519PublicKey
    box_key: X25519PublicKey
    nats_url: str | None = None
    state: State = State.ACTIVE
    successions: tuple[str, ...] = ()
    held: Held | None = None
    """Why it is suspended until a person decides which of its cards is its own."""
    boxed_from: int = 0
    """The last line of our feed to it that may be boxed to a box key before its newest."""

    @property
    def keys(self) -> CardKeys:
        """The keys of its card, and those before them."""
        return self.card.keys

    @property
    def edition(self) -> bytes:
        """Which edition of its card we know."""
        return self.keys.head

    @property
    def former(self) -> tuple[Ed25519PublicKey, ...]:
        """The identities that it had before, newest first."""
        return _former(self.keys)

    @property
    def is_active(self) -> bool:
        """Whether we exchange with it now."""
        return self.state is State.ACTIVE

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its card."""
        return self.card.fingerprint

    @property
    def card(self) -> Card:
        """Its card, as it was handed to us."""
        return Card(
            card="ncen-card/1",
            node=self.node,
            role=self.role,
            signing_key=self.signing_key.public_bytes_raw(),
            box_key=self.box_key.public_bytes_raw(),
            nats_url=self.nats_url,
            successions=self.successions,
        )


def _former(keys: CardKeys) -> tuple[Ed25519PublicKey, ...]:
    return tuple(Ed25519PublicKey.from_public_bytes(key.public_key) for key in reversed(keys.identities[:-1]))


def without_login(nats_url: str) -> str:
    """The same address without user and password."""
    parts = urlsplit(nats_url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))


def write_card(card: Card) -> str:
    """The card as a JSON file."""
    return msgspec.json.format(msgspec.json.encode(card).decode(), indent=2) + "\n"


def read_card(text: str | bytes) -> Card:
    """Read a card.

    Raises:
        Refused: it is not a card, with what is wrong with it.
    """
    raw = text.encode() if isinstance(text, str) else text
    if len(raw) > MOST_CARD_BYTES:
        raise Refused("This is not the card of a node: it is too large.")
    try:
        card: Card = forms.from_json(raw, Card)
        card.keys  # noqa: B018  # its statements must hold before anything of it is used
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(card.box_key))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(f"This is not the card of a node: {_QUOTED.sub('…', str(error))}.") from None
    except NotCheckpoint as error:
        raise Refused(f"This card cannot be believed. {error}") from None
    except ValueError:  # with such a key no secret is anybody's own
        raise Refused("This card cannot be believed. Its box key is not one.") from None
    return card


def add(database_url: str, own: Identity, card: Card) -> Peer:
    """Take up the node of this card as a peer, or take its new address, or the keys that its statements lead to.

    Raises:
        Refused: it is our own card, two CEN nodes would meet, or the keys are not those that we know, nor follow upon
            them as may be believed without asking. What shows that a key was stolen suspends the peer.
    """
    if card.node == own.node:
        raise Refused("This is our own card: hand it to the peer, and add the card that the peer hands you.")
    if card.role is Role.CEN and own.role is Role.CEN:
        raise Refused("Two CEN nodes exchange nothing with each other.")
    with connect(database_url) as connection:
        with connection.transaction():
            connection.execute(_NEW, [card.node, card.role, card.signing_key, card.box_key, card.nats_url, _list(card)])
            connection.execute("INSERT INTO exchange.feed (peer) VALUES (%s) ON CONFLICT DO NOTHING", [card.node])
            connection.execute(
                "INSERT INTO exchange.inbox_feed (origin) VALUES (%s) ON CONFLICT DO NOTHING", [card.node]
            )
            known = locked(connection, card.node)
            refusal = successors.why_not(known.keys, card.keys, held=known.held)
            if known.role is not card.role:
                raise Refused(f"{card.node} is a peer already, in another role.")
            if refusal is None:
                _take(connection, card)
            elif refusal.holds is not None:
                connection.execute(_HOLD, [refusal.holds, write_card(card), card.node])
        if refusal is not None:
            raise Refused(f"{card.node} {refusal.words}")
        return locked(connection, card.node)


_NEW = """
    INSERT INTO exchange.peer (node, role, signing_key, box_key, nats_url, successions) VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING
"""
_TAKE = """
    UPDATE exchange.peer SET signing_key = %s, box_key = %s, nats_url = %s, successions = %s,
        boxed_from = CASE WHEN box_key = %s THEN boxed_from
                     ELSE (SELECT number FROM exchange.feed WHERE feed.peer = peer.node) END
    WHERE node = %s
"""
_HOLD = """
    UPDATE exchange.peer SET held = %s, held_card = %s, state_at = now(),
        state = CASE state WHEN 'removed' THEN state ELSE 'suspended' END
    WHERE node = %s
"""


def replace(database_url: str, card: Card) -> Peer:
    """Take a card of a peer whose fingerprint a person has compared, also where its statements alone do not suffice.

    The peer goes on with it, if it was held.

    Raises:
        Refused: there is no such peer, or no statement of the card begins with a key that we know as its own.
    """
    with connect(database_url) as connection, connection.transaction():
        known = locked(connection, card.node)
        refusal = successors.why_never(known.keys, card.keys)
        if refusal is not None or known.role is not card.role:
            raise Refused(f"{card.node} {refusal or 'is a peer in another role.'}")
        _take(connection, card)
        connection.execute(
            "UPDATE exchange.peer SET state = CASE WHEN held IS NULL THEN state ELSE 'active' END, held = NULL"
            " WHERE node = %s",
            [card.node],
        )
        return locked(connection, card.node)


def locked(connection: Session, node: str) -> Peer:
    """A peer, and our feed to it, locked until the transaction ends: nothing is boxed to a key that is being replaced.

    Raises:
        Refused: there is no such peer.
    """
    connection.execute("SELECT FROM exchange.feed WHERE peer = %s FOR UPDATE", [node])
    found = next((one for one in listed(connection) if one.node == node), None)
    if found is None:
        raise Refused(f"{node} is not a peer of this node.")
    return found


def _take(connection: Session, card: Card) -> None:
    keys = [card.signing_key, card.box_key, card.nats_url, _list(card), card.box_key]
    connection.execute(_TAKE, [*keys, card.node])


def _list(card: Card) -> list[str]:
    return list(card.successions)


def listed(connection: Session) -> list[Peer]:
    """All peers, by node code."""
    rows = connection.execute(
        "SELECT node, role, signing_key, box_key, nats_url, state, successions, held, boxed_from FROM exchange.peer"
        " ORDER BY node"
    )
    return [
        Peer(
            node=node,
            role=Role(role),
            signing_key=Ed25519PublicKey.from_public_bytes(signing_key),
            box_key=X25519PublicKey.from_public_bytes(box_key),
            nats_url=nats_url,
            state=State(state),
            successions=tuple(successions),
            held=None if held is None else Held(held),
            boxed_from=boxed_from,
        )
        for node, role, signing_key, box_key, nats_url, state, successions, held, boxed_from in rows
    ]


def box_key_of(connection: Session, peer: Peer) -> Peer:
    """The peer with the box key that holds in this transaction, in which our feed to it is locked."""
    row = connection.execute("SELECT box_key FROM exchange.peer WHERE node = %s", [peer.node]).fetchone()
    key = None if row is None else X25519PublicKey.from_public_bytes(bytes(row[0]))
    return peer if key is None else msgspec.structs.replace(peer, box_key=key)


def active(connection: Session) -> list[Peer]:
    """The peers that we exchange with now, by node code."""
    return [peer for peer in listed(connection) if peer.is_active]


def put(connection: Session, node: str, state: State) -> None:
    """Suspend a peer, go on with it, or remove it; its history and its keys are kept.

    Raises:
        Refused: it is held until a person has decided which of its cards is its own.
    """
    held = next((one.held for one in listed(connection) if one.node == node), None)
    if state is State.ACTIVE and held is not None:
        raise Refused(f"{node} {successors.SENTENCES[held]}")
    connection.execute("UPDATE exchange.peer SET state = %s, state_at = now() WHERE node = %s", [state, node])


def known(database_url: str) -> list[Peer]:
    """All peers, by node code, over a connection of its own."""
    with connect(database_url) as connection:
        return listed(connection)
