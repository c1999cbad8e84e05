"""A source that tells its seizures again changes what it changed in meaning, and nothing else.

What is corrected here stands until the source itself changes that very fact.
"""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.codes import HsCode, OfficeCode, Outcome, PartyRole, Reason, Section
from domain.difference import differences
from domain.goods import Goods, GoodsLine, meaning, pair
from domain.party import Party
from domain.place import Place
from domain.quantity import Money, Quantity
from domain.seizure import (
    AddGoods,
    CancelSeizure,
    CircumstancesCorrected,
    CorrectGoods,
    CorrectSeizure,
    GoodsAdded,
    GoodsCorrected,
    GoodsWithdrawn,
    NarrativeWritten,
    PartyWithdrawn,
    RecordSeizure,
    RestateSeizure,
    Seizure,
    SeizureRecorded,
    WithdrawGoods,
    decide,
    evolve,
)
from tests.domain.given import OFFICER, answered, folded
from tests.domain.strategies import IDS, of


def pounds(amount: str, **said: Any) -> Goods:  # noqa: ANN401  # the fields of a line
    quantity = Quantity(amount=Decimal(amount), written=amount, unit="LBR")
    return Goods(section=Section.DRUGS, quantity=quantity, **said)


def told(*goods: Goods, **said: Any) -> RecordSeizure:  # noqa: ANN401  # the fields of the command
    facts: dict[str, Any] = {
        "office": "EL-PASO",
        "place": Place(country="US"),
        "occurred_on": date(2020, 5, 1),
        "source": "cbp",
    } | said
    return RecordSeizure(goods=goods, **facts)


def after(seizure: Seizure | None, *commands: Any) -> Seizure:  # noqa: ANN401  # commands of a seizure
    for command in commands:
        seizure = folded(decide(seizure, command, OFFICER), state=seizure)
    assert seizure is not None
    return seizure


def retold(seizure: Seizure, facts: RecordSeizure, places: int | None = None) -> tuple[Any, ...]:
    return decide(seizure, RestateSeizure(facts=facts, true_to_places=places), OFFICER)


FACTS = of(RecordSeizure)
PLACES = st.none() | st.integers(0, 15)


# ---------------------------------------------------------------- laws


@given(FACTS, PLACES)
def test_the_same_facts_told_again_change_nothing(facts: RecordSeizure, places: int | None) -> None:
    events = answered(None, RestateSeizure(facts=facts, true_to_places=places), OFFICER)
    assume(events)
    assert retold(folded(events), facts, places) == ()


@given(FACTS, st.lists(FACTS, min_size=1, max_size=3), PLACES)
def test_a_record_follows_its_source_and_then_rests(
    facts: RecordSeizure, later: list[RecordSeizure], places: int | None
) -> None:
    seizure = folded(answered(None, RestateSeizure(facts=facts), OFFICER))
    assume(seizure is not None)
    for one in later:
        changed = answered(seizure, RestateSeizure(facts=one, true_to_places=places), OFFICER)
        seizure = folded(changed, state=seizure)
        if changed:
            assert retold(seizure, one, places) == ()
            assert len(seizure.goods) == len(one.goods)


CORRECTIONS = st.one_of(of(CorrectSeizure), of(CorrectGoods), of(AddGoods), of(WithdrawGoods))


@given(FACTS, st.lists(CORRECTIONS, max_size=4), PLACES)
def test_a_correction_made_here_survives_its_source_told_again(
    facts: RecordSeizure, corrections: list[Any], places: int | None
) -> None:
    seizure = folded(answered(None, RestateSeizure(facts=facts), OFFICER))
    assume(seizure is not None)
    for correction in corrections:
        if getattr(correction, "reason", None) is not Reason.SOURCE_STATED:
            seizure = folded(answered(seizure, correction, OFFICER), state=seizure)
    assert retold(seizure, facts, places) == ()


@given(st.lists(of(Goods), min_size=1, max_size=5), st.lists(of(Goods), max_size=5), PLACES)
def test_pairing_leaves_nothing_out_and_nothing_over(before: list[Goods], now: list[Goods], places: int | None) -> None:
    on_record = tuple(GoodsLine(line=number, goods=goods) for number, goods in enumerate(before, start=1))
    pairing = pair(on_record, now, places)
    lines = {line.line: line.goods for line in on_record if line.line not in pairing.withdrawn}
    lines |= {line.line: line.goods for line in pairing.changed}
    assert len(lines) + len(pairing.added) == len(now)
    assert len(pairing.withdrawn) == max(0, len(before) - len(now))
    if places is None:
        held = sorted(map(repr, map(meaning, [*lines.values(), *(line.goods for line in pairing.added)])))
        assert held == sorted(map(repr, map(meaning, now)))


@given(st.lists(of(Goods), min_size=1, max_size=4), of(Goods))
def test_a_row_put_in_front_changes_no_other(goods: list[Goods], new: Goods) -> None:
    on_record = tuple(GoodsLine(line=number, goods=one) for number, one in enumerate(goods, start=1))
    pairing = pair(on_record, [new, *goods], None)
    assert (pairing.changed, pairing.withdrawn) == ((), ())
    assert [meaning(line.goods) for line in pairing.added] == [meaning(new)]


# ---------------------------------------------------------------- examples


def test_amounts_of_one_meaning_are_one_amount_as_far_as_their_source_is_true() -> None:
    seizure = after(None, RestateSeizure(facts=told(pounds("2077.902212529746"))))
    assert retold(seizure, told(pounds("2077.9022125297456")), 12) == ()
    assert [type(event) for event in retold(seizure, told(pounds("2077.9022125297456")))] == [GoodsCorrected]
    assert [type(event) for event in retold(seizure, told(pounds("2077.902212529748")), 12)] == [GoodsCorrected]


def test_another_spelling_of_an_amount_is_no_change() -> None:
    spelt = Quantity(amount=Decimal("2.50"), written="2,50", unit="LBR")
    seizure = after(None, RestateSeizure(facts=told(pounds("2.5"))))
    assert retold(seizure, told(msgspec.structs.replace(pounds("2.5"), quantity=spelt))) == ()


def test_a_changed_row_changes_its_line_alone() -> None:
    seizure = after(None, RestateSeizure(facts=told(pounds("1"), pounds("2"), pounds("3"))))
    changed = retold(seizure, told(pounds("1"), pounds("2.5"), pounds("3")))
    assert changed == (GoodsCorrected(line=2, goods=pounds("2.5"), reason=Reason.SOURCE_STATED),)


def test_a_row_in_front_of_equal_lines_changes_none_of_them() -> None:
    seizure = after(None, RestateSeizure(facts=told(pounds("1"), pounds("1"), pounds("1"))))
    changed = retold(seizure, told(pounds("9"), pounds("1"), pounds("1"), pounds("1")))
    assert changed == (GoodsAdded(line=4, goods=pounds("9"), reason=Reason.SOURCE_STATED),)


def test_a_changed_row_is_found_behind_a_new_one_of_other_goods() -> None:
    tobacco = Goods(section=Section.TOBACCO)
    seizure = after(None, RestateSeizure(facts=told(pounds("1"), pounds("2"))))
    changed = retold(seizure, told(tobacco, pounds("1"), pounds("2.5")))
    assert changed == (
        GoodsCorrected(line=2, goods=pounds("2.5"), reason=Reason.SOURCE_STATED),
        GoodsAdded(line=3, goods=tobacco, reason=Reason.SOURCE_STATED),
    )


def test_a_row_taken_out_withdraws_its_line() -> None:
    seizure = after(None, RestateSeizure(facts=told(pounds("1"), pounds("2"))))
    assert retold(seizure, told(pounds("2"))) == (GoodsWithdrawn(line=1, reason=Reason.SOURCE_STATED),)


def test_a_source_that_changes_one_fact_of_a_line_leaves_the_correction_of_another() -> None:
    coded = HsCode(edition="2022", digits="293930")
    reclassified = CorrectGoods(line=1, goods=pounds("5", hs=coded), reason=Reason.RECLASSIFIED)
    seizure = after(None, RestateSeizure(facts=told(pounds("5"))), reclassified)
    now = pounds("5", outcome=Outcome.DESTROYED)
    held = pounds("5", outcome=Outcome.DESTROYED, hs=coded)
    changed = retold(seizure, told(now))
    assert changed == (GoodsCorrected(line=1, goods=held, reason=Reason.SOURCE_STATED, stated=now),)
    again = folded(changed, state=seizure)
    assert again.line(1) == held
    assert retold(again, told(now)) == ()


def test_a_source_that_changes_the_very_fact_corrected_here_is_followed() -> None:
    seizure = after(
        None,
        RestateSeizure(facts=told(pounds("5"))),
        CorrectGoods(line=1, goods=pounds("6"), reason=Reason.RECOUNT),
        RestateSeizure(facts=told(pounds("7"))),
    )
    assert seizure.line(1) == pounds("7")


def test_a_line_withdrawn_here_does_not_come_back() -> None:
    facts = told(pounds("1"), pounds("2"))
    seizure = after(None, RestateSeizure(facts=facts), WithdrawGoods(line=1, reason=Reason.DUPLICATE))
    assert retold(seizure, facts) == ()


def test_circumstances_change_field_by_field() -> None:
    seizure = after(
        None,
        RestateSeizure(facts=told(pounds("1"))),
        CorrectSeizure(office="LAREDO", reason=Reason.ENTRY_ERROR),
    )
    changed = retold(seizure, told(pounds("1"), occurred_on=date(2020, 5, 2)))
    assert changed == (CircumstancesCorrected(occurred_on=date(2020, 5, 2), reason=Reason.SOURCE_STATED),)
    office: OfficeCode | None = folded(changed, state=seizure).office
    assert office == "LAREDO"


def test_a_source_that_names_itself_nowhere_is_a_source_all_the_same() -> None:
    facts = told(pounds("1"), source=None)
    seizure = after(None, RestateSeizure(facts=facts), CorrectSeizure(office="LAREDO", reason=Reason.ENTRY_ERROR))
    assert retold(seizure, facts) == ()
    assert seizure.source == "unnamed"


def test_a_source_that_speaks_of_a_record_made_by_hand_changes_only_what_it_says_otherwise() -> None:
    seizure = after(None, told(pounds("1"), pounds("2"), source=None))
    changed = retold(seizure, told(pounds("1"), pounds("2"), narrative="In the spare wheel."))
    assert changed == (NarrativeWritten(text="In the spare wheel.", reason=Reason.SOURCE_STATED),)
    assert retold(folded(changed, state=seizure), told(pounds("1"), pounds("2"), narrative="In the spare wheel.")) == ()


def test_a_party_that_the_source_no_longer_names_is_withdrawn_and_one_named_here_stays() -> None:
    ours, theirs = Party(party=IDS[0], role=PartyRole.DRIVER), Party(party=IDS[1], role=PartyRole.OWNER)
    seizure = after(None, RestateSeizure(facts=told(pounds("1"), parties=(theirs,))))
    named = msgspec.structs.replace(seizure, parties=(*seizure.parties, ours))
    gone = PartyWithdrawn(party=IDS[1], role=PartyRole.OWNER, reason=Reason.SOURCE_STATED)
    assert retold(named, told(pounds("1"))) == (gone,)
    assert folded((gone,), state=named).parties == (ours,)


def test_a_party_named_by_hand_before_its_source_first_spoke_stays() -> None:
    ours = Party(party=IDS[0], role=PartyRole.DRIVER)
    by_hand = after(None, told(pounds("1"), parties=(ours,), source=None))
    once = after(by_hand, RestateSeizure(facts=told(pounds("2"))))
    assert once.parties == (ours,)
    assert retold(once, told(pounds("2"))) == ()
    assert retold(once, told(pounds("2"), parties=(ours,))) == ()


def test_a_party_told_twice_in_one_role_is_what_is_told_last() -> None:
    owner, firm = Party(party=IDS[0], role=PartyRole.OWNER), Party(party=IDS[0], role=PartyRole.OWNER, is_business=True)
    twice = told(pounds("1"), parties=(owner, firm))
    assert after(None, twice).parties == (firm,)
    restated = after(None, RestateSeizure(facts=told(pounds("1"))), RestateSeizure(facts=twice))
    assert restated.parties == (firm,)
    assert retold(restated, twice) == ()


def test_a_seizure_cancelled_here_stays_so_whatever_its_source_says() -> None:
    seizure = after(None, RestateSeizure(facts=told(pounds("1"))), CancelSeizure(reason=Reason.DUPLICATE))
    assert retold(seizure, told(pounds("2"))) == ()


def test_what_a_source_tells_is_recorded_as_such() -> None:
    events = decide(None, RestateSeizure(facts=told(pounds("1"), narrative="Words.")), OFFICER)
    assert isinstance(events[0], SeizureRecorded)
    assert events[1] == NarrativeWritten(text="Words.", reason=Reason.SOURCE_STATED)


def test_values_are_compared_by_currency_too() -> None:
    worth = [Money(amount=Decimal(5), written="5", currency=currency) for currency in ("USD", "EUR")]
    one, other = (msgspec.structs.replace(pounds("1"), value=value) for value in worth)
    seizure = after(None, RestateSeizure(facts=told(one)))
    changed = retold(seizure, told(other), 0)
    assert [change.field for change in differences(seizure, folded(changed, state=seizure))] == ["goods.1.value"]


def test_ten_thousand_lines_are_compared_while_one_waits() -> None:
    """Pairing is one pass for what is equal, and looks closer only at what is left."""
    goods = [pounds(str(number + 1)) for number in range(10_000)]
    on_record = tuple(GoodsLine(line=number, goods=one) for number, one in enumerate(goods, start=1))
    pairing = pair(on_record, reversed(goods), 6)
    assert (pairing.changed, pairing.added, pairing.withdrawn) == ((), (), ())


def test_evolving_tells_apart_what_the_source_says_and_what_stands() -> None:
    seizure = after(
        None,
        RestateSeizure(facts=told(pounds("5"))),
        CorrectGoods(line=1, goods=pounds("6"), reason=Reason.RECOUNT),
    )
    assert seizure.line(1) == pounds("6")
    assert seizure.told is not None
    assert seizure.told.line(1) == pounds("5")
    assert evolve(seizure, GoodsWithdrawn(line=1, reason=Reason.SOURCE_STATED), OFFICER).told is not None
