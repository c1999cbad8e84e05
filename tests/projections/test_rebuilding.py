"""Tables kept live and tables built anew hold the same, whatever happened, in whatever order and batches it came."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.codes import PartyRole, Reason, Section
from domain.place import Place
from domain.records import fold
from domain.seizure import (
    AddGoods,
    CancelSeizure,
    CorrectGoods,
    CorrectSeizure,
    NameParty,
    Seizure,
    SubmitSeizure,
    WithdrawGoods,
    WithdrawParty,
    WriteNarrative,
)
from tests.projections.conftest import Node, deliver
from tests.projections.histories import History
from tests.projections.invented import goods, named, party, seizure

Told = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]

GROWING = settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
"""Each example adds to the same ledger: what was told before must stay as it was."""


@GROWING
@given(data=st.data())
def test_live_is_rebuilt(node: Node, data: st.DataObject) -> None:
    history = History(node)
    for _ in range(data.draw(st.integers(1, 4), label="rounds")):
        for _ in range(data.draw(st.integers(1, 8), label="commands")):
            history.play(data)
        node.project(size=data.draw(st.sampled_from([1, 2, 3, 7, 1_000]), label="batch"))
    live = node.dump()
    node.rebuild(size=data.draw(st.sampled_from([1, 5, 1_000]), label="rebuilt in"))
    assert node.dump() == live
    for kind, record_id in history.records:
        if kind == "seizure":
            assert told_by_tables(node, record_id) == told_by_ledger(node, record_id)


@GROWING
@given(data=st.data())
def test_what_a_peer_sends_may_come_late_and_with_gaps(node: Node, peer: Node, data: st.DataObject) -> None:
    history = History(peer)
    before = peer.seal()
    for _ in range(data.draw(st.integers(2, 8), label="commands")):
        history.play(data)
    sent = data.draw(st.permutations(range(before + 1, peer.seal() + 1)), label="order")
    sent = sent[: data.draw(st.integers(1, len(sent)), label="how many")]
    half = len(sent) // 2
    for some in (sent[:half], sent[half:]):
        if some:
            deliver(peer, node, some)
            node.project(size=data.draw(st.sampled_from([1, 3, 1_000]), label="batch"))
    live = node.dump()
    node.rebuild()
    assert node.dump() == live
    for kind, record_id in history.records:
        if kind == "seizure":
            assert told_by_tables(node, record_id) == told_by_ledger(node, record_id)


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("order", [(4, 1, 3, 2), (2, 3, 4, 1), (3, 1), (4, 3, 2, 1)])
def test_a_late_version_is_folded_where_it_belongs(node: Node, peer: Node, order: tuple[int, ...], size: int) -> None:
    record_id = peer.do(seizure(goods("1"), goods("2")))
    peer.do(CorrectSeizure(reason=Reason.ENTRY_ERROR, office="XA08"), record_id)
    peer.do(CorrectSeizure(reason=Reason.ENTRY_ERROR, office="XA09"), record_id)
    peer.do(WithdrawGoods(line=1, reason=Reason.ENTRY_ERROR), record_id)
    deliver(peer, node, order)
    node.project(size=size)
    assert told_by_tables(node, record_id) == told_by_ledger(node, record_id)
    offices = node.query("SELECT from_position, office FROM read.seizure ORDER BY from_position")
    assert (
        offices
        == {
            (4, 1, 3, 2): [(1, None), (2, "XA01"), (3, "XA09")],
            (2, 3, 4, 1): [(1, "XA08"), (2, "XA09"), (4, "XA09")],
            (3, 1): [(1, "XA09"), (2, "XA09")],
            (4, 3, 2, 1): [(1, None), (2, "XA09"), (4, "XA09")],
        }[order]
    )
    live = node.dump()
    node.rebuild(size=3)
    assert node.dump() == live


def told_by_ledger(node: Node, record_id: UUID) -> Told:
    """What the rules of the domain make of a record's open entries, in the order of versions."""
    entries = [entry for entry in node.ledger.entries(record_id) if not entry.is_personal and entry.position]
    state: Seizure | None = fold(entries)
    if state is None:
        return [], []
    lines = [
        (line.line, line.goods.section, line.goods.quantity and line.goods.quantity.amount) for line in state.goods
    ]
    return [(state.office, state.occurred_on, state.status)], sorted(lines)


def told_by_tables(node: Node, record_id: UUID) -> Told:
    current = "record_id = %s AND until_position IS NULL"
    return (
        node.query(f"SELECT office, occurred_on, status FROM read.seizure WHERE {current}", record_id),
        node.query(f"SELECT line, section, quantity FROM read.seizure_line WHERE {current} ORDER BY line", record_id),
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_batches_of_every_size_give_the_same_tables(node: Node, size: int) -> None:
    who = node.do(named("Mohammed Ali"))
    record_id = node.do(
        seizure(goods("1"), goods("2"), narrative="under the seat", parties=(party(who),), source="FILE-1")
    )
    for command in (
        CorrectSeizure(reason=Reason.ENTRY_ERROR, place=Place(country="YB", locode="YBABC")),
        CorrectGoods(line=1, goods=goods("1.25"), reason=Reason.RECOUNT),
        WithdrawGoods(line=2, reason=Reason.ENTRY_ERROR),
        AddGoods(goods=goods(None, section=Section.TOBACCO), reason=Reason.INCOMPLETE),
        WriteNarrative(text="in the tank"),
        WithdrawParty(party=who, role=PartyRole.COURIER, reason=Reason.ENTRY_ERROR),
        NameParty(party=party(who, PartyRole.DRIVER)),
        SubmitSeizure(),
        CancelSeizure(reason=Reason.DUPLICATE),
    ):
        node.do(command, record_id)
    head = node.project(size=size)
    history = node.query(
        "SELECT country, status, flags, until_position FROM read.seizure WHERE record_id = %s ORDER BY from_position",
        record_id,
    )
    assert [row[:2] for row in history] == [
        ("XA", "draft"),
        ("YB", "draft"),
        ("YB", "submitted"),
        ("YB", "cancelled"),
    ]
    assert history[-1][3] is None
    assert node.query(
        "SELECT line, section, quantity FROM read.seizure_line WHERE until_position IS NULL ORDER BY line"
    ) == [(1, "drugs", Decimal("1.25")), (3, "tobacco", None)]
    assert node.query("SELECT role FROM read.party") == [("driver",)]
    live = node.dump()
    node.rebuild()
    assert node.dump() == live
    assert {row[0] for row in node.query("SELECT position FROM read.position")} == {head}


def test_rows_hold_from_one_position_to_the_next(node: Node) -> None:
    record_id = node.do(seizure(goods("1")))
    node.do(CorrectSeizure(reason=Reason.ENTRY_ERROR, occurred_on=date(2024, 1, 1)), record_id)
    node.do(CorrectSeizure(reason=Reason.ENTRY_ERROR, office="XA09"), record_id)
    node.project()
    spans = node.query("SELECT from_position, until_position, version FROM read.seizure ORDER BY from_position")
    assert spans == [(1, 2, 1), (2, 3, 2), (3, None, 3)]
    assert node.query("SELECT from_position, until_position FROM read.seizure_line") == [(1, None)]


def test_erased_events_drop_what_they_told(node: Node) -> None:
    who = node.do(named("Mohammed Ali"))
    other = node.do(named("Ivan Petrov"))
    record_id = node.do(seizure(narrative="the driver laughed", parties=(party(who), party(other))))
    node.project()
    node.erase(who)
    node.project()
    assert node.query("SELECT name FROM read.person_name") == [("Ivan Petrov",)]
    assert node.query("SELECT party FROM read.party") == [(other,)]
    assert node.query("SELECT count(*) FROM read.narrative") == [(1,)]
    assert node.query("SELECT count(*) FROM read.retelling") == [(0,)]
    erased = node.dump()
    assert not any("mohammed" in row.lower() for rows in erased.values() for (row,) in rows)
    node.rebuild()
    assert node.dump() == erased
    node.erase(record_id)
    node.project()
    assert node.query("SELECT count(*) FROM read.narrative") == [(0,)]
    assert node.query("SELECT count(*) FROM read.seizure") == [(1,)]


def test_without_keys_nothing_personal_is_told(node: Node) -> None:
    who = node.do(named("Mohammed Ali"))
    node.do(seizure(narrative="the driver laughed", parties=(party(who),)))
    node.project(keys=None)
    assert node.query("SELECT count(*) FROM read.seizure") == [(1,)]
    assert node.query("SELECT count(*), count(name) FROM read.person") == [(1, 0)]
    for table in ("person_name", "party", "narrative"):
        assert node.query(f"SELECT count(*) FROM read.{table}") == [(0,)], table
