"""Rules of a seizure: what is recorded, what is refused, and what there is nothing to do about."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest

from domain.codes import DocumentKind, PartyRole, Reason, Section, SeizureKind, SubjectCategory
from domain.event import AnyEvent, Command
from domain.goods import Goods, GoodsLine
from domain.party import Party
from domain.place import Place
from domain.quantity import Money, Quantity
from domain.seizure import (
    AddGoods,
    CancelSeizure,
    CircumstancesCorrected,
    CorrectGoods,
    CorrectSeizure,
    Document,
    DocumentsNoted,
    GoodsAdded,
    GoodsCorrected,
    GoodsWithdrawn,
    NameParty,
    NarrativeWritten,
    NoteDocuments,
    NotePlates,
    PartyNamed,
    PartyWithdrawn,
    Plate,
    PlatesNoted,
    RecordSeizure,
    RemarkMade,
    RestateSeizure,
    ReturnSeizure,
    SeizureCancelled,
    SeizureRecorded,
    SeizureReturned,
    SeizureSubmitted,
    SeizureValidated,
    SubmitSeizure,
    ValidateSeizure,
    WithdrawGoods,
    WithdrawParty,
    WriteNarrative,
)
from tests.domain.given import COLLEAGUE, NOBODY_KNOWN, OFFICER, SUPERVISOR, TODAY, folded, given
from tests.domain.strategies import IDS


def cocaine(kilograms: str) -> Goods:
    quantity = Quantity(amount=Decimal(kilograms), written=kilograms, unit="KGM")
    return Goods(section=Section.DRUGS, quantity=quantity)


PLACE = Place(country="KE", locode="KEMBA")
RECORD = RecordSeizure(office="MOMBASA", place=PLACE, occurred_on=date(2026, 2, 1), goods=(cocaine("2"), cocaine("3")))
RECORDED = SeizureRecorded(
    kind=SeizureKind.SEIZURE,
    office="MOMBASA",
    place=PLACE,
    occurred_on=date(2026, 2, 1),
    goods=(GoodsLine(line=1, goods=cocaine("2")), GoodsLine(line=2, goods=cocaine("3"))),
)
COURIER = Party(party=IDS[0], role=PartyRole.COURIER, category=SubjectCategory.SUSPECT)
COURIER_NAMED = PartyNamed(party=IDS[0], role=PartyRole.COURIER, category=SubjectCategory.SUSPECT)
SUBMITTED, VALIDATED = SeizureSubmitted(), SeizureValidated()
CANCELLED = SeizureCancelled(reason=Reason.DUPLICATE)
ERROR = Reason.ENTRY_ERROR


# ---------------------------------------------------------------- recording


def test_five_facts_are_enough() -> None:
    given().when(RECORD).then(RECORDED).and_again()


def test_all_that_is_told_at_once_is_recorded_at_once() -> None:
    plate, document = (
        Plate(number="KBA 123X", country="KE"),
        Document(kind=DocumentKind.CONTAINER, number="CSQU3054383"),
    )
    told = msgspec.structs.replace(
        RECORD, narrative="In the tank.", parties=(COURIER,), plates=(plate,), documents=(document,)
    )
    given().when(told).then(
        RECORDED,
        NarrativeWritten(text="In the tank."),
        COURIER_NAMED,
        PlatesNoted(plates=(plate,)),
        DocumentsNoted(documents=(document,)),
    ).and_again()


def test_a_seizure_is_recorded_once() -> None:
    given(RECORDED).when(RECORD).refused("already on record")


def test_the_day_of_a_seizure_lies_in_the_past() -> None:
    tomorrow = msgspec.structs.replace(RECORD, occurred_on=date(2026, 3, 2))
    given().when(tomorrow).refused("lies in the future")
    given().when(msgspec.structs.replace(RECORD, occurred_on=date(1899, 12, 31))).refused("before 1900")
    given().when(msgspec.structs.replace(RECORD, occurred_on=TODAY)).then(
        msgspec.structs.replace(RECORDED, occurred_on=TODAY)
    )


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("0", "quantity is zero"),
        ("-1", "quantity is negative"),
        ("NaN", "not a number"),
        ("Infinity", "not a number"),
        ("1E+19", "more digits"),
        ("1E-25", "more digits"),
    ],
)
def test_an_amount_that_no_scale_gives_is_refused(amount: str, words: str) -> None:
    given().when(msgspec.structs.replace(RECORD, goods=(cocaine(amount),))).refused(words)
    given(RECORDED).when(AddGoods(goods=cocaine(amount), reason=ERROR)).refused(words)
    given(RECORDED).when(CorrectGoods(line=1, goods=cocaine(amount), reason=ERROR)).refused(words)
    given(RECORDED).when(RestateSeizure(facts=msgspec.structs.replace(RECORD, goods=(cocaine(amount),)))).refused(words)


def test_a_worthless_line_may_be_told_and_a_negative_worth_may_not() -> None:
    free = msgspec.structs.replace(cocaine("1"), value=Money(amount=Decimal(0), written="0", currency="KES"))
    given(RECORDED).when(AddGoods(goods=free, reason=ERROR)).then(GoodsAdded(line=3, goods=free, reason=ERROR))
    owed = msgspec.structs.replace(cocaine("1"), value=Money(amount=Decimal(-1), written="-1", currency="KES"))
    given(RECORDED).when(AddGoods(goods=owed, reason=ERROR)).refused("value is negative")


COMMANDS: list[Command] = [
    RestateSeizure(facts=RECORD),
    CorrectSeizure(office="NAIROBI", reason=ERROR),
    AddGoods(goods=cocaine("1"), reason=ERROR),
    CorrectGoods(line=1, goods=cocaine("1"), reason=ERROR),
    WithdrawGoods(line=1, reason=ERROR),
    WriteNarrative(text="Words."),
    NameParty(party=COURIER),
    WithdrawParty(party=IDS[0], role=PartyRole.COURIER, reason=ERROR),
    NotePlates(plates=()),
    NoteDocuments(documents=()),
    SubmitSeizure(),
    ReturnSeizure(reason=ERROR),
    ValidateSeizure(),
    CancelSeizure(reason=ERROR),
]


@pytest.mark.parametrize("command", COMMANDS[1:], ids=lambda command: type(command).__name__)
def test_what_is_not_on_record_cannot_be_changed(command: Command) -> None:
    given().when(command).refused("no such seizure")


@pytest.mark.parametrize("command", [RECORD, *COMMANDS], ids=lambda command: type(command).__name__)
def test_a_cancelled_seizure_never_changes(command: Command) -> None:
    asked = given(RECORDED, CANCELLED).when(command)
    if isinstance(command, CancelSeizure | RestateSeizure):
        asked.nothing()
    else:
        asked.refused("on record" if isinstance(command, RecordSeizure) else "has been cancelled")


# ---------------------------------------------------------------- correcting


def test_a_correction_tells_only_what_changes() -> None:
    correct = CorrectSeizure(office="NAIROBI", place=PLACE, route=("CO", "KE"), reason=ERROR, remark="Misread.")
    given(RECORDED).when(correct).then(
        CircumstancesCorrected(office="NAIROBI", route=("CO", "KE"), reason=ERROR), RemarkMade(text="Misread.")
    ).and_again()


def test_a_correction_to_what_stands_is_nothing() -> None:
    given(RECORDED).when(CorrectSeizure(office="MOMBASA", reason=ERROR, remark="Nothing to remark on.")).nothing()
    given(RECORDED).when(CorrectSeizure(reason=ERROR)).nothing()


def test_a_correction_may_take_a_fact_back() -> None:
    told = CircumstancesCorrected(direction=None, reason=ERROR)
    given(RECORDED).when(CorrectSeizure(direction=None, reason=ERROR)).nothing()
    corrected = CircumstancesCorrected(detection=None, reason=ERROR)
    assert folded([RECORDED, told, corrected]).direction is None


def test_a_day_is_not_corrected_into_the_future() -> None:
    given(RECORDED).when(CorrectSeizure(occurred_on=date(2027, 1, 1), reason=ERROR)).refused("in the future")


def test_lines_keep_their_numbers_for_ever() -> None:
    given(RECORDED, GoodsWithdrawn(line=2, reason=ERROR)).when(AddGoods(goods=cocaine("3"), reason=ERROR)).then(
        GoodsAdded(line=3, goods=cocaine("3"), reason=ERROR)
    )


def test_a_line_is_corrected_by_meaning() -> None:
    spelt = msgspec.structs.replace(cocaine("2"), quantity=Quantity(amount=Decimal("2.0"), written="2,0 ", unit="KGM"))
    given(RECORDED).when(CorrectGoods(line=1, goods=spelt, reason=Reason.RECOUNT, remark="Spelling.")).nothing()
    given(RECORDED).when(CorrectGoods(line=1, goods=cocaine("2.1"), reason=Reason.RECOUNT, remark="Scale.")).then(
        GoodsCorrected(line=1, goods=cocaine("2.1"), reason=Reason.RECOUNT), RemarkMade(text="Scale.")
    ).and_again()
    given(RECORDED).when(CorrectGoods(line=9, goods=cocaine("2"), reason=ERROR)).refused("no line 9")


def test_a_line_is_withdrawn_unless_it_is_the_last() -> None:
    withdraw = WithdrawGoods(line=1, reason=ERROR)
    given(RECORDED).when(withdraw).then(GoodsWithdrawn(line=1, reason=ERROR)).and_again()
    given(RECORDED, GoodsWithdrawn(line=2, reason=ERROR)).when(withdraw).refused("at least one line")
    given(RECORDED).when(WithdrawGoods(line=7, reason=ERROR)).refused("no line 7")


def test_a_seizure_holds_so_many_lines_and_no_more() -> None:
    lines = tuple(GoodsLine(line=number, goods=cocaine("1")) for number in range(1, 10_001))
    given(msgspec.structs.replace(RECORDED, goods=lines)).when(AddGoods(goods=cocaine("1"), reason=ERROR)).refused(
        "at most 10000 lines"
    )


# ---------------------------------------------------------------- what is personal


def test_the_account_is_written_replaced_and_taken_back() -> None:
    written = NarrativeWritten(text="Words.")
    given(RECORDED).when(WriteNarrative(text="Words.")).then(written).and_again()
    given(RECORDED, written).when(WriteNarrative(text=None)).then(NarrativeWritten(text=None)).and_again()
    given(RECORDED).when(WriteNarrative(text=None)).nothing()


def test_a_party_is_named_once_in_a_role_and_may_be_seen_otherwise_later() -> None:
    given(RECORDED).when(NameParty(party=COURIER)).then(COURIER_NAMED).and_again()
    convicted = msgspec.structs.replace(COURIER, category=SubjectCategory.CONVICTED)
    named = msgspec.structs.replace(COURIER_NAMED, category=SubjectCategory.CONVICTED)
    given(RECORDED, COURIER_NAMED).when(NameParty(party=convicted)).then(named).and_again()
    assert folded([RECORDED, COURIER_NAMED, named]).parties == (convicted,)


def test_a_party_is_withdrawn_from_its_role() -> None:
    withdraw = WithdrawParty(party=IDS[0], role=PartyRole.COURIER, reason=ERROR)
    withdrawn = PartyWithdrawn(party=IDS[0], role=PartyRole.COURIER, reason=ERROR)
    given(RECORDED, COURIER_NAMED).when(withdraw).then(withdrawn).and_again()
    other = WithdrawParty(party=IDS[0], role=PartyRole.OWNER, reason=ERROR)
    given(RECORDED, COURIER_NAMED).when(other).refused("Nobody with that record id")


def test_plates_and_documents_are_noted_in_place_of_those_before() -> None:
    plates = (Plate(number="KBA 123X"),)
    documents = (Document(kind=DocumentKind.PASSPORT, number="A1"),)
    given(RECORDED).when(NotePlates(plates=plates)).then(PlatesNoted(plates=plates)).and_again()
    given(RECORDED).when(NoteDocuments(documents=documents)).then(DocumentsNoted(documents=documents)).and_again()
    given(RECORDED, PlatesNoted(plates=plates)).when(NotePlates(plates=())).then(PlatesNoted(plates=()))


def test_a_personal_event_belongs_to_the_person_it_speaks_of() -> None:
    assert COURIER_NAMED.subject_of(IDS[2]) == IDS[0]
    assert NarrativeWritten(text="Words.").subject_of(IDS[2]) == IDS[2]


# ---------------------------------------------------------------- validating


def test_a_seizure_is_submitted_and_validated_by_a_second_person() -> None:
    given(RECORDED).when(SubmitSeizure()).then(SUBMITTED).and_again()
    given(RECORDED, SUBMITTED).when(ValidateSeizure(), by=SUPERVISOR).then(VALIDATED).and_again()


def test_nobody_validates_what_they_recorded_or_changed() -> None:
    given(RECORDED, SUBMITTED).when(ValidateSeizure(), by=OFFICER).refused("somebody other than")
    corrected = CircumstancesCorrected(office="NAIROBI", reason=ERROR)
    state = folded([corrected, SUBMITTED], COLLEAGUE, folded([RECORDED], OFFICER))
    story = given()
    story.state = state
    story.when(ValidateSeizure(), by=COLLEAGUE).refused("somebody other than")
    story.when(ValidateSeizure(), by=SUPERVISOR).then(VALIDATED)


def test_submitting_and_remarking_make_nobody_an_author() -> None:
    state = folded([SUBMITTED, RemarkMade(text="Words.")], COLLEAGUE, folded([RECORDED], OFFICER))
    assert state.authors == {"officer1"}
    assert folded([RECORDED], NOBODY_KNOWN).authors == frozenset()


def test_only_what_was_submitted_is_validated_or_returned() -> None:
    given(RECORDED).when(ValidateSeizure(), by=SUPERVISOR).refused("submit it first")
    given(RECORDED).when(ReturnSeizure(reason=Reason.INCOMPLETE)).refused("Only a submitted seizure")
    given(RECORDED, SUBMITTED).when(ReturnSeizure(reason=Reason.INCOMPLETE)).then(
        SeizureReturned(reason=Reason.INCOMPLETE)
    ).and_again()
    given(RECORDED, SUBMITTED, VALIDATED).when(SubmitSeizure()).refused("validated already")
    given(RECORDED, SUBMITTED, VALIDATED).when(ReturnSeizure(reason=ERROR)).refused("Only a submitted seizure")


def test_a_returned_seizure_goes_round_again() -> None:
    history: list[AnyEvent] = [RECORDED, SUBMITTED, SeizureReturned(reason=Reason.INCOMPLETE)]
    given(*history).when(SubmitSeizure()).then(SUBMITTED)


def test_a_validated_seizure_changes_by_correction_and_stays_validated() -> None:
    corrected = CircumstancesCorrected(office="NAIROBI", reason=ERROR)
    given(RECORDED, SUBMITTED, VALIDATED).when(CorrectSeizure(office="NAIROBI", reason=ERROR)).then(corrected)
    assert folded([RECORDED, SUBMITTED, VALIDATED, corrected]).status == "validated"


def test_a_seizure_is_cancelled_at_any_time_and_says_why() -> None:
    cancel = CancelSeizure(reason=Reason.DUPLICATE, remark="Twice on record.")
    for history in ([RECORDED], [RECORDED, SUBMITTED], [RECORDED, SUBMITTED, VALIDATED]):
        given(*history).when(cancel).then(CANCELLED, RemarkMade(text="Twice on record.")).and_again()


def test_only_an_import_changes_a_seizure_because_its_source_says_so() -> None:
    asked = given(RECORDED).when(CancelSeizure(reason=Reason.SOURCE_STATED))
    asked.refused("say why you change it")
