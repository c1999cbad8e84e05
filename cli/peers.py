"""`ncen peer …`: whom we exchange with, and the card by which we introduce ourselves.

Two administrations hand each other a card, in which nothing is secret, and compare its fingerprint over another
channel: whoever swaps a card becomes the peer. Who replaces a key hands out a new card, taken by the same
verb. What may go to a peer is not said here but by premises.
"""

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from cli import output
from cli.feeds import prepared
from cli.output import BadInput, Misused, NotFound

if TYPE_CHECKING:
    from cli.settings import Settings
    from exchange.peers import Identity, Peer
    from ledger.sessions import Session

app = App(name="peer", help="Add the nodes we exchange with, and show our own card.")


@app.command
def card(*, nats_url: str | None = None) -> None:
    """Print this node's card, to be handed to a peer; the fingerprint goes to standard error.

    Args:
        nats_url: Where peers reach our NATS, as nats://host:port; what this node listens on when nothing is said.
    """
    from cli.settings import load
    from exchange.peers import write_card

    settings = load()
    own = _own(settings).card(nats_url or _address(settings))
    told = write_card(own)
    output.say(f"Fingerprint of {own.node}: {own.fingerprint}. Compare it with the peer over another channel.")
    if output.manner.json:
        import msgspec

        output.show({"card": msgspec.json.decode(told), "fingerprint": own.fingerprint})
    else:
        output.show(None, told.rstrip("\n"))


@app.command
def add(file: Annotated[str, Parameter(allow_leading_hyphen=True)], /, *, fingerprint: str | None = None) -> None:
    """Take up a node as a peer, by the card that it handed us; or take its next card, where its statements lead there.

    Args:
        file: The card, in a file, or - for standard input.
        fingerprint: What the peer told over another channel; a card with another fingerprint is refused.
    """
    from cli.supervisor import ask_for_nats
    from domain.refused import Refused
    from exchange import peers

    told = peers.read_card(_text(file))
    if fingerprint is not None:
        _require(told.fingerprint, fingerprint)
    settings, url = prepared()
    own = _own(settings)
    try:
        peer = peers.add(url, own, told)
    except Refused:  # what shows that a key was stolen closes the peer's login
        _renew_accounts(settings)
        raise
    ask_for_nats(settings)
    output.show(_data(peer), f"{peer.node} is a peer. Its fingerprint is {peer.fingerprint}: compare it with the peer.")


@app.command
def replace(file: Annotated[str, Parameter(allow_leading_hyphen=True)], /, *, fingerprint: str) -> None:
    """Take a peer's next card although its statements alone do not suffice: its key was revoked, or was stolen.

    Compare the fingerprint over another channel before. The peer goes on with this card, if it was held.

    Args:
        file: The card, in a file, or - for standard input.
        fingerprint: What the peer's administrator told over another channel.
    """
    from exchange import peers

    told = peers.read_card(_text(file))
    _require(told.fingerprint, fingerprint)
    settings, url = prepared()
    peer = peers.replace(url, told)
    _renew_accounts(settings)
    output.show(_data(peer), f"{peer.node} is known by the card with the fingerprint {peer.fingerprint} from now on.")


@app.command(name="list")
def list_() -> None:
    """List the nodes we exchange with."""
    from exchange import peers

    _, url = prepared()
    known = peers.known(url)
    rows = [(peer.node, peer.role.value, peer.fingerprint, peer.nats_url, _word_of(peer)) for peer in known]
    output.show(
        {"peers": [_data(peer) for peer in known]},
        output.table("", ("peer", "role", "fingerprint", "NATS", ""), rows) if rows else "There are no peers yet.",
    )


@app.command(name="accept-loss")
def accept_loss(node: str, /) -> None:
    """Accept that a peer has lost a part of its ledger or processing log, as its administrator has stated.

    We cosign again what follows, and what we had cosigned beyond is kept. If we had signed for entries that it lost,
    its feed begins anew. Without this, its ledger and its feed stay refused. A CEN node is told nothing of ledgers, and
    accepts that the feed begins anew.

    Args:
        node: The peer that has stated a loss.
    """
    from datetime import UTC, datetime

    from cli.output import VerificationFailed
    from exchange import inbox_epoch, log_losses, losses, witness
    from exchange.cosigned import WITNESSED, Cosigned
    from ledger.errors import Conflict
    from ledger.errors import NotFound as NothingLost
    from ledger.sessions import connect

    settings, url = prepared()
    kept = Cosigned(settings.checkpoints / WITNESSED)
    with connect(url) as connection:
        peer = _peer(connection, node)
        if settings.role == "cen":
            epoch = inbox_epoch.accept(connection, peer, datetime.now(UTC))
            words = f"The feed of {peer.node} begins anew, after its loss number {epoch}."
            output.show({"node": peer.node, "statement": epoch}, words)
            return
        told: dict[str, losses.Told] = {}
        nothing: Exception | None = None
        for tree, accept in (("position", losses.accept), ("line", log_losses.accept)):
            try:
                told[tree] = accept(connection, peer, witness.keys_of(connection, peer), kept, datetime.now(UTC))
            except NothingLost as error:
                nothing = nothing or error
            except Conflict as error:
                raise VerificationFailed(str(error)) from None
    if not told:
        raise NotFound(str(nothing))
    data: dict[str, object] = {"node": peer.node, "statement": None, "kept": None, "lost": None, "processing_log": None}
    for tree, one in told.items():
        of_it = {"statement": one.serial, "kept": one.kept, "lost": one.lost}
        data |= of_it if tree == "position" else {"processing_log": of_it}
    output.show(
        data,
        *(
            f"{peer.node} goes on from {tree} {one.kept}{' of its processing log' if tree == 'line' else ''}: "
            f"what it had signed up to {tree} {one.lost} was lost."
            for tree, one in told.items()
        ),
    )


@app.command
def suspend(node: str, /) -> None:
    """Send nothing to a peer and take nothing from it, and close its login, until it is resumed.

    Args:
        node: The peer.
    """
    _put(node, "suspended", "is suspended: nothing is sent to it or taken from it, and its login is closed.")


@app.command
def resume(node: str, /) -> None:
    """Go on with a peer that was suspended or removed.

    Args:
        node: The peer.
    """
    _put(node, "active", "is a peer again: what has come up meanwhile goes now.")


@app.command
def remove(node: str, /) -> None:
    """End the exchange with a peer; its history, and what we know of its keys, are kept.

    Args:
        node: The peer.
    """
    _put(node, "removed", "is no peer any more. What was exchanged stays on record.")


def _renew_accounts(settings: "Settings") -> None:
    """Let in whom we exchange with now, and nobody else, where our NATS runs."""
    from cli.supervisor import nats_of, write_accounts

    server = nats_of(settings)
    if server is not None and server.is_running():
        write_accounts(settings, server)


def _put(node: str, state: str, words: str) -> None:
    from exchange import peers
    from ledger.sessions import connect

    settings, url = prepared()
    with connect(url) as connection:
        peer = _peer(connection, node)
        peers.put(connection, peer.node, peers.State(state))
    _renew_accounts(settings)
    output.show({"node": peer.node, "state": state}, f"{peer.node} {words}")


def _peer(connection: "Session", node: str) -> "Peer":
    from exchange import peers

    found = next((one for one in peers.listed(connection) if one.node == node.upper()), None)
    if found is None:
        raise NotFound(f"{node.upper()} is not a peer of this node.")
    return found


def _data(peer: "Peer") -> dict[str, object]:
    return {
        "node": peer.node,
        "role": peer.role.value,
        "fingerprint": peer.fingerprint,
        "nats_url": peer.nats_url,
        "state": peer.state.value,
        "held": peer.held and peer.held.value,
    }


def _word_of(peer: "Peer") -> str:
    return peer.state.value if peer.held is None else f"HELD: {peer.held.value}"


def _own(settings: "Settings") -> "Identity":
    from exchange.peers import Identity

    settings.make_folders()
    return Identity.open(settings.keys, node=settings.node, role=settings.role)


def _address(settings: "Settings") -> str | None:
    """Where peers reach our NATS: one that exists, or our own, which is started for it where the node is up."""
    from cli.certificates import is_encrypted
    from cli.supervisor import ask_for_nats, running
    from exchange.peers import without_login

    if settings.nats_url is not None:
        return without_login(settings.nats_url)
    server = ask_for_nats(settings) if running(settings) is not None else None
    if server is None:
        return None
    address = without_login(server.url)
    return address.replace("nats://", "tls://", 1) if is_encrypted(settings) else address


def _text(file: str) -> bytes:
    """What the file holds, as far as a card may be long and one byte further."""
    from exchange.peers import MOST_CARD_BYTES
    from ledger import given_file

    try:
        return given_file.start(file, MOST_CARD_BYTES + 1)
    except given_file.Unusable as error:
        raise BadInput(f"{'Standard input' if file == '-' else file}: {error}.") from None


def _require(fingerprint: str, given: str) -> None:
    if _bare(given) != _bare(fingerprint):
        raise Misused(f"This card has the fingerprint {fingerprint}, not the one that was given: do not trust it.")


def _bare(fingerprint: str) -> str:
    return "".join(fingerprint.split()).lower()
