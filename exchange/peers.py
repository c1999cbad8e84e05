"""Peers: the nodes we exchange with, by their public keys and where their NATS answers.

Two administrations hand each other a card, a small JSON file in which nothing is secret; they compare its fingerprint
over another channel, since whoever swaps a card becomes the peer. Keys of a peer that we know are never replaced by a
card: that would be another peer under the same name. Our own secrets stay in the keys folder.
"""

import hashlib
import re
from enum import StrEnum
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
from ledger.keyring import Keyring
from ledger.sessions import Session, connect

KeyBytes = Annotated[bytes, Meta(min_length=32, max_length=32)]
NatsUrl = Annotated[str, form(r"^(nats|tls)://[A-Za-z0-9.\[\]:-]{1,255}$(?!\n)", "nats://host:port")]
MOST_CARD_BYTES = 4_096
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

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits in fours, to be compared over the telephone."""
        digits = hashlib.sha256(b"ncen card 1 " + self.node.encode() + self.signing_key + self.box_key).hexdigest()
        return " ".join(digits[place : place + 4] for place in range(0, 16, 4))


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Ourselves in the exchange: node, role and the two private keys."""

    node: NodeCode
    role: Role
    signing_key: Ed25519PrivateKey
    box_key: X25519PrivateKey

    @classmethod
    def open(cls, keys: Path, *, node: str, role: str = Role.NATION) -> Self:
        """Read our keys from the keys folder (made on first use)."""
        keyring = Keyring.open(keys)
        return cls(node=node, role=Role(role), signing_key=keyring.signing_key, box_key=keyring.box_key)

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
        )


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
        return forms.from_json(raw, Card)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(f"This is not the card of a node: {_QUOTED.sub('…', str(error))}.") from None


def add(database_url: str, own: Identity, card: Card) -> Peer:
    """Take up the node of this card as a peer; the same card again changes at most its address.

    Raises:
        Refused: it is our own card, two CEN nodes would meet, or we know other keys under this name.
    """
    if card.node == own.node:
        raise Refused("This is our own card: hand it to the peer, and add the card that the peer hands you.")
    if card.role is Role.CEN and own.role is Role.CEN:
        raise Refused("Two CEN nodes exchange nothing with each other.")
    with connect(database_url) as connection, connection.transaction():
        connection.execute(
            "INSERT INTO exchange.peer (node, role, signing_key, box_key, nats_url) VALUES (%s, %s, %s, %s, %s) "
            "ON CONFLICT (node) DO UPDATE SET nats_url = excluded.nats_url "
            "WHERE (peer.role, peer.signing_key, peer.box_key) = "
            "(excluded.role, excluded.signing_key, excluded.box_key)",
            [card.node, card.role, card.signing_key, card.box_key, card.nats_url],
        )
        connection.execute("INSERT INTO exchange.feed (peer) VALUES (%s) ON CONFLICT DO NOTHING", [card.node])
        connection.execute("INSERT INTO exchange.inbox_feed (origin) VALUES (%s) ON CONFLICT DO NOTHING", [card.node])
        peer = next(one for one in listed(connection) if one.node == card.node)
        if (peer.card.signing_key, peer.card.box_key, peer.role) != (card.signing_key, card.box_key, card.role):
            raise Refused(f"{card.node} is a peer already, with other keys: a card never replaces them.")
    return peer


def listed(connection: Session) -> list[Peer]:
    """All peers, by node code."""
    rows = connection.execute(
        "SELECT node, role, signing_key, box_key, nats_url, state FROM exchange.peer ORDER BY node"
    )
    return [
        Peer(
            node=node,
            role=Role(role),
            signing_key=Ed25519PublicKey.from_public_bytes(signing_key),
            box_key=X25519PublicKey.from_public_bytes(box_key),
            nats_url=nats_url,
            state=State(state),
        )
        for node, role, signing_key, box_key, nats_url, state in rows
    ]


def active(connection: Session) -> list[Peer]:
    """The peers that we exchange with now, by node code."""
    return [peer for peer in listed(connection) if peer.is_active]


def put(connection: Session, node: str, state: State) -> None:
    """Suspend a peer, go on with it, or remove it; its history and its keys are kept."""
    connection.execute("UPDATE exchange.peer SET state = %s, state_at = now() WHERE node = %s", [state, node])


def known(database_url: str) -> list[Peer]:
    """All peers, by node code, over a connection of its own."""
    with connect(database_url) as connection:
        return listed(connection)
