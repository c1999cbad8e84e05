"""Two nations and the CEN over a real NATS: what is recorded here arrives there, amended, withheld and withdrawn."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cli.nats_server import EmbeddedNats
from domain.codes import Reason
from domain.handling import DataCategory, PremiseReason
from domain.premise import SuspendPremise
from domain.seizure import CancelSeizure, CorrectGoods, NameParty, SubmitSeizure
from exchange import accounts, worker
from exchange.peers import Peer
from ledger import sealer
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import LAWYER, Node, goods, party, person, premise, seizure


def until(is_so: Callable[[], bool], wait_s: float = 40.0) -> None:
    deadline = time.monotonic() + wait_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


@contextmanager
def at_work(*nodes: tuple[Node, str | None]) -> Iterator[None]:
    """Sealer and exchange of these nodes, in threads."""
    stop = threading.Event()
    threads = []
    for node, nats_url in nodes:
        options = {"node": node.code, "keys": node.keys, "nats_url": nats_url, "stop": stop, "role": node.own.role}
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
