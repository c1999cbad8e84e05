"""`ncen keys …`: the keys that this node signs its ledger's checkpoints with, and their replacement.

A new key is signed by the old one, so that old checkpoints stay verifiable and peers can follow. The key by which peers
know this node, which signs feeds and logs in, is the first of them and is not replaced here.
"""

from typing import TYPE_CHECKING

from cyclopts import App

from cli import output
from cli.output import NotFound
from cli.verify import proving

if TYPE_CHECKING:
    from ledger.node_keys import NodeKeys, Why

app = App(name="keys", help="Show and replace the keys that this node signs its ledger's checkpoints with.")


@app.command(name="list")
def list_() -> None:
    """List the keys that checkpoints were signed with: fingerprints, and for which sizes each counts."""
    with proving() as (_, prover, _):
        if prover is None:
            raise NotFound("This node has no keys yet: `ncen up` makes them.")
        known = prover.keys
    _tell(known)


@app.command
def rotate() -> None:
    """Replace the key, as is done from time to time; the old one is destroyed, and what it signed stays verifiable."""
    from ledger.node_keys import Why

    _replace(Why.ROTATED)


@app.command
def revoke() -> None:
    """Replace the key because somebody else may have it: what it signs from now on is not believed."""
    from ledger.node_keys import Why

    _replace(Why.REVOKED)


def _replace(why: "Why") -> None:
    from ledger import node_keys
    from ledger.keyring import Keyring
    from ledger.tree import Tree

    with proving() as (connection, prover, settings):
        if prover is None:
            raise NotFound("This node has no keys yet: `ncen up` makes them.")
        keyring = Keyring.open(settings.keys)
        size = Tree(connection).size()
        known = node_keys.replace(keyring.folder, prover.keys, keyring.signing_key, size=size, why=why)
    output.say("Copy the keys folder again: what is in its old copy does not sign any more.")
    _tell(known)


def _tell(known: "NodeKeys") -> None:
    import base64

    from cli import show

    rows = []
    told = []
    for number, key in enumerate(known.keys):
        until = "" if key.until is None else key.until
        ended = "" if key.ended_at is None else f"{key.why} {show.when(key.ended_at)}"
        rows.append((number + 1, key.fingerprint, max(key.after, 0), until, ended or "signs now"))
        told.append(
            {
                "fingerprint": key.fingerprint,
                "public_key": base64.b64encode(key.public_key).decode(),
                "from": max(key.after, 0),
                "until": key.until,
                "ended_at": show.plain(key.ended_at),
                "why": None if key.why is None else key.why.value,
            }
        )
    columns = ("key>", "fingerprint", "from entry>", "to entry>", "")
    output.show({"ledger": known.origin, "keys": told}, output.table(known.origin, columns, rows))
