"""`ncen keys …`: the keys of this node, and their replacement.

Three kinds: the key that signs the ledger's checkpoints; the identity, by which peers know the node and which signs
feeds, receipts and confirmations; and the box key, to which they box what only we may open. A new key is signed by the
old one, so that what was signed stays verifiable and peers can follow. The last two stand in the card: when one is
replaced, every peer is handed the new card, and the feeds with it wait until it has taken it.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from cli import output
from cli.output import NotFound
from cli.verify import proving

if TYPE_CHECKING:
    from cli.settings import Settings
    from exchange.peers import Identity
    from ledger.card_keys import CardKey
    from ledger.node_keys import NodeKeys
    from ledger.sessions import Session

Kind = Annotated[
    Literal["ledger", "identity", "box"],
    Parameter(help="Which key: that of the ledger's checkpoints, the identity, or the box key."),
]

app = App(name="keys", help="Show and replace this node's keys: of the ledger's checkpoints, and of its card.")


@app.command(name="list")
def list_(*, kind: Kind = "ledger") -> None:
    """List the keys of a kind that this node has had: fingerprints, and what each counts for."""
    with proving() as (connection, prover, settings):
        if prover is None:
            raise NotFound("This node has no keys yet: `ncen up` makes them.")
        if kind != "ledger":
            _tell_card(connection, settings, kind)
            return
        known = prover.keys
    _tell(known)


@app.command
def rotate(*, kind: Kind = "ledger") -> None:
    """Replace a key, as is done from time to time; what the old one signed stays verifiable."""
    _replace(kind, "rotated")


@app.command
def revoke(*, kind: Kind = "ledger") -> None:
    """Replace a key because somebody else may have it: what it signs from now on is not believed."""
    _replace(kind, "revoked")


@app.command
def destroy(
    *,
    anyway: Annotated[
        bool, Parameter(help="Also those that are still needed: what comes boxed to them opens never.")
    ] = False,
) -> None:
    """Destroy the box keys that were replaced and are not needed any more; tell for whom the others are kept."""
    from exchange import renewing
    from ledger.node_keys import fingerprint

    with proving() as (connection, prover, settings):
        if prover is None:
            raise NotFound("This node has no keys yet: `ncen up` makes them.")
        gone = renewing.destroy(connection, settings.keys, _own(settings), is_needed_too=anyway)
        kept = renewing.needing(connection, _own(settings))
    told = [f"The box key {fingerprint(key.public_key)} was destroyed." for key in gone]
    told += [f"{fingerprint(key.public_key)} is kept for {', '.join(nodes)}." for key, nodes in kept.items()]
    data = {
        "destroyed": [fingerprint(key.public_key) for key in gone],
        "kept": {fingerprint(key.public_key): nodes for key, nodes in kept.items()},
    }
    output.show(data, *(told or ["There is no replaced box key here."]))


def _replace(kind: str, why: str) -> None:
    from exchange import renewing
    from ledger import card_keys, node_keys
    from ledger.keyring import Keyring
    from ledger.tree import Tree

    with proving() as (connection, prover, settings):
        if prover is None:
            raise NotFound("This node has no keys yet: `ncen up` makes them.")
        size = Tree(connection).size()
        if kind == "ledger":
            keyring = Keyring.open(settings.keys)
            known = node_keys.replace(
                keyring.folder, prover.keys, keyring.signing_key, size=size, why=node_keys.Why(why)
            )
        else:
            renewing.replace(settings.keys, settings.node, card_keys.Kind(kind), card_keys.Why(why), size=size)
    output.say("Copy the keys folder again: what is in its old copy does not sign any more.")
    if kind == "ledger":
        _tell(known)
        return
    _renew_logins(settings)
    output.say(f"Fingerprint of {settings.node}: {_own(settings).card().fingerprint}.")
    output.say("Hand every peer the new card (`ncen peer card`): the feeds with it wait until it has taken the card.")
    if (kind, why) == ("identity", "revoked"):
        output.say("It takes it by `ncen peer replace CARD --fingerprint …` only: tell the fingerprint by telephone.")
    list_(kind=kind)  # type: ignore[arg-type]  # it is neither of the others


def _renew_logins(settings: "Settings") -> None:
    from cli.supervisor import nats_of, write_accounts

    server = nats_of(settings)
    if server is not None and server.is_running():
        write_accounts(settings, server)


def _own(settings: "Settings") -> "Identity":
    from exchange.peers import Identity

    return Identity.open(settings.keys, node=settings.node, role=settings.role)


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


def _tell_card(connection: "Session", settings: "Settings", kind: str) -> None:
    from exchange import renewing
    from ledger import card_keys

    own = _own(settings)
    known = own.keys or card_keys.begin(own.node, own.signing_key, own.box_key)
    kept = renewing.needing(connection, own) if kind == "box" else {}
    keys = known.identities if kind == "identity" else known.boxes
    told = [_told(key, kept.get(key)) for key in keys]
    rows = [(number, key["fingerprint"], _word(key, kind)) for number, key in enumerate(told, start=1)]
    output.show(
        {"node": own.node, "kind": kind, "keys": told}, output.table(own.node, ("key>", "fingerprint", ""), rows)
    )


def _told(key: "CardKey", kept_for: list[str] | None) -> dict[str, Any]:
    import base64

    from cli import show
    from ledger.node_keys import fingerprint

    return {
        "fingerprint": fingerprint(key.public_key),
        "public_key": base64.b64encode(key.public_key).decode(),
        "ended_at": show.plain(key.ended_at),
        "why": None if key.why is None else key.why.value,
        "kept_for": kept_for,
    }


def _word(key: dict[str, Any], kind: str) -> str:
    """How a key stands: it holds, or since when not, and for whom it is kept if it is."""
    if key["ended_at"] is None:
        return "signs now" if kind == "identity" else "opens what comes"
    kept = key["kept_for"]
    still = "" if kept is None else f", kept for {', '.join(kept)}" if kept else ", not needed: `ncen keys destroy`"
    return f"{key['why']} {key['ended_at']}{still}"
