"""The accounts of our NATS server, as configuration text: who may log in, and what they may do there.

One account per peer. In it we have every right, under a login of ours; the peer may ask for the next messages of one
prepared consumer, acknowledge them, hand in receipts and listen to its own inbox, and nothing else. No secret stands
in the text but for the password of our own user `node`: peers prove themselves by a key (see `nkey`).
"""

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.nkey import login_key, meeting_key, public_text
from exchange.peers import Identity, Peer, Role

CONSUMER = "feed"


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Certificate files of the server; with `ca_file`, clients must show a certificate of that authority too."""

    cert_file: Path
    key_file: Path
    ca_file: Path | None = None


def stream_of(peer: str) -> str:
    """The name of the stream that holds what was released to a peer."""
    return f"OUT_{peer}"


def subject_of(peer: str) -> str:
    """The subject under which that stream takes what we publish."""
    return f"out.{peer}"


def receipts_of(peer: str) -> str:
    """The subject on which a peer hands in its receipts."""
    return f"rcpt.{peer}"


def witness_of(peer: str) -> str:
    """The subject on which a peer, a nation, asks us to cosign its ledger's checkpoints."""
    return f"witness.{peer}"


def inbox_of(peer: str) -> str:
    """The prefix of the subjects on which a peer is answered."""
    return f"_INBOX_{peer}"


def account_of(peer: str) -> str:
    """The name of a peer's account."""
    return f"X_{peer}"


def login_of(own: Identity, peer: Peer) -> Ed25519PrivateKey:
    """The key with which a peer logs in at ours."""
    editions = own.edition, peer.edition
    return meeting_key(own.box_key, peer.box_key, host=own.node, guest=peer.node, cards=editions)


def login_at(own: Identity, peer: Peer) -> Ed25519PrivateKey:
    """The key with which we log in at a peer's."""
    editions = peer.edition, own.edition
    return meeting_key(own.box_key, peer.box_key, host=peer.node, guest=own.node, cards=editions)


def render(own: Identity, peers: Sequence[Peer], *, node_password: str, tls: Tls | None = None) -> str:
    """The accounts as NATS reads them, for `EmbeddedNats.write_accounts` or for an operator's own server.

    A CEN node serves nobody, so that it has the account of its own user only.
    """
    lines = ["# Written by ncen: one account for the node, one for every peer that reads from it.", "accounts {"]
    node_user = f"{{ user: node, password: {json.dumps(node_password)} }}"
    lines += ["  NODE {", "    jetstream: enabled", f"    users: [ {node_user} ]", "  }"]
    if own.role is Role.NATION:
        for peer in sorted((one for one in peers if one.is_active), key=lambda one: one.node):
            lines += _account(own, peer)
    lines.append("}")
    if tls is not None:
        lines += _tls(tls)
    return "\n".join(lines) + "\n"


def _account(own: Identity, peer: Peer) -> list[str]:
    ours = public_text(login_key(own.signing_key, account_of(peer.node)).public_key())
    theirs = public_text(login_of(own, peer).public_key())
    stream = stream_of(peer.node)
    may_publish = [
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{CONSUMER}",
        f"$JS.ACK.{stream}.{CONSUMER}.>",
        receipts_of(peer.node),
    ]
    if peer.role is Role.NATION:
        may_publish.append(witness_of(peer.node))
    may_hear = [f"{inbox_of(peer.node)}.>"]
    rights = f"publish: {{ allow: {json.dumps(may_publish)} }}, subscribe: {{ allow: {json.dumps(may_hear)} }}"
    return [
        f"  {json.dumps(account_of(peer.node))} {{",
        "    jetstream: enabled",
        "    users: [",
        f"      {{ nkey: {ours} }}",
        f"      {{ nkey: {theirs}, permissions: {{ {rights} }} }}",
        "    ]",
        "  }",
    ]


def _tls(tls: Tls) -> list[str]:
    lines = ["tls {", f"  cert_file: {json.dumps(str(tls.cert_file))}", f"  key_file: {json.dumps(str(tls.key_file))}"]
    if tls.ca_file is not None:
        lines += [f"  ca_file: {json.dumps(str(tls.ca_file))}", "  verify: true"]
    return [*lines, "}"]
