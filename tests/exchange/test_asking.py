"""Asking the exchange: why does it go or stay, how do the feeds stand, what would the CEN be told. Nothing is sent."""

from uuid import uuid4

import pytest

from domain.codes import Reason, Section
from domain.handling import DataCategory, PremiseReason
from domain.premise import SuspendPremise
from domain.seizure import CancelSeizure, SubmitSeizure
from exchange.explain import explain
from exchange.preview import preview
from exchange.status import status
from ledger.errors import NotFound
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import INSTRUMENT, LAWYER, Node, party, person, premise, seizure
from tests.exchange.test_cen import export as export_to_cen
from tests.exchange.test_two_nodes import carry


def counts(node: Node) -> list[tuple[int, ...]]:
    tables = ("decision", "feed_out", "matter", "again", "premise")
    return [node.session.execute(f"SELECT count(*) FROM exchange.{table}").fetchone() or () for table in tables]


def test_explaining_before_anything_was_decided_says_what_would_go_and_sends_nothing(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    xa.meet(xb)
    courier = xa.do(person())
    agreed = xa.do(premise(categories=(DataCategory.OPEN, DataCategory.NOMINAL)), LAWYER)
    told = xa.do(seizure(parties=[party(courier.record_id)]))
    xa.seal()
    before = counts(xa)
    answers = explain(xa.url, node="XA", keys=xa.keys, record_id=told.record_id, peer="XB")
    assert [(one.version, one.name, one.now.goes) for one in answers] == [
        (1, "seizure.recorded", True),
        (2, "seizure.narrative-written", True),
        (3, "seizure.party-named", True),
    ]
    assert {one.now.instrument for one in answers} == {INSTRUMENT}
    assert {(one.now.premise_id, one.now.premise_version) for one in answers} == {(agreed.record_id, 4)}
    followed = explain(xa.url, node="XA", keys=xa.keys, record_id=courier.record_id, peer="XB")
    assert all(one.now.goes for one in followed), "the person follows the case, also in a dry run"
    assert counts(xa) == before
    assert before[1] == (0,)


def test_explaining_shows_what_was_decided_beside_what_would_be_decided_now(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b = xa.meet(xb)
    agreed = xa.do(premise(), LAWYER)
    told = xa.do(seizure())
    xa.export(to_b)
    xa.do(SuspendPremise(reason=PremiseReason.BREACH), LAWYER, agreed.record_id)
    xa.seal()
    first, second = explain(xa.url, node="XA", keys=xa.keys, record_id=told.record_id, peer="XB")
    assert [(one.goes, one.number) for one in first.decided] == [(True, 1)]
    assert (first.now.goes, first.now.reason) == (False, "suspended")
    assert first.now.sentence == "The legal premise is suspended."
    assert [one.reason for one in second.decided] == ["data-category"]
    assert not first.is_receipted


def test_explaining_what_is_not_there_says_so(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    xa.meet(xb)
    with pytest.raises(NotFound):
        explain(xa.url, node="XA", keys=xa.keys, record_id=uuid4(), peer="XB")
    with pytest.raises(NotFound):
        explain(xa.url, node="XA", keys=xa.keys, record_id=uuid4(), peer="XC")


def test_the_status_counts_what_went_what_stayed_and_what_came(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = xa.meet(xb), xb.meet(xa)
    for node in (xa, xb):
        node.do(premise(sections=(Section.DRUGS,)), LAWYER)
    xa.do(seizure())
    xa.do(seizure(Section.TOBACCO, narrative=None))
    xa.export(to_b)
    xa.do(seizure())
    xa.seal()
    carry(xa, xb, to_b, from_a)
    (sending,) = [one.sending for one in status(xa.url)]
    assert (sending.released, sending.waiting, sending.lines, sending.lag) == (1, 2, 1, 1)
    assert sending.withheld == {"data-category": 1, "kind": 4, "section": 1}
    (receiving,) = [one.receiving for one in status(xb.url)]
    assert (receiving.lines, receiving.recorded, receiving.quarantined, receiving.stopped) == (1, 1, {}, None)


def test_the_preview_is_what_leaves_and_says_what_stays(make_node: MakeNode) -> None:
    xa, cen = make_node("XA"), make_node("ZZ-CEN", "cen")
    to_cen = xa.meet(cen)
    told = xa.do(seizure()).record_id
    xa.seal()
    assert preview(xa.url, record_id=told).notice is None
    xa.do(SubmitSeizure(), record_id=told)
    xa.seal()
    seen = preview(xa.url, record_id=told)
    assert [(one.version, one.name) for one in seen.stays] == [(2, "seizure.narrative-written")]
    assert xa.messages(to_cen) == []
    (sent,) = export_to_cen(xa, to_cen)
    assert sent.notice == seen.notice
    assert seen.is_coarse
    again = preview(xa.url, record_id=told)
    assert again.notice == again.told == sent.notice
    assert again.export_id == sent.export_id
    xa.do(CancelSeizure(reason=Reason.DUPLICATE), record_id=told)
    xa.seal()
    assert preview(xa.url, record_id=told).sentence == "The notice would be withdrawn."
    with pytest.raises(NotFound):
        preview(xa.url, record_id=uuid4())
