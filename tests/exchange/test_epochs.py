"""A feed whose sender has lost what its peer signed for is begun anew, once, and only for a loss that was accepted."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from domain.handling import PremiseReason
from domain.premise import SuspendPremise
from exchange import feed_epoch, inbox_epoch
from exchange.audit import audit
from exchange.relay import ANEW, STORED
from exchange.status import status
from ledger import loss
from ledger.errors import NotFound
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import LAWYER, seizure
from tests.exchange.restored import Lost, Two, copy_of, put_back
from tests.exchange.test_two_nodes import carry


@pytest.fixture
def two(make_node: MakeNode, tmp_path: Path) -> Iterator[Lost]:
    made = Lost(make_node, tmp_path / "checkpoints")
    yield made
    made.close()


def test_the_feed_stays_closed_until_the_loss_is_acknowledged_and_accepted(two: Lost) -> None:
    assert two.tell() == STORED
    two.xa.export(two.to_b)
    assert not two.is_sent(), "XB has signed for what is gone"
    assert feed_epoch.before(two.xa.session, "XB") == []

    two.acknowledge()
    two.xa.export(two.to_b)
    [ended] = feed_epoch.before(two.xa.session, "XB")
    assert (ended.epoch, ended.lines, ended.receipted) == (0, 1, 3), "both heads stay to be seen"
    assert two.tell().startswith(ANEW)
    two.state()
    assert two.tell().startswith(ANEW)
    assert not two.is_sent()
    with two.box() as box:
        assert box.place() == (0, 3), "it is not believed before it is accepted"

    two.accept()
    two.tell()
    with two.box() as box:
        assert box.place() == (1, 0)
    assert two.tell() == STORED
    assert two.is_sent()
    assert two.exchange() == STORED
    assert two.outcomes() == [(1, "repeated", None)]
    assert two.versions(two.kept) == [(1, 1), (3, 2)], "nothing twice, and what came keeps its provenance"
    assert two.versions(two.lost) == [(1, 3)]

    fresh = two.xa.do(seizure()).record_id
    assert two.exchange() == STORED
    assert two.outcomes() == [(1, "repeated", None), (2, "recorded", None)]
    assert two.versions(fresh) == [(1, 2)]
    assert two.xa.receipted(two.to_b) == 2


def test_both_epochs_are_seen_and_audited_at_either_side(two: Lost) -> None:
    begun(two)
    two.exchange()
    [sending], [receiving] = status(two.xa.url), status(two.xb.url)
    assert [(one.epoch, one.lines, one.receipted) for one in sending.sending.ended] == [(0, 1, 3)]
    assert [(one.epoch, one.lines) for one in receiving.receiving.ended] == [(0, 3)]
    assert (sending.sending.epoch, receiving.receiving.epoch) == (1, 1)
    count, lost = inbox_epoch.lost(two.xb.session, "XA", 10)
    assert (count, sorted((one.record_id, one.version) for one in lost)) == (
        2,
        sorted([(two.kept, 3), (two.lost, 1)]),
    )
    found = audit(two.xa.url, two.xa.own, "XB")
    assert found.faults == ()
    assert [(one.epoch, one.lines, one.receipted) for one in found.ended] == [(0, 1, 3)]
    for session, table in ((two.xa.session, "feed_out_before"), (two.xb.session, "inbox_before")):
        with pytest.raises(psycopg.errors.RestrictViolation):
            session.execute(f"DELETE FROM exchange.{table}".encode())
    two.xa.session.execute("ALTER TABLE exchange.feed_out_before DISABLE TRIGGER ended_stands")
    two.xa.session.execute("UPDATE exchange.feed_out_before SET core = core || '\\x00'")
    assert "changed" in audit(two.xa.url, two.xa.own, "XB").faults[0], "the control"


def begun(two: Two) -> None:
    """Bring both sides into the new epoch."""
    two.tell()
    two.acknowledge()
    two.xa.export(two.to_b)
    two.tell()
    two.accept()
    two.tell()
    two.tell()


def test_what_was_recorded_otherwise_under_the_same_version_is_set_aside(two: Lost) -> None:
    two.correct(two.kept, "9")  # version 3, which XB knows otherwise
    two.correct(two.kept, "10")
    begun(two)
    assert two.exchange() == STORED
    assert two.outcomes() == [
        (1, "repeated", None),
        (2, "quarantined", "differs"),
        (3, "quarantined", "differs"),
    ]
    assert two.versions(two.kept) == [(1, 1), (3, 2)]
    two.correct(two.kept, "11")
    assert two.exchange() == STORED, "and what follows, in a batch of its own"
    assert two.outcomes()[-1] == (4, "quarantined", "differs")
    two.xb.session.execute("UPDATE exchange.inbox SET reason = 'conflict' WHERE reason = 'differs'")
    two.correct(two.kept, "12")
    two.exchange()
    assert two.outcomes()[-1] == (5, "recorded", None), "the control: history upon another history"


def test_a_feed_that_no_loss_reached_goes_on(two: Lost) -> None:
    two.xb.session.execute("DELETE FROM exchange.inbox_checkpoint WHERE size > 1")
    two.xb.session.execute(
        "UPDATE exchange.inbox_feed SET (number, frontier, checkpoint) = (%s, %s, NULL)",
        two.xa.session.execute("SELECT number, frontier FROM exchange.feed").fetchone(),
    )  # as if XB had taken in nothing of what was lost
    two.xb.session.execute("DELETE FROM exchange.inbox WHERE number > 1")
    two.acknowledge()
    assert two.exchange() == STORED
    assert two.is_sent()
    assert feed_epoch.before(two.xa.session, "XB") == []
    two.accept()
    fresh = two.xa.do(seizure()).record_id
    assert two.exchange() == STORED
    assert two.versions(fresh) == [(1, 2)]


def test_a_second_loss_begins_a_second_epoch(two: Lost) -> None:
    begun(two)
    two.exchange()
    two.sign()
    copy = two.copy  # from before the first epoch, and so of a history in which neither is known
    two.xa.do(seizure())
    two.exchange()
    two.sign()
    two.lose(copy)
    loss.recall(two.xa.session, two.prover().keys)
    two.tell()
    two.xa.export(two.to_b)
    assert not two.is_sent()
    assert feed_epoch.before(two.xa.session, "XB") == [], "the loss of the first epoch opens no second one"
    two.acknowledge()
    two.xa.export(two.to_b)
    two.tell()
    two.accept()
    two.tell()
    two.tell()
    assert two.exchange() == STORED
    with two.box() as box:
        assert box.place() == (2, 1)
    assert two.outcomes() == [(1, "repeated", None)]
    assert [one.epoch for one in inbox_epoch.before(two.xb.session, "XA")] == [0, 1]


def test_a_receiver_that_was_restored_takes_the_feed_up_again_and_begins_it_again(two: Lost) -> None:
    before = copy_of(two.xb)
    begun(two)
    two.exchange()
    within = copy_of(two.xb)
    fresh = two.xa.do(seizure()).record_id
    two.exchange()
    put_back(two.xb, within)
    assert two.versions(fresh) == []
    carry(two.xa, two.xb, two.to_b, two.from_a)
    assert two.tell() == STORED
    assert two.versions(fresh) == [(1, 2)], "what it had signed for comes again"
    assert two.is_sent()

    put_back(two.xb, before)
    assert two.tell().startswith(ANEW), "it has lost the epoch, and the acceptance with it"
    assert not two.is_sent()
    two.accept()
    two.tell()
    assert two.tell() == STORED
    assert two.is_sent()
    two.exchange()
    assert two.versions(fresh) == [(1, 2)]
    assert two.xb.session.execute("SELECT stopped FROM exchange.inbox_feed").fetchone() == (None,)


def test_what_was_sent_after_the_newest_checkpoint_and_lost_is_acknowledged_too(
    make_node: MakeNode, tmp_path: Path
) -> None:
    """Checkpoints are signed once a minute; a peer may have signed for more."""
    two = Two(make_node, tmp_path / "checkpoints")
    two.xa.do(seizure())
    two.exchange()
    two.sign()
    kept = two.xa.do(seizure()).record_id
    two.exchange()
    two.sign()
    copy = copy_of(two.xa)
    gone = two.xa.do(seizure()).record_id
    two.exchange()
    two.lose(copy)
    assert two.prover().look(two.xa.session).is_sound
    two.tell()
    two.xa.export(two.to_b)
    assert feed_epoch.closed(two.xa.session) == ["XB"]
    with pytest.raises(NotFound):
        two.acknowledge()
    told = loss.acknowledge(
        two.xa.session, two.prover(), two.xa.keys, reason="a failed disk", by="a.one", is_told_by_peers=True
    )
    assert told.loss is not None
    assert two.prover().look(two.xa.session).is_sound
    two.xa.export(two.to_b)
    two.tell()
    two.accept()
    two.tell()
    assert two.tell() == STORED
    assert feed_epoch.closed(two.xa.session) == []
    assert two.exchange() == STORED
    assert len(two.outcomes()) == 2
    assert (two.versions(kept), two.versions(gone)) == ([(1, 2)], [(1, 3)])
    two.close()


def test_a_line_whose_holding_back_was_lost_is_noticed(make_node: MakeNode, tmp_path: Path) -> None:
    """Root and receipt are the same, whether a line went whole or as a bare hash."""
    two = Two(make_node, tmp_path / "checkpoints")
    [(law,)] = two.xa.session.execute("SELECT record_id FROM ledger.entry WHERE name = 'premise.registered'").fetchall()
    made = two.xa.do(seizure()).record_id
    two.xa.export(two.to_b)
    copy = copy_of(two.xa)
    two.xa.do(SuspendPremise(reason=PremiseReason.REVIEW), LAWYER, law)
    two.exchange()
    two.sign()
    assert two.outcomes() == [(1, "held", None)]
    two.lose(copy)
    two.xa.export(two.to_b)
    with two.box() as box:
        assert two.hand_in(msgspec.structs.replace(box.standing(), held=())) == STORED
    assert two.is_sent(), "the control: by its receipt alone nothing is to be seen"
    with two.box() as box:
        told = box.standing()
    assert told.held == (1,)
    assert two.hand_in(told) == STORED
    assert not two.is_sent()
    assert feed_epoch.closed(two.xa.session) == ["XB"]
    two.xa.seal()
    two.acknowledge()
    two.xa.export(two.to_b)
    two.tell()
    two.accept()
    two.tell()
    two.tell()
    two.exchange()
    assert two.outcomes() == [(1, "recorded", None)]
    assert two.versions(made) == [(1, 1)]
    two.close()
