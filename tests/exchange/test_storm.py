"""Killing anything at any moment loses and doubles nothing: exporter, relay, receiver, NATS, and its whole store."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from cli.nats_server import EmbeddedNats
from domain.seizure import SubmitSeizure
from exchange.envelope import NoticeCore, decode_core, decode_line
from ledger.ledger import Asked, Ledger
from ledger.merkle import Frontier
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import LAWYER, OFFICER, Node, premise, seizure
from tests.exchange.test_network import serve, until

ROOT = Path(__file__).parents[2]
SOAK = int(os.environ.get("NCEN_SOAK", "0"))
RECORDS = 40_000 * SOAK or 600
SECONDS = 300 * SOAK or 6
WAIT_S = 120 + 600 * SOAK


class Process:
    """A node's worker in a process of its own, killed and started again at will."""

    def __init__(self, node: Node, nats_url: str) -> None:
        self._command = [sys.executable, "-m", "tests.exchange.working", node.url, node.code, str(node.keys), nats_url]
        self._command.append(str(node.own.role))
        self.start()

    def start(self) -> None:
        self._child = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()


def kill_nats(server: EmbeddedNats, *, wipe: bool) -> None:
    place = server._place()
    if server.pid is not None:
        process = psutil.Process(server.pid)
        process.kill()
        with suppress(psutil.NoSuchProcess):
            process.wait(20)
    if wipe:
        shutil.rmtree(place / "jetstream" / "jetstream")
    server._child = None
    server.start()


def record(node: Node, count: int) -> list[UUID]:
    command = seizure(narrative=None)
    asked = [Asked(record_id=Ledger.new_id(), command=command, command_id=Ledger.new_id()) for _ in range(count)]
    node.ledger.execute_all(asked, OFFICER)
    for one in asked[::5]:
        node.do(SubmitSeizure(), record_id=one.record_id)
    return [one.record_id for one in asked]


@pytest.mark.timeout(SECONDS * 2 + WAIT_S * 3)
def test_killing_anything_loses_and_doubles_nothing(
    make_node: MakeNode, make_nats: Callable[[str], EmbeddedNats]
) -> None:
    xa, xb, cen = make_node("XA"), make_node("XB"), make_node("ZZ-CEN", "cen")
    nats = make_nats("a")
    to_b, from_a = xa.meet(xb), xb.meet(xa, nats.url)
    to_cen, told_by_a = xa.meet(cen), cen.meet(xa, nats.url)
    serve(nats, xa, to_b, to_cen)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    pick = random.Random(SOAK)
    processes = [Process(xa, nats.url), Process(xb, ""), Process(cen, "")]
    records: list[UUID] = []
    kills = 0
    try:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline or len(records) < RECORDS:
            records += record(xa, max(1, RECORDS // (SECONDS * 2)))
            time.sleep(pick.uniform(0, 0.6))
            if pick.random() < 0.25:
                kill_nats(nats, wipe=pick.random() < 0.5)
            else:
                victim = pick.choice(processes)
                victim.kill()
                victim.start()
            kills += 1
        xa.seal()
        sent = xa.reader.head()
        until(lambda: positions(xa) == [(sent,)] * 2, WAIT_S)
        until(lambda: xa.receipted(to_b) == feed(xa, "XB").size, WAIT_S)
        until(lambda: xa.receipted(to_cen) == feed(xa, "ZZ-CEN").size, WAIT_S)
    finally:
        for process in processes:
            process.kill()
    assert kills >= 3
    for node, to, of in ((xb, to_b, from_a), (cen, to_cen, told_by_a)):
        here = node.session.execute(
            "SELECT number, frontier FROM exchange.inbox_feed WHERE origin = %s", [of.node]
        ).fetchone()
        there = feed(xa, to.node)
        assert here == (there.size, there.to_bytes())
        assert node.session.execute("SELECT DISTINCT outcome FROM exchange.inbox").fetchall() == [("recorded",)]
    arrived = xb.session.execute("SELECT record_id FROM ledger.entry WHERE name = 'seizure.recorded'").fetchall()
    assert sorted(record_id for (record_id,) in arrived) == sorted(records)
    told = [decode_core(line.core, NoticeCore) for line in map(decode_line, xa.messages(to_cen))]  # type: ignore[union-attr]  # none is held
    taken = cen.session.execute("SELECT count(*) FROM ledger.entry WHERE name = 'notice.received'").fetchone()
    assert taken == (len({core.export_id for core in told}),) == (len(told),)  # type: ignore[union-attr]  # of a CEN feed


def positions(node: Node) -> list[tuple[int, ...]]:
    return node.session.execute("SELECT position FROM exchange.feed").fetchall()


def feed(node: Node, peer: str) -> Frontier:
    row = node.session.execute("SELECT number, frontier FROM exchange.feed WHERE peer = %s", [peer]).fetchone()
    assert row is not None
    return Frontier.from_bytes(*row)
