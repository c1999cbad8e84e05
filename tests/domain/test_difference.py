"""What differs between two moments of a record, and how it reads."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from domain.codes import Coded, DocumentKind, HsCode, OffenceType, PartyRole, Reason, Section, SubjectCategory
from domain.difference import ABSENT, Change, as_text, differences
from domain.goods import Goods, GoodsLine
from domain.offence import Offence, OffenceStatus, Penalty, PenaltyKind, PenaltyLine
from domain.party import Party
from domain.person import AssertionRetracted, NameAsserted, PersonMerged
from domain.place import Place
from domain.premise import Premise
from domain.quantity import Money, Quantity
from domain.seizure import Document, Plate, Seizure, Status
from tests.domain.given import given
from tests.domain.strategies import IDS
from tests.domain.test_subjects import ALIAS, NAMED, REGISTERED


def kilograms(amount: str) -> Quantity:
    return Quantity(amount=Decimal(amount), written=amount, unit="KGM")


def line(number: int, amount: str) -> GoodsLine:
    return GoodsLine(line=number, goods=Goods(section=Section.DRUGS, quantity=kilograms(amount)))


def told(before: Any, after: Any) -> list[tuple[str, str, str]]:  # noqa: ANN401  # states of any kind
    return [(change.field, as_text(change.was), as_text(change.now)) for change in differences(before, after)]


def test_nothing_differs_from_itself() -> None:
    seizure = Seizure(goods=(line(1, "2"),), place=Place(country="KE"))
    assert differences(seizure, seizure) == ()
    assert differences(None, None) == ()


def test_a_new_record_differs_in_all_that_is_stated() -> None:
    assert told(None, Seizure(office="MOMBASA", place=Place(country="KE", locode="KEMBA"), goods=(line(1, "2"),))) == [
        ("office", ABSENT, "MOMBASA"),
        ("place.country", ABSENT, "KE"),
        ("place.locode", ABSENT, "KEMBA"),
        ("goods.1.section", ABSENT, "drugs"),
        ("goods.1.quantity", ABSENT, "2 KGM"),
    ]


def test_a_line_is_compared_under_its_number() -> None:
    before = Seizure(goods=(line(1, "2"), line(2, "3")))
    after = Seizure(goods=(line(2, "3.5"), line(3, "9")))
    assert told(before, after) == [
        ("goods.2.quantity", "3 KGM", "3.5 KGM"),
        ("goods.3.section", ABSENT, "drugs"),
        ("goods.3.quantity", ABSENT, "9 KGM"),
        ("goods.1.section", "drugs", ABSENT),
        ("goods.1.quantity", "2 KGM", ABSENT),
    ]


def test_another_spelling_is_no_difference() -> None:
    spelt = Quantity(amount=Decimal("2.0"), written="2,0", unit="KGM")
    after = Seizure(goods=(GoodsLine(line=1, goods=Goods(section=Section.DRUGS, quantity=spelt)),))
    assert differences(Seizure(goods=(line(1, "2"),)), after) == ()


def test_values_stay_what_they_are() -> None:
    changes = differences(Seizure(occurred_on=date(2026, 1, 1)), Seizure(occurred_on=date(2026, 1, 2)))
    assert changes == (Change(field="occurred_on", was=date(2026, 1, 1), now=date(2026, 1, 2)),)


def test_parties_stand_under_their_record_and_role() -> None:
    suspect = Party(party=IDS[0], role=PartyRole.COURIER, category=SubjectCategory.SUSPECT)
    convicted = Party(party=IDS[0], role=PartyRole.COURIER, category=SubjectCategory.CONVICTED)
    assert told(Seizure(parties=(suspect,)), Seizure(parties=(convicted,))) == [
        (f"parties.{IDS[0]}.courier", f"{IDS[0]} courier suspect", f"{IDS[0]} courier convicted")
    ]


def test_a_status_goes_from_what_it_was_to_what_it_is() -> None:
    assert told(Seizure(), Seizure(status=Status.SUBMITTED)) == [("status", "draft", "submitted")]
    assert told(Offence(), Offence(status=OffenceStatus.ESTABLISHED, is_cancelled=True)) == [
        ("status", "detected", "established"),
        ("is_cancelled", "no", "yes"),
    ]


def test_bookkeeping_is_left_out() -> None:
    before = Seizure(last_line=1)
    after = Seizure(last_line=2, authors=frozenset({"officer1"}), told=Seizure(office="MOMBASA"))
    assert differences(before, after) == ()
    assert differences(Premise(version=1), Premise(version=2)) == ()


def test_penalties_and_assertions_stand_under_their_numbers() -> None:
    fine = Penalty(kind=PenaltyKind.FINE, amount=Money(amount=Decimal(500), written="500", currency="KES"))
    imposed = PenaltyLine(number=1, penalty=fine)
    lifted = PenaltyLine(number=1, penalty=fine, lifted=Reason.LEGAL_DECISION)
    assert told(Offence(), Offence(penalties=(imposed,))) == [
        ("penalties.1.kind", ABSENT, "fine"),
        ("penalties.1.amount", ABSENT, "500 KES"),
    ]
    assert told(Offence(penalties=(imposed,)), Offence(penalties=(lifted,))) == [
        ("penalties.1.lifted", ABSENT, "legal-decision")
    ]


def test_what_is_said_of_a_person_is_told_statement_by_statement() -> None:
    before = given(REGISTERED, NAMED).state
    second = NameAsserted(number=2, statement=ALIAS)
    after = given(REGISTERED, NAMED, second, AssertionRetracted(number=1, reason=Reason.ENTRY_ERROR)).state
    assert told(before, after) == [
        ("statements.1.retracted", ABSENT, "entry-error"),
        ("statements.2.said.full", ABSENT, "La Jefa"),
        ("statements.2.kind", ABSENT, "fact"),
        ("statements.2.source", ABSENT, "informant"),
    ]
    merged = given(REGISTERED, NAMED, PersonMerged(other=IDS[1], basis="Same print.")).state
    assert told(before, merged) == [(f"merged.{IDS[1]}", ABSENT, f"{IDS[1]} Same print.")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ABSENT),
        ((), ABSENT),
        (True, "yes"),
        (7, "7"),
        (Decimal("2077.902212529746"), "2077.902212529746"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-9"), "0.000000001"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2026-01-02 03:04:05+00:00"),
        (OffenceType.SMUGGLING, "smuggling"),
        (("CO", "KE"), "CO, KE"),
        (HsCode(edition="2022", digits="293930"), "293930 (HS 2022)"),
        (Coded(list="INCB", edition="2024", code="coca"), "coca (INCB 2024)"),
        ((Plate(number="KBA 123X", country="KE"), Plate(number="X")), "KBA 123X KE, X"),
        (Document(kind=DocumentKind.PASSPORT, number="A1"), "passport A1"),
        (Party(party=IDS[0], role=PartyRole.OWNER, is_business=True), f"{IDS[0]} owner (business)"),
        (IDS[0], str(IDS[0])),
    ],
)
def test_a_value_reads_exactly(value: object, text: str) -> None:
    assert as_text(value) == text
