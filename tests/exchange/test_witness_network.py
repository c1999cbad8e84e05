"""Witnessing over a real NATS: checkpoints and cosignatures travel between nations, and never to the CEN."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import nats.errors
import pytest

from access import schema
from access.log_prover import LogProver
from cli.nats_server import EmbeddedNats
from exchange import accounts, jetstream, witnessing
from exchange.nkey import meeting_key
from exchange.peers import Identity, Peer
from ledger import node_keys
from ledger.keyring import Keyring
from ledger.node_keys import Why
from ledger.prover import Prover
from ledger.sealer import seal_once
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import Node, seizure
from tests.exchange.test_network import at_work, serve, until

pytestmark = pytest.mark.timeout(300)


def cosigned(node: Node) -> list[tuple[str, int]]:
    return node.session.execute("SELECT witness, size FROM ledger.cosignature ORDER BY size, witness").fetchall()


def look(node: Node, folder: Path, count: int) -> int:
    size = node.reader.head() + 2 * count
    for _ in range(count):
        node.do(seizure())
    until(lambda: seal_once(node.session) + node.reader.head() >= size)  # the node's own sealer may be quicker
    verdict = Prover.open(node.keys, node=node.code, folder=folder / node.code).look(node.session)
    assert verdict.is_sound
    return verdict.entries


def test_nations_witness_each_other_and_the_cen_hears_nothing(
    make_node: MakeNode,
    make_nats: Callable[[str], EmbeddedNats],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(witnessing, "EVERY_S", 0.2)
    xa, xb, cen = make_node("XA"), make_node("XB"), make_node("CEN", "cen")
    server_a, server_b = make_nats("a"), make_nats("b")
    to_b, to_cen = xa.meet(xb, server_b.url), xa.meet(cen)
    of_a = xb.meet(xa, server_a.url)
    cen.meet(xa, server_a.url)
    serve(server_a, xa, to_b, to_cen)
    serve(server_b, xb, of_a)
    look(xa, tmp_path, 2)
    look(xb, tmp_path, 3)
    with at_work((xa, server_a.url), (xb, server_b.url), (cen, None)):
        until(lambda: cosigned(xa) == [("ncen/XB", 4)])
        until(lambda: cosigned(xb) == [("ncen/XA", 6)])
        look(xa, tmp_path, 1)
        until(lambda: cosigned(xa) == [("ncen/XB", 4), ("ncen/XB", 6)])
        keyring = Keyring.open(xa.keys)
        known = node_keys.known(xa.keys, "XA", keyring.signing_key.public_key())
        node_keys.replace(xa.keys, known, keyring.signing_key, size=6, why=Why.ROTATED)
        look(xa, tmp_path, 1)  # signed with a key that the witness is led to
        until(lambda: cosigned(xa)[-1] == ("ncen/XB", 8))
        with_log(xa, tmp_path)
        until(lambda: log_cosigned(xa) == [("ncen/XB", 1)])
        assert cen.session.execute("SELECT count(*) FROM exchange.witnessed").fetchone() == (0,)
        answers = asyncio.run(ask_as(server_a.url, xa.own, {"XB": xb.own, "CEN": cen.own}))
    xa.session.execute("DROP SCHEMA processing, gate, access CASCADE")  # the database is another test's after this
    assert answers == {
        "XB as itself": "400",
        "XB as the CEN": "denied",
        "CEN as itself": "denied",
        "CEN as XB": "denied",
    }
    assert xa.session.execute("SELECT count(*) FROM exchange.witnessed WHERE origin <> 'ncen/XB'").fetchone() == (0,)


def with_log(node: Node, folder: Path) -> None:
    """Let a node keep a processing log of one line, and sign its head."""
    schema.prepare(node.session, node.keys)
    node.session.execute("SELECT processing.tell('erasure', 'dora', NULL, NULL, NULL, 'log drop', '{}', NULL, NULL)")
    prover = LogProver.open(node.keys, node=node.code, folder=folder / node.code)
    assert prover.look(node.session) == ()


def log_cosigned(node: Node) -> list[tuple[str, int]]:
    return node.session.execute("SELECT witness, size FROM processing.cosignature ORDER BY size").fetchall()


async def ask_as(url: str, host: Identity, guests: dict[str, Identity]) -> dict[str, str]:
    """Ask the host to cosign, as each guest, on its own subject and on the other's."""
    answers = {}
    for name, own in guests.items():
        key = meeting_key(own.box_key, host.box_key.public_key(), host=host.node, guest=name)
        client = await jetstream.connect(url, key, inbox_prefix=accounts.inbox_of(name))
        for other in guests:
            try:
                told = await client.request(accounts.witness_of(other), b"no request", timeout=2)
                answer = told.data.decode().partition("\n")[0]
            except (nats.errors.TimeoutError, nats.errors.NoRespondersError, nats.errors.Error):
                answer = "denied"
            whose = "itself" if other == name else "the CEN" if other == "CEN" else other
            answers[f"{name} as {whose}"] = answer
        await client.close()
    return answers


def test_only_nations_get_the_right_to_ask(make_node: MakeNode) -> None:
    xa, xb, cen = make_node("XA"), make_node("XB"), make_node("CEN", "cen")
    peers: list[Peer] = [xa.meet(xb), xa.meet(cen)]
    text = accounts.render(xa.own, peers, node_password="p")
    assert '"witness.XB"' in text
    assert "witness.CEN" not in text
