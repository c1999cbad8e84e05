"""What the CEN is told after a loss: each seizure as it stands, once, under the id that the CEN knows."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from domain.codes import Reason
from domain.seizure import CancelSeizure, CorrectGoods, SubmitSeizure
from exchange import cen as cen_module
from exchange import inbox_epoch, recording
from exchange.audit import audit
from exchange.cen import CenExporter, export_id_of
from exchange.envelope import NoticeCore, decode_core, decode_line
from exchange.inbox import Inbox
from exchange.relay import Relay
from ledger import loss
from ledger.errors import NotFound
from ledger.prover import Prover
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import goods, now, seizure
from tests.exchange.restored import copy_of, put_back


class Told:
    """XA, which tells the CEN."""

    def __init__(self, make_node: MakeNode, folder: Path) -> None:
        self.xa, self.cen = make_node("XA"), make_node("ZZ-CEN", "cen")
        self.to_cen, self.of_a = self.xa.meet(self.cen), self.cen.meet(self.xa)
        self.folder = folder
        self.box: Inbox = self.cen.inbox(self.of_a)
        self.relay = Relay(self.xa.url, self.xa.own, self.to_cen, "nats://127.0.0.1:4222", None)

    def put_forward(self) -> UUID:
        made = self.xa.do(seizure()).record_id
        self.xa.do(SubmitSeizure(), record_id=made)
        return made

    def correct(self, record_id: UUID, amount: str) -> None:
        self.xa.do(CorrectGoods(line=1, goods=goods(amount=amount), reason=Reason.RECOUNT), record_id=record_id)

    def tell(self) -> None:
        """Let XA tell, the CEN take, and XA have its receipt."""
        self.xa.seal()
        exporter = CenExporter(
            connection=self.xa.session, node="XA", signing_key=self.xa.own.signing_key, peer="ZZ-CEN"
        )
        while exporter.step(now()):
            pass
        epoch, number = self.box.place()
        if epoch == self.epoch():
            for first, lines in self.xa.batches(self.to_cen, number):
                self.box.take(lines, first, now())
        self.cen.seal()
        standing = self.box.standing()
        answer = self.relay._take(msgspec.json.encode(standing))
        if answer.startswith(b"anew\n"):
            self.box.told_anew(answer.removeprefix(b"anew\n").decode(), now())
        self.box.begin_anew(now())

    def epoch(self) -> int:
        return int(self.xa.session.execute("SELECT epoch FROM exchange.feed").fetchall()[0][0])

    def sign(self) -> None:
        self.xa.seal()
        self.prover().look(self.xa.session)

    def prover(self) -> Prover:
        return Prover.open(self.xa.keys, node="XA", folder=self.folder)

    def begin_anew(self) -> None:
        self.tell()
        loss.acknowledge(self.xa.session, self.prover(), self.xa.keys, reason="a failed disk", by="a.one")
        self.tell()
        self.tell()
        assert self.box.place()[0] == 0, "not before it is accepted"
        inbox_epoch.accept(self.cen.session, self.of_a, now())
        for _ in range(3):
            self.tell()

    def sent(self) -> list[NoticeCore]:
        cores = [decode_core(line.core, NoticeCore) for line in map(decode_line, self.xa.messages(self.to_cen))]  # type: ignore[union-attr]  # none is held
        return [core for core in cores if isinstance(core, NoticeCore)]

    def there(self, record_id: UUID) -> list[str]:
        """What the CEN has on record under the id of a seizure of XA's."""
        told = self.cen.reader.record(export_id_of(self.xa.own.signing_key, record_id))
        return [entry.name for entry in told]

    def close(self) -> None:
        self.box.close()
        self.relay._sessions.close()


@pytest.fixture
def told(make_node: MakeNode, tmp_path: Path) -> Iterator[Told]:
    made = Told(make_node, tmp_path / "checkpoints")
    yield made
    made.close()


def lose(told: Told) -> tuple[UUID, UUID, UUID, UUID]:
    """Four seizures: amended in what was lost, cancelled before, put forward in what was lost, and lost whole."""
    amended, cancelled = told.put_forward(), told.put_forward()
    told.xa.do(CancelSeizure(reason=Reason.DUPLICATE), record_id=cancelled)
    told.tell()
    late = told.put_forward()
    told.sign()
    copy = copy_of(told.xa)
    told.correct(amended, "9")
    gone = told.put_forward()
    told.tell()
    told.sign()
    put_back(told.xa, copy)
    return amended, cancelled, late, gone


def test_the_cen_is_told_each_seizure_as_it_stands_once(told: Told) -> None:
    with pytest.raises(NotFound):
        inbox_epoch.accept(told.cen.session, told.of_a, now())
    amended, cancelled, late, gone = lose(told)
    was = told.there(amended)
    told.begin_anew()
    assert told.box.place() == (1, 3)
    assert sorted(core.number for core in told.sent()) == [1, 2, 3]
    assert len({core.export_id for core in told.sent()}) == 3, "each of them once"
    assert told.there(amended) == [*was, "notice.amended"], "back to what it says now"
    assert told.there(cancelled) == ["notice.received", "notice.withdrawn"]
    assert told.there(late) == ["notice.received"], "told in what was lost, under the same id"
    assert told.there(gone) == ["notice.received"], "it stays, and is shown"
    quarantined = told.cen.session.execute("SELECT count(*) FROM exchange.inbox WHERE outcome = 'quarantined'")
    assert quarantined.fetchone() == (0,)
    count, [orphan] = inbox_epoch.lost(told.cen.session, "XA", 10)
    assert (count, orphan.record_id) == (1, export_id_of(told.xa.own.signing_key, gone))
    assert audit(told.xa.url, told.xa.own, "ZZ-CEN").faults == ()
    told.correct(amended, "11")
    told.tell()
    assert told.there(amended) == [*was, "notice.amended", "notice.amended"]


def test_by_number_alone_the_cen_would_hear_nothing(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: numbers begin at 1 again."""
    amended, *_ = lose(told)
    was = told.there(amended)
    right = recording._asked

    def without_epoch(line: object, core: NoticeCore) -> object:
        asked = right(line, core)  # type: ignore[arg-type]  # as it comes
        return msgspec.structs.replace(asked, command=msgspec.structs.replace(asked.command, epoch=0))

    monkeypatch.setattr(recording, "_asked", without_epoch)
    told.begin_anew()
    assert told.there(amended) == was


def test_by_random_ids_the_cen_would_count_twice(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a seizure of which the telling was lost."""
    monkeypatch.setattr(cen_module, "export_id_of", lambda *_: uuid4())
    lose(told)
    told.begin_anew()
    rows = told.cen.session.execute("SELECT count(*) FROM ledger.entry WHERE name = 'notice.received'").fetchone()
    assert rows == (5,), "four seizures"
