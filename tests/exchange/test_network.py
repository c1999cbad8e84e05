"""Two nations and the CEN over a real NATS: what is recorded here arrives there, amended, withheld and withdrawn."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.js.client import JetStreamContext

from cli import certificates
from cli.nats_server import EmbeddedNats
from cli.settings import Settings, load
from domain.codes import Reason
from domain.handling import DataCategory, PremiseReason
from domain.premise import SuspendPremise
from domain.seizure import CancelSeizure, CorrectGoods, NameParty, SubmitSeizure
from exchange import accounts, jetstream, worker
from exchange.jetstream import StreamState
from exchange.nkey import login_key
from exchange.peers import Peer, without_login
from exchange.status import status
from ledger import sealer
from tests.exchange.authority import Authority
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import LAWYER, Node, goods, party, person, premise, seizure


def until(is_so: Callable[[], bool], wait_s: float = 40.0) -> None:
    deadline = time.monotonic() + wait_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


@contextmanager
def at_work(*nodes: tuple[Node, str | None], tls: Settings | None = None) -> Iterator[None]:
    """Sealer and exchange of these nodes, in threads; `tls`: settings by which links are encrypted."""
    stop = threading.Event()
    threads = []
    for node, nats_url in nodes:
        options: dict[str, Any] = {
            "node": node.code,
            "keys": node.keys,
            "nats_url": nats_url,
            "stop": stop,
            "role": node.own.role,
        }
        if tls is not None:
            options |= {"tls": certificates.of_links(tls), "own_tls": certificates.of_own_server(tls)}
        threads += [
            threading.Thread(target=sealer.run, args=(node.url,), kwargs={"stop": stop}),
            threading.Thread(target=worker.run, args=(node.url,), kwargs=options),
        ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)


def serve(server: EmbeddedNats, node: Node, *to: Peer) -> None:
    server.write_accounts(accounts.render(node.own, to, node_password=server.node_password))
    server.reload()


def names(node: Node, record_id: object) -> list[str]:
    return [entry.name for entry in node.reader.record(record_id)]  # type: ignore[arg-type]  # a UUID


def test_the_whole_way(make_node: MakeNode, make_nats: Callable[[str], EmbeddedNats]) -> None:
    xa, xb, cen = make_node("XA"), make_node("XB"), make_node("ZZ-CEN", "cen")
    nats_a, nats_b = make_nats("a"), make_nats("b")
    to_b, from_a = xa.meet(xb, nats_b.url), xb.meet(xa, nats_a.url)
    to_cen = xa.meet(cen)
    cen.meet(xa, nats_a.url)
    serve(nats_a, xa, to_b, to_cen)
    serve(nats_b, xb, from_a)
    both = (DataCategory.OPEN, DataCategory.NOMINAL)
    agreed = xa.do(premise(categories=both), LAWYER)
    xb.do(premise(categories=both), LAWYER)
    with at_work((xa, nats_a.url), (xb, nats_b.url), (cen, None)):
        courier = xa.do(person())
        told = xa.do(seizure()).record_id
        xa.do(NameParty(party=party(courier.record_id)), record_id=told)
        xa.do(SubmitSeizure(), record_id=told)
        xa.do(CorrectGoods(line=1, goods=goods(amount="4"), reason=Reason.RECOUNT), record_id=told)
        back = xb.do(seizure()).record_id
        until(lambda: names(xb, told) == names(xa, told) != [])
        until(lambda: len(names(xb, courier.record_id)) == 2)
        until(lambda: len(names(xa, back)) == 2)
        until(lambda: xa.receipted(to_b) == len(xa.messages(to_b)))
        until(lambda: cen.reader.head() == 2)
        assert [entry.name for entry in cen.reader.read(0, 10)] == ["notice.received", "notice.amended"]
        xa.do(SuspendPremise(reason=PremiseReason.BREACH), LAWYER, agreed.record_id)
        until(lambda: xa.reasons(to_b, agreed.record_id)[-1] is not None)
        silent = xa.do(seizure()).record_id
        xa.do(CancelSeizure(reason=Reason.DUPLICATE), record_id=told)
        until(lambda: cen.reader.head() == 3)
        until(lambda: xa.reasons(to_b, silent) == ["suspended", "suspended"])
    assert names(xb, silent) == []
    assert "seizure.cancelled" not in names(xb, told)


def test_over_encrypted_links_as_the_settings_say(
    make_node: MakeNode, make_nats: Callable[[str], EmbeddedNats], open_folder: Path
) -> None:
    authority = Authority(open_folder, "ours")
    cert, key = authority.issue("node")
    encrypted = load(home=open_folder / "home", tls_cert=cert, tls_key=key, tls_ca=authority.file)
    xa, xb = make_node("XA"), make_node("XB")
    nats = make_nats("a")
    to_b = xa.meet(xb)
    xb.meet(xa, without_login(nats.url).replace("nats://", "tls://"))
    tls = certificates.given_to(nats, encrypted)
    nats.write_accounts(accounts.render(xa.own, [to_b], node_password=nats.node_password, tls=tls))
    nats.reload()
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    told = xa.do(seizure()).record_id
    with at_work((xa, nats.url), (xb, None), tls=encrypted):
        until(lambda: names(xb, told) == ["seizure.recorded"])
        until(lambda: xa.receipted(to_b) == len(xa.messages(to_b)))


def test_what_goes_wrong_with_the_stream_is_mended(
    make_node: MakeNode, make_nats: Callable[[str], EmbeddedNats]
) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    nats = make_nats("a")
    to_b, from_a = xa.meet(xb), xb.meet(xa, nats.url)
    serve(nats, xa, to_b)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    for _ in range(8):
        xa.do(seizure())
    xa.export(to_b)
    key = login_key(xa.own.signing_key, accounts.account_of("XB"))
    url = without_login(nats.url)
    with at_work((xa, nats.url)):
        until(lambda: stream(url, key) == (1, 8, True))
        asyncio.run(harm(url, key, lambda js: js.delete_msg("OUT_XB", 4)))
        until(lambda: stream(url, key) == (1, 8, True))
        asyncio.run(harm(url, key, lambda js: js.delete_stream("OUT_XB")))
        until(lambda: stream(url, key) == (1, 8, True))
        asyncio.run(harm(url, key, lambda js: js.publish("out.XB", b"a line that nobody released")))
        until(lambda: stream(url, key) == (1, 8, True))
        asyncio.run(harm(url, key, lambda js: js.delete_consumer("OUT_XB", "feed")))
    with at_work((xa, nats.url), (xb, None)):
        until(lambda: xa.receipted(to_b) == 8)
    again = make_node("XB", keys=xb.keys)  # its database is gone, its keys are not
    again.meet(xa, nats.url)
    again.do(premise(), LAWYER)
    with at_work((xa, nats.url), (again, None)):
        until(lambda: status(again.url)[0].receiving.recorded == 8)
    assert from_a.node == "XA"


def test_a_second_worker_waits_until_the_first_is_gone(
    make_node: MakeNode, make_nats: Callable[[str], EmbeddedNats]
) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    nats = make_nats("a")
    to_b, _ = xa.meet(xb), xb.meet(xa, nats.url)
    serve(nats, xa, to_b)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    with at_work((xa, nats.url), (xb, None)):
        xa.do(seizure())
        until(lambda: xa.receipted(to_b) == 1)
        with at_work((xa, nats.url), (xb, None)):
            xa.do(seizure())
            until(lambda: xa.receipted(to_b) == 2)
    with at_work((xb, None), (xa, nats.url)):
        xa.do(seizure())
        until(lambda: xa.receipted(to_b) == 3)


def stream(url: str, key: Ed25519PrivateKey) -> tuple[int, int, bool] | None:
    async def ask() -> StreamState | None:
        client = await jetstream.connect(url, key)
        try:
            return await jetstream.state(client.jetstream(), "XB")
        finally:
            await client.close()

    found = asyncio.run(ask())
    return (found.first, found.last, found.is_whole) if found else None


async def harm(url: str, key: Ed25519PrivateKey, do: Callable[[JetStreamContext], Awaitable[object]]) -> None:
    client = await jetstream.connect(url, key)
    try:
        await do(client.jetstream())
    finally:
        await client.close()
