"""What the CEN is told: built from open events, amended and withdrawn under one export id, recorded at the CEN node."""

import itertools
import re
import types
import typing
from datetime import date
from uuid import UUID

import msgspec
import pytest

from domain import notice as notices
from domain.codes import Reason, Section, SeizureKind
from domain.event import PersonalEvent
from domain.goods import Goods
from domain.notice import Notice, Stage, notice_of
from domain.seizure import (
    CancelSeizure,
    CorrectGoods,
    CorrectSeizure,
    GoodsAdded,
    NarrativeWritten,
    ReturnSeizure,
    SubmitSeizure,
    ValidateSeizure,
    WriteNarrative,
)
from exchange.cen import CenExporter, read
from exchange.envelope import NoticeCore, decode_core, decode_line
from exchange.peers import Peer
from exchange.verifying import verify
from ledger.merkle import Frontier
from tests.exchange.conftest import MakeNode
from tests.exchange.nodes import SUPERVISOR, Node, goods, now, seizure


def export(node: Node, peer: Peer) -> list[NoticeCore]:
    node.seal()
    ids = itertools.count(1)
    exporter = CenExporter(
        connection=node.session,
        node=node.code,
        signing_key=node.own.signing_key,
        peer=peer.node,
        new_export_id=lambda: UUID(int=next(ids) << 64),
    )
    while exporter.step(now()):
        pass
    cores = [decode_core(line.core, NoticeCore) for line in map(decode_line, node.messages(peer))]  # type: ignore[union-attr]  # none is held
    return typing.cast("list[NoticeCore]", cores)


def test_a_seizure_is_told_when_put_forward_amended_when_it_changes_and_withdrawn_when_void(
    make_node: MakeNode,
) -> None:
    xa, cen = make_node("XA"), make_node("ZZ-CEN", "cen")
    to_cen, from_a = xa.meet(cen), cen.meet(xa)
    told = xa.do(seizure()).record_id
    assert export(xa, to_cen) == []
    xa.do(SubmitSeizure(), record_id=told)
    xa.do(WriteNarrative(text="other words"), record_id=told)
    xa.do(ValidateSeizure(), SUPERVISOR, told)
    xa.do(CorrectGoods(line=1, goods=goods(amount="4.5"), reason=Reason.RECOUNT), record_id=told)
    sent = export(xa, to_cen)
    assert [core.notice and core.notice.stage for core in sent] == [
        Stage.PROVISIONAL,
        Stage.CONFIRMED,
        Stage.CONFIRMED,
    ]
    assert [core.notice.lines[0].thousandths for core in sent if core.notice] == [3_217, 3_217, 4_500]
    xa.do(CancelSeizure(reason=Reason.DUPLICATE), record_id=told)
    sent = export(xa, to_cen)
    assert sent[-1].notice is None
    assert len({core.export_id for core in sent}) == 1
    assert [core.number for core in sent] == [1, 2, 3, 4]
    box = cen.inbox(from_a)
    for first, lines in xa.batches(to_cen):
        box.take(lines, first, now())
    cen.seal()
    names = [entry.name for entry in cen.reader.record(sent[0].export_id)]
    assert names == ["notice.received", "notice.amended", "notice.amended", "notice.withdrawn"]
    box.close()


def test_a_batch_of_notices_taken_twice_is_recorded_once(make_node: MakeNode) -> None:
    xa, cen = make_node("XA"), make_node("ZZ-CEN", "cen")
    to_cen, from_a = xa.meet(cen), cen.meet(xa)
    for _ in range(3):
        told = xa.do(seizure()).record_id
        xa.do(SubmitSeizure(), record_id=told)
    export(xa, to_cen)
    box = cen.inbox(from_a)
    ((first, lines),) = xa.batches(to_cen)
    batch = verify(lines, box._source, Frontier())
    with cen.session.transaction(force_rollback=True):  # the power goes between the ledger's commit and the inbox's
        box._recorder.record(cen.session, batch.lines, now())
    box.take(lines, first, now())
    head = cen.seal()
    assert [entry.name for entry in cen.reader.read(0, 100)] == ["notice.received"] * 3
    assert head == 3
    box.close()


def test_what_is_handed_back_or_said_again_is_not_sent(make_node: MakeNode) -> None:
    xa, cen = make_node("XA"), make_node("ZZ-CEN", "cen")
    to_cen = xa.meet(cen)
    told = xa.do(seizure()).record_id
    xa.do(SubmitSeizure(), record_id=told)
    xa.do(ReturnSeizure(reason=Reason.INCOMPLETE), SUPERVISOR, told)
    xa.do(CorrectSeizure(reason=Reason.ENTRY_ERROR, office="XAEAST"), record_id=told)
    xa.do(SubmitSeizure(), record_id=told)
    assert len(export(xa, to_cen)) == 1, "the office is not told, so nothing changed"
    reasons = [reason for _, _, reason in xa.decisions(to_cen)]
    assert reasons == ["not-put-forward", None, "not-put-forward", "not-put-forward", "same"]


def test_small_cells_are_told_coarsely(make_node: MakeNode) -> None:
    xa, cen = make_node("XA"), make_node("ZZ-CEN", "cen")
    to_cen = xa.meet(cen)
    for section in (Section.DRUGS, Section.DRUGS, Section.DRUGS, Section.DRUGS, Section.CULTURE):
        xa.do(SubmitSeizure(), record_id=xa.do(seizure(section)).record_id)
    told = [(core.notice.subdivision, core.notice.day) for core in export(xa, to_cen) if core.notice]
    assert told == [(None, None), (None, None), ("XA-01", 4), ("XA-01", 4), (None, None)]


# ---------------------------------------------------------------- what the type itself proves

WORDS = ("Amina Testeron", "O'Neil", "+43 660 1234567", "Jürgen", "王伟", "a b", "x@y.z", "\n", "")


def walk(kind: typing.Any, path: str) -> list[str]:  # noqa: ANN401  # any type may be met
    """What in a type could hold words, fractions or open-ended maps."""
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return bounded(*typing.get_args(kind), path=path)
    if origin in {typing.Union, types.UnionType, tuple}:
        return [fault for one in typing.get_args(kind) if one is not Ellipsis for fault in walk(one, path)]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind, include_extras=True)
        return [fault for name, hint in hints.items() for fault in walk(hint, f"{path}.{name}")]
    is_closed = kind in {type(None), bool} or (isinstance(kind, type) and hasattr(kind, "__members__"))
    return [] if is_closed else [f"{path}: {kind}"]


def bounded(inner: typing.Any, *metas: typing.Any, path: str) -> list[str]:  # noqa: ANN401  # any type may be met
    """What in a type with bounds could still hold too much."""
    meta = next(one for one in metas if isinstance(one, msgspec.Meta))
    if inner is str:
        pattern = (meta.extra or {}).get("pattern")
        is_tight = pattern is not None and not any(re.match(pattern, word) for word in WORDS)
        return [] if is_tight else [f"{path}: words fit"]
    if inner is int:
        return [] if meta.le is not None and meta.ge is not None else [f"{path}: no bounds"]
    return ([] if meta.max_length else [f"{path}: no bound"]) + walk(inner, path)


def test_nothing_in_a_notice_can_hold_words_fractions_or_maps() -> None:
    assert walk(Notice, "Notice") == []


@pytest.mark.parametrize(
    "leak", [str, float, dict[str, int], bytes, typing.Any, msgspec.Raw, date | str, tuple[str, ...], int]
)
def test_the_walk_finds_what_could(leak: typing.Any) -> None:  # noqa: ANN401  # any type
    planted = msgspec.defstruct("Planted", [("line", leak)])
    assert walk(planted, "Planted")


def test_a_personal_event_does_not_decode_as_an_open_one() -> None:
    for raw in (
        msgspec.msgpack.encode(NarrativeWritten(text="words")),
        b"\x01" + bytes(64),
        msgspec.msgpack.encode({"event": "person.name-asserted"}),
        msgspec.msgpack.encode(
            GoodsAdded(line=1, goods=Goods(section=Section.DRUGS, origin="Ivan Petrov"), reason=Reason.INCOMPLETE)
        ),
    ):
        with pytest.raises(msgspec.MsgspecError):
            read(raw)


def test_every_open_event_of_a_seizure_is_told_and_no_personal_one() -> None:
    from domain.records import KINDS

    told = set(typing.get_args(notices.OpenSeizureEvent))
    assert told == {event for event in KINDS["seizure"].events if not issubclass(event, PersonalEvent)}


def test_goods_that_say_the_same_are_added_up_whatever_their_order() -> None:
    from domain.notice import Facts
    from domain.place import Place

    def told(*lines: tuple[Section, str]) -> Notice | None:
        facts = Facts(
            kind=SeizureKind.SEIZURE,
            place=Place(country="XA"),
            occurred_on=date(2026, 1, 2),
            stage=Stage.CONFIRMED,
            goods={number: goods(*line) for number, line in enumerate(lines, start=1)},
        )
        return notice_of(facts, is_small_cell=False)

    one = told((Section.DRUGS, "1.0005"), (Section.TOBACCO, "7"), (Section.DRUGS, "2"))
    other = told((Section.TOBACCO, "7"), (Section.DRUGS, "2"), (Section.DRUGS, "1.0005"))
    assert one == other
    assert one is not None
    assert sorted(line.thousandths or 0 for line in one.lines) == [3_000, 7_000]
