"""An entry's way from one nation's ledger into another's, on real databases and without a network in between."""

from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from domain.codes import Reason, Section
from domain.event import Erased
from domain.handling import DataCategory, PremiseReason
from domain.person import AssertAboutPerson
from domain.premise import ResumePremise, SetScope, SuspendPremise
from domain.seizure import CancelSeizure, CorrectGoods, NameParty, RecordSeizure, SeizureRecorded
from exchange.audit import audit
from exchange.inbox import OutOfStep, Stopped, resume
from exchange.peers import Peer
from exchange.relay import Relay
from exchange.status import status
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import INSTRUMENT, LAWYER, OFFICER, SECRET, Node, goods, now, party, person, premise, seizure


def meet(xa: Node, xb: Node) -> tuple[Peer, Peer]:
    """Make the two peers of each other: what XA calls XB, and what XB calls XA."""
    return xa.meet(xb), xb.meet(xa)


def carry(sender: Node, receiver: Node, to: Peer, of: Peer) -> None:
    """Take what the sender has in its outbox to the receiver's inbox."""
    receiver.seal()
    from exchange import premises

    premises.refresh(receiver.session, receiver.reader)
    box = receiver.inbox(of)
    for first, lines in sender.batches(to, box.number()):
        box.take(lines, first, now())
    box.judge_again(now())
    receiver.seal()
    box.close()


def names(node: Node, record_id: UUID) -> list[str]:
    return [entry.name for entry in node.reader.record(record_id)]


def test_open_entries_travel_with_provenance_and_personal_ones_stay(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    recorded = xa.do(seizure())
    xa.do(CorrectGoods(line=1, goods=goods(amount="4"), reason=Reason.RECOUNT), record_id=recorded.record_id)
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    assert xa.reasons(to_b, recorded.record_id) == [None, "data-category", None]
    arrived = xb.reader.record(recorded.record_id)
    assert [(entry.name, entry.version, entry.node) for entry in arrived] == [
        ("seizure.recorded", 1, "XA"),
        ("seizure.goods-corrected", 3, "XA"),
    ]
    assert [entry.provenance and entry.provenance.number for entry in arrived] == [1, 2]
    assert arrived[0].provenance is not None
    assert arrived[0].provenance.instrument == INSTRUMENT
    assert arrived[0].by is None
    origin = xa.reader.record(recorded.record_id)
    assert [entry.event for entry in arrived] == [origin[0].event, origin[2].event]


def test_received_entries_do_not_leave_again(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    recorded = xa.do(seizure())
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    xb.export(from_a)
    assert set(xb.reasons(from_a, recorded.record_id)) == {"not-ours"}
    assert xb.messages(from_a) == []


def test_a_nominal_premise_lets_names_travel_sealed_and_the_person_follows(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    for node in (xa, xb):
        node.do(premise(categories=(DataCategory.OPEN, DataCategory.NOMINAL)), LAWYER)
    courier = xa.do(person("Amina Testeron"))
    stranger = xa.do(person("Bilal Nobody"))
    recorded = xa.do(seizure())
    xa.export(to_b)
    assert set(xa.reasons(to_b, courier.record_id)) == {"not-tied"}
    xa.do(NameParty(party=party(courier.record_id)), record_id=recorded.record_id)
    xa.export(to_b)
    assert set(xa.reasons(to_b, courier.record_id)) == {None}
    assert set(xa.reasons(to_b, stranger.record_id)) == {"not-tied"}
    wire = b"".join(xa.messages(to_b))
    assert SECRET.encode() not in wire
    assert b"Testeron" not in wire
    carry(xa, xb, to_b, from_a)
    arrived = xb.reader.record(courier.record_id)
    assert [entry.event for entry in arrived] == [entry.event for entry in xa.reader.record(courier.record_id)]
    assert "Testeron" in str(arrived[1].event)
    assert xb.reader.record(stranger.record_id) == []
    assert SECRET in str(xb.reader.record(recorded.record_id)[1].event)
    assert isinstance(xb.reader.record(recorded.record_id)[0].event, SeizureRecorded)
    assert not any(isinstance(entry.event, Erased) for entry in xb.reader.record(recorded.record_id))


def test_what_is_undelivered_is_held_when_the_premise_is_suspended_and_goes_when_it_resumes(
    make_node: MakeNode,
) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    xb.do(premise(), LAWYER)
    agreed = xa.do(premise(), LAWYER)
    recorded = xa.do(seizure())
    xa.export(to_b)
    xa.do(SuspendPremise(reason=PremiseReason.BREACH), LAWYER, agreed.record_id)
    xa.export(to_b)
    assert xa.reasons(to_b, recorded.record_id) == ["suspended", "suspended"]
    later = xa.do(seizure())
    xa.export(to_b)
    assert xa.reasons(to_b, later.record_id) == ["suspended", "suspended"]
    carry(xa, xb, to_b, from_a)
    assert names(xb, recorded.record_id) == []
    assert b"XAPORT" not in b"".join(xa.messages(to_b))
    xa.do(ResumePremise(), LAWYER, agreed.record_id)
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    assert names(xb, recorded.record_id) == ["seizure.recorded"]
    assert names(xb, later.record_id) == ["seizure.recorded"]
    outcomes = xb.session.execute("SELECT outcome, count(*) FROM exchange.inbox GROUP BY 1 ORDER BY 1").fetchall()
    assert outcomes == [("held", 1), ("recorded", 2)]


def test_a_wider_scope_brings_what_was_withheld(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, _ = meet(xa, xb)
    agreed = xa.do(premise(sections=(Section.TOBACCO,)), LAWYER)
    drugs, mixed = xa.do(seizure()), xa.do(seizure(Section.TOBACCO, Section.DRUGS))
    tobacco = xa.do(seizure(Section.TOBACCO))
    xa.export(to_b)
    assert xa.reasons(to_b, drugs.record_id) == ["section", "data-category"]
    assert xa.reasons(to_b, mixed.record_id) == ["section", "data-category"]
    assert xa.reasons(to_b, tobacco.record_id) == [None, "data-category"]
    scope = SetScope(
        purposes=("detection", "investigation"),  # type: ignore[arg-type]  # by value
        categories=(DataCategory.OPEN,),
        senders=("XA", "XB"),
        sections=(Section.TOBACCO, Section.DRUGS),
    )
    xa.do(msgspec.convert(msgspec.to_builtins(scope), SetScope), LAWYER, agreed.record_id)
    xa.export(to_b)
    assert xa.reasons(to_b, drugs.record_id) == [None, "data-category"]
    assert xa.reasons(to_b, mixed.record_id) == [None, "data-category"]
    assert len(xa.messages(to_b)) == 3


def test_a_cancelled_seizure_follows_to_whoever_got_it_and_goes_to_nobody_else(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    unsent = xa.do(seizure())
    xa.do(CancelSeizure(reason=Reason.DUPLICATE), record_id=unsent.record_id)
    xa.export(to_b)
    assert set(xa.reasons(to_b, unsent.record_id)) == {"cancelled"}
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    sent = xa.do(seizure())
    xa.export(to_b)
    xa.do(CancelSeizure(reason=Reason.DUPLICATE), record_id=sent.record_id)
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    assert names(xb, sent.record_id) == ["seizure.recorded", "seizure.cancelled"]
    assert set(xa.reasons(to_b, unsent.record_id)) == {"cancelled"}
    assert names(xb, unsent.record_id) == []


def test_what_came_before_the_premise_was_recorded_here_is_quarantined_and_then_let_in(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    xa.do(premise(), LAWYER)
    recorded = xa.do(seizure())
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    assert names(xb, recorded.record_id) == []
    assert xb.session.execute("SELECT outcome, reason FROM exchange.inbox").fetchall() == [
        ("quarantined", "no-premise")
    ]
    xb.do(premise(), LAWYER)
    carry(xa, xb, to_b, from_a)
    assert names(xb, recorded.record_id) == ["seizure.recorded"]


def test_a_retracted_statement_follows_also_when_the_person_is_no_longer_a_party(make_node: MakeNode) -> None:
    from domain.person import RetractAboutPerson
    from domain.seizure import WithdrawParty

    xa, xb = make_node("XA"), make_node("XB")
    to_b, _ = meet(xa, xb)
    xa.do(premise(categories=(DataCategory.OPEN, DataCategory.NOMINAL)), LAWYER)
    courier = xa.do(person())
    recorded = xa.do(seizure(parties=[party(courier.record_id)]))
    xa.export(to_b)
    assert set(xa.reasons(to_b, courier.record_id)) == {None}
    gone = WithdrawParty(party=courier.record_id, role=party(courier.record_id).role, reason=Reason.ENTRY_ERROR)
    xa.do(gone, record_id=recorded.record_id)
    xa.do(RetractAboutPerson(number=1, reason=Reason.ENTRY_ERROR), record_id=courier.record_id)
    (more,) = person("Another Name").statements
    xa.do(AssertAboutPerson(statement=more), record_id=courier.record_id)
    xa.export(to_b)
    assert xa.reasons(to_b, courier.record_id) == [None, None, None, "not-tied"]
    assert xa.reasons(to_b, recorded.record_id)[-1] is None


def test_a_seizure_under_a_premise_for_an_offence_type_goes_when_the_offence_is_tied(make_node: MakeNode) -> None:
    from domain.codes import OffenceType
    from domain.offence import RecordOffence

    xa, xb = make_node("XA"), make_node("XB")
    to_b, _ = meet(xa, xb)
    xa.do(premise(offence_types=(OffenceType.SMUGGLING,)), LAWYER)
    recorded = xa.do(seizure(narrative=None))
    xa.export(to_b)
    assert xa.reasons(to_b, recorded.record_id) == ["offence-type"]
    first = recorded.entries[0].event
    assert isinstance(first, SeizureRecorded)
    offence = RecordOffence(
        offence_type=OffenceType.SMUGGLING,
        office="XAPORT",
        occurred_on=first.occurred_on,
        seizures=(recorded.record_id,),
    )
    told = xa.do(offence)
    xa.export(to_b)
    assert xa.reasons(to_b, recorded.record_id) == [None]
    assert set(xa.reasons(to_b, told.record_id)) == {None}


def test_deciding_is_repeatable(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, _ = meet(xa, xb)
    xa.do(premise(), LAWYER)
    xa.do(seizure())
    xa.export(to_b)
    before = xa.decisions(to_b), xa.messages(to_b)
    xa.export(to_b)
    assert (xa.decisions(to_b), xa.messages(to_b)) == before


def test_a_big_backlog_is_cut_into_batches_that_all_verify(make_node: MakeNode) -> None:
    from ledger.ledger import Asked, Ledger

    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    record: RecordSeizure = seizure(narrative=None)
    asked = [Asked(record_id=Ledger.new_id(), command=record, command_id=Ledger.new_id()) for _ in range(1_200)]
    xa.ledger.execute_all(asked, OFFICER)
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    assert len(xa.batches(to_b)) >= 3
    assert xb.session.execute("SELECT count(*) FROM exchange.inbox WHERE outcome = 'recorded'").fetchone() == (1_200,)


def test_a_feed_that_does_not_fit_stops_keeps_the_evidence_and_goes_on_when_a_person_says_so(
    make_node: MakeNode,
) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    carry(xa, xb, to_b, from_a)
    told = xa.do(seizure())
    xa.export(to_b)
    box = xb.inbox(from_a)
    ((first, lines),) = xa.batches(to_b)
    tampered = [lines[0].replace(b"XAPORT", b"XAEAST")]
    assert tampered != lines
    for _ in range(2):
        with pytest.raises(Stopped):
            box.take(tampered, first, now())
    with pytest.raises(Stopped):
        box.take(lines, first, now())
    (receiving,) = [one.receiving for one in status(xb.url)]
    assert receiving.stopped == "The root of the lines received is not the root that the sender has signed."
    assert box.standing().stopped == receiving.stopped
    evidence = xb.session.execute("SELECT evidence FROM exchange.inbox_feed").fetchone()
    assert evidence is not None
    assert msgspec.msgpack.decode(evidence[0]) == tampered
    assert resume(xb.url, "XA")
    assert box.take(lines, first, now()) == 1
    assert not resume(xb.url, "XA")
    xb.seal()
    assert names(xb, told.record_id) == ["seizure.recorded"]
    box.close()


def test_batches_out_of_step_are_not_taken(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    xa.do(seizure())
    xa.export(to_b)
    xa.do(seizure())
    xa.export(to_b)
    one, two = xa.batches(to_b)
    box = xb.inbox(from_a)
    with pytest.raises(OutOfStep):
        box.take(two[1], two[0], now())
    box.take(one[1], one[0], now())
    with pytest.raises(OutOfStep):
        box.take(one[1], one[0], now())
    assert box.take(two[1], two[0], now()) == 2
    box.close()


def test_a_peer_cannot_speak_for_our_records_or_for_those_of_another(make_node: MakeNode) -> None:
    xa, xb, xc = make_node("XA"), make_node("XB"), make_node("XC")
    to_b, from_a = meet(xa, xb)
    c_to_b, from_c = meet(xc, xb)
    for node in (xa, xb, xc):
        node.do(premise(parties=("XA", "XB", "XC")), LAWYER)
    ours, theirs = uuid4(), uuid4()
    xb.do(seizure(), record_id=ours)
    xc.do(seizure(), record_id=theirs)
    xc.export(c_to_b)
    carry(xc, xb, c_to_b, from_c)
    for record_id in (ours, theirs):
        xa.do(seizure(), record_id=record_id)
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    rows = xb.session.execute("SELECT record_id, outcome, reason FROM exchange.inbox WHERE origin = 'XA'").fetchall()
    assert {tuple(row) for row in rows} == {(ours, "quarantined", "conflict"), (theirs, "quarantined", "conflict")}
    assert {entry.node for entry in xb.reader.record(ours)} == {"XB"}
    assert {entry.node for entry in xb.reader.record(theirs)} == {"XC"}


def test_who_made_it_is_shown_only_where_the_premise_says_so(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    for node in (xa, xb):
        node.do(premise(shows_attribution=True), LAWYER)
    told = xa.do(seizure())
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    (arrived,) = xb.reader.record(told.record_id)
    assert arrived.by == OFFICER


def test_the_origins_leaf_is_sealed_here_and_the_receipt_holds_on_both_sides(make_node: MakeNode) -> None:
    from exchange.checkpoint import read_receipt

    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    told = xa.do(seizure())
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    leaves = [
        node.session.execute(
            "SELECT leaf FROM ledger.sealed WHERE record_id = %s AND version = 1", [told.record_id]
        ).fetchone()
        for node in (xa, xb)
    ]
    assert leaves[0] == leaves[1]
    box = xb.inbox(from_a)
    receipt = box.standing().receipt
    assert receipt is not None
    head, _ = read_receipt(
        receipt,
        origin="XA",
        origin_key=xa.own.signing_key.public_key(),
        recipient="XB",
        recipient_key=to_b.signing_key,
    )
    assert head.size == 1
    box.close()


def test_the_audit_finds_what_was_changed_after_the_peer_signed(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = meet(xa, xb)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    for _ in range(3):
        xa.do(seizure())
    xa.export(to_b)
    carry(xa, xb, to_b, from_a)
    box = xb.inbox(from_a)
    standing = box.standing()
    box.close()
    relay = Relay(xa.url, xa.own, to_b, "nats://127.0.0.1:1", None)
    assert relay._take(msgspec.json.encode(standing)) == b"stored"
    relay._sessions.close()
    found = audit(xa.url, xa.own, "XB")
    assert (found.lines, found.receipts, found.receipted, found.faults) == (3, 1, 3, ())
    xa.session.execute("UPDATE exchange.feed_out SET core = replace(encode(core, 'escape'), 'H0', 'H1')::bytea")
    assert audit(xa.url, xa.own, "XB").faults
    xa.session.execute("UPDATE exchange.feed_out SET leaf_hash = sha256('\\x00'::bytea || core)")
    faults = audit(xa.url, xa.own, "XB").faults
    assert "The peer has signed for other lines than the first 3 that are kept here." in faults


def test_decisions_are_never_changed(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, _ = meet(xa, xb)
    xa.do(seizure())
    xa.export(to_b)
    for statement in ("UPDATE exchange.decision SET reason = 'kind'", "DELETE FROM exchange.decision"):
        with pytest.raises(psycopg.Error):
            xa.session.execute(statement.encode())


def test_a_title_typed_by_hand_stays_out_of_the_exchange(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, _ = meet(xa, xb)
    xa.do(premise(title="Treaty with Amina Testeron"), LAWYER)
    xa.export(to_b)
    states = xa.session.execute("SELECT state FROM exchange.premise").fetchall()
    assert len(states) == 1
    assert b"Testeron" not in states[0][0]
