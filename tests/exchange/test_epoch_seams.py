"""A feed that begins anew is killed at every step, at either side, and goes on: half of an epoch is never there."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cli.nats_server import EmbeddedNats
from domain.handling import PremiseReason
from domain.premise import EndPremise
from domain.seizure import SubmitSeizure
from exchange import feed_epoch, inbox_epoch
from exchange.audit import audit
from exchange.feed import Exporter
from ledger.sessions import Session
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import LAWYER, now, premise, seizure
from tests.exchange.restored import Lost, Two, copy_of, put_back
from tests.exchange.test_network import at_work, serve, until
from tests.exchange.test_restored_sender import first_in_stream
from tests.exchange.test_storm import Process, kill_nats


class KilledError(Exception):
    """Stands for kill -9: what was not committed is gone."""


class Seams:
    """A session that dies before its statement of a given number."""

    def __init__(self, session: Session, at: int) -> None:
        self._session = session
        self._left = at

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever a session has
        if name in {"execute", "cursor"}:
            self._left -= 1
            if self._left < 0:
                raise KilledError
        return getattr(self._session, name)


@pytest.fixture
def two(make_node: MakeNode, tmp_path: Path) -> Iterator[Lost]:
    made = Lost(make_node, tmp_path / "checkpoints")
    yield made
    made.close()


def count(session: Session, *tables: str) -> list[int]:
    return [session.execute(f"SELECT count(*) FROM exchange.{table}".encode()).fetchall()[0][0] for table in tables]


def test_the_sender_is_killed_at_each_step(two: Lost) -> None:
    two.tell()
    two.acknowledge()
    two.xa.seal()
    kept = ("feed_before", "feed_out_before", "receipt_before", "feed_out", "receipt")
    was, at = count(two.xa.session, *kept), 0
    while True:
        dying: Any = Seams(two.xa.session, at)
        exporter = Exporter(connection=dying, reader=two.xa.reader, own=two.xa.own, peer=two.to_b)
        try:
            exporter.step(now())
        except KilledError:
            assert count(two.xa.session, *kept) == was, "nothing of it is there"
            assert not two.is_sent()
            at += 1
        else:
            break
    assert at >= 10, "the control: it was killed at each of its statements"
    assert count(two.xa.session, *kept) == [1, was[3], was[4], 0, 0]
    begin_there(two)
    assert two.versions(two.kept) == [(1, 1), (3, 2)]


def begin_there(two: Two) -> None:
    two.tell()
    two.accept()
    two.tell()
    two.tell()
    two.exchange()


def test_the_receiver_is_killed_at_each_step(two: Lost) -> None:
    two.tell()
    two.acknowledge()
    two.xa.export(two.to_b)
    two.tell()
    two.accept()
    kept = ("inbox_feed_before", "inbox_before", "inbox_checkpoint_before", "inbox", "inbox_checkpoint")
    was, at = count(two.xb.session, *kept), 0
    while True:
        dying: Any = Seams(two.xb.session, at)
        try:
            assert inbox_epoch.begin(dying, "XA", now())
        except KilledError:
            assert count(two.xb.session, *kept) == was, "nothing of it is there"
            at += 1
        else:
            break
    assert at >= 8, "the control: it was killed at each of its statements"
    assert count(two.xb.session, *kept) == [1, was[3], was[4], 0, 0]
    assert not inbox_epoch.begin(two.xb.session, "XA", now()), "once"
    two.tell()
    two.exchange()
    assert two.outcomes() == [(1, "repeated", None)]


def test_the_stream_of_the_old_epoch_is_made_anew(
    make_node: MakeNode, make_nats: Callable[[str], EmbeddedNats], tmp_path: Path
) -> None:
    two = Lost(make_node, tmp_path / "checkpoints")
    server = make_nats("a")
    serve(server, two.xa, two.to_b)
    [was] = two.xa.messages(two.to_b)
    two.xa.session.execute("DELETE FROM exchange.receipt")  # so that it is all in the stream
    assert asyncio.run(first_in_stream(two.xa, two.to_b, server.url, is_checked=True)) == was
    two.tell()
    two.acknowledge()
    two.xa.export(two.to_b)
    [now_first] = two.xa.messages(two.to_b)
    assert now_first != was
    assert asyncio.run(first_in_stream(two.xa, two.to_b, server.url, is_checked=True)) is None, "taken away"
    two.close()


class Three(Two):
    """XA with XB and the CEN, over a real NATS, in processes that are killed."""

    def __init__(self, make_node: MakeNode, nats: EmbeddedNats, folder: Path) -> None:
        super().__init__(make_node, folder)
        self.nats = nats
        self.xb.meet(self.xa, nats.url)
        self.cen = make_node("ZZ-CEN", "cen")
        to_cen, self.told_by_a = self.xa.meet(self.cen), self.cen.meet(self.xa, nats.url)
        serve(nats, self.xa, self.to_b, to_cen)
        self.records: list[UUID] = []
        self.pick = random.Random(7)

    def grow(self, many: int) -> None:
        for _ in range(many):
            self.records.append(self.xa.do(seizure(narrative=None)).record_id)
            self.xa.do(SubmitSeizure(), record_id=self.records[-1])

    def is_settled(self) -> bool:
        """Whether everything was decided about, and all that went was signed for, by both."""
        self.xa.seal()
        both = self.xa.session.execute(
            "SELECT bool_and(f.position = %s AND f.number = (SELECT coalesce(max(size), 0) FROM exchange.receipt r "
            "WHERE r.peer = f.peer)) FROM exchange.feed f",
            [self.xa.reader.head()],
        ).fetchone()
        return both == (True,)

    def go_on(self, many: int) -> None:
        """Record so many seizures, and have all of them exchanged and signed for."""
        self.grow(many)
        with at_work((self.xa, self.nats.url), (self.xb, None), (self.cen, None)):
            until(self.is_settled)
        self.sign()

    def are_closed(self) -> bool:
        row = self.xa.session.execute(
            "SELECT count(*) FROM exchange.receipt r JOIN exchange.feed f ON f.peer = r.peer WHERE r.size > f.number"
        ).fetchone()
        return row is not None and row[0] >= 2

    def harm(self, processes: list[Process], times: int) -> None:
        for _ in range(times):
            time.sleep(self.pick.uniform(0, 0.8))
            if self.pick.random() < 0.25:
                kill_nats(self.nats, wipe=self.pick.random() < 0.5)
            else:
                victim = self.pick.choice(processes)
                victim.kill()
                victim.start()

    def begin_anew(self, epoch: int) -> None:
        """Acknowledge and accept while everything is killed again and again, until all has come to rest."""
        processes = [Process(self.xa, self.nats.url), Process(self.xb, ""), Process(self.cen, "")]
        try:
            until(self.are_closed, 60)
            self.acknowledge()
            self.harm(processes, 4)
            self.accept()
            until(lambda: count(self.cen.session, "inbox_opening") == [epoch], 60)
            assert inbox_epoch.accept(self.cen.session, self.told_by_a, now()) == epoch
            self.harm(processes, 6)
            until(lambda: self.is_begun(epoch) and self.is_settled(), 120)
        finally:
            for process in processes:
                process.kill()

    def is_begun(self, epoch: int) -> bool:
        return self.xa.session.execute("SELECT DISTINCT epoch FROM exchange.feed").fetchall() == [(epoch,)]


@pytest.mark.timeout(400)
def test_over_the_network_whatever_is_killed(
    make_node: MakeNode, make_nats: Callable[[str], EmbeddedNats], tmp_path: Path
) -> None:
    """XA loses its last entries twice; workers and NATS are killed with kill -9 all the while; all of it arrives."""
    three = Three(make_node, make_nats("a"), tmp_path / "checkpoints")
    for epoch in (1, 2):
        three.go_on(20)
        copy, there = copy_of(three.xa), len(three.records)
        three.go_on(10)
        put_back(three.xa, copy)
        del three.records[there:]
        three.grow(5)
        three.begin_anew(epoch)
        assert [one.epoch for one in feed_epoch.before(three.xa.session, "XB")] == list(range(epoch))
    arrived = three.xb.session.execute(
        "SELECT record_id FROM ledger.entry WHERE name = 'seizure.submitted' AND node = 'XA'"
    ).fetchall()
    assert set(three.records) <= {one for (one,) in arrived}
    assert len(arrived) == len(three.records) + 20, "what was lost stays at XB, and nothing is there twice"
    for peer in ("XB", "ZZ-CEN"):
        assert audit(three.xa.url, three.xa.own, peer).faults == ()
    told = three.cen.session.execute("SELECT count(*) FROM ledger.entry WHERE name = 'notice.received'").fetchone()
    assert told == (len(three.records) + 20,), "a seizure that was kept is known under the id that the CEN knows"
    assert inbox_epoch.lost(three.cen.session, "XA", 0)[0] == 20
    three.close()


def test_the_premise_of_today_decides_what_goes_again(two: Lost) -> None:
    """What went on a premise that has ended since stays, and is told to be withheld."""
    [(law,)] = two.xa.session.execute("SELECT record_id FROM exchange.premise").fetchall()
    other = two.xa.do(seizure()).record_id
    two.tell()
    two.acknowledge()
    two.xa.do(EndPremise(reason=PremiseReason.REVIEW), LAWYER, law)
    begin_there(two)
    assert two.outcomes() == []
    assert two.xa.reasons(two.to_b, other)[0] == "ended"
    two.xa.do(premise(instrument="MAA:2"), LAWYER)
    two.xb.do(premise(instrument="MAA:2"), LAWYER)
    two.exchange()
    assert [(number, outcome) for number, outcome, _ in two.outcomes()] == [(1, "repeated"), (2, "recorded")]
