"""Rules of an offence: what it is tied to, where its proceedings may go, and what is imposed."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest

from domain.codes import OffenceType, PartyRole, Reason, SubjectCategory
from domain.event import AnyEvent, Command
from domain.offence import (
    MOVES,
    AttachSeizure,
    CancelOffence,
    ChangeStatus,
    CorrectOffence,
    DetachSeizure,
    ImposePenalty,
    LiftPenalty,
    NameParty,
    NarrativeWritten,
    OffenceCancelled,
    OffenceCorrected,
    OffenceRecorded,
    OffenceStatus,
    PartyNamed,
    PartyWithdrawn,
    Penalty,
    PenaltyImposed,
    PenaltyKind,
    PenaltyLifted,
    RecordOffence,
    RemarkMade,
    SeizureAttached,
    SeizureDetached,
    StatusChanged,
    WithdrawParty,
    WriteNarrative,
)
from domain.party import Party
from domain.quantity import Money
from tests.domain.given import folded, given
from tests.domain.strategies import IDS

DAY = date(2026, 2, 1)
RECORD = RecordOffence(offence_type=OffenceType.SMUGGLING, office="MOMBASA", occurred_on=DAY, provision="EACCMA.200")
RECORDED = OffenceRecorded(
    offence_type=OffenceType.SMUGGLING, office="MOMBASA", occurred_on=DAY, provision="EACCMA.200"
)
CANCELLED = OffenceCancelled(reason=Reason.ENTRY_ERROR)
ERROR = Reason.ENTRY_ERROR
SUSPECT = Party(party=IDS[0], role=PartyRole.ORGANISER, category=SubjectCategory.SUSPECT)
SUSPECT_NAMED = PartyNamed(party=IDS[0], role=PartyRole.ORGANISER, category=SubjectCategory.SUSPECT)
FINE = Penalty(kind=PenaltyKind.FINE, amount=Money(amount=Decimal(500), written="500", currency="KES"))


def become(*statuses: OffenceStatus) -> list[StatusChanged]:
    return [StatusChanged(status=status) for status in statuses]


CLOSED = become(OffenceStatus.ESTABLISHED, OffenceStatus.SETTLED, OffenceStatus.CLOSED)


def test_an_offence_stands_without_any_seizure() -> None:
    given().when(RECORD).then(RECORDED).and_again()


def test_an_offence_is_recorded_with_its_seizures_parties_and_account() -> None:
    told = msgspec.structs.replace(
        RECORD, seizures=(IDS[1], IDS[1]), parties=(SUSPECT, SUSPECT), narrative="He ran.", source="court"
    )
    recorded = msgspec.structs.replace(RECORDED, seizures=(IDS[1],), source="court")
    given().when(told).then(recorded, NarrativeWritten(text="He ran."), SUSPECT_NAMED).and_again()


def test_an_offence_is_recorded_once_and_lies_in_the_past() -> None:
    given(RECORDED).when(RECORD).refused("already on record")
    given().when(msgspec.structs.replace(RECORD, occurred_on=date(2026, 3, 2))).refused("in the future")


COMMANDS: list[Command] = [
    CorrectOffence(office="NAIROBI", reason=ERROR),
    AttachSeizure(seizure=IDS[1]),
    DetachSeizure(seizure=IDS[1], reason=ERROR),
    ChangeStatus(status=OffenceStatus.ESTABLISHED),
    ImposePenalty(penalty=FINE),
    LiftPenalty(number=1, reason=ERROR),
    NameParty(party=SUSPECT),
    WithdrawParty(party=IDS[0], role=PartyRole.ORGANISER, reason=ERROR),
    WriteNarrative(text="Words."),
    CancelOffence(reason=ERROR),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_what_is_not_on_record_cannot_be_changed(command: Command) -> None:
    given().when(command).refused("no such offence")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_a_cancelled_or_closed_offence_never_changes(command: Command) -> None:
    cancelled = given(RECORDED, CANCELLED).when(command)
    if isinstance(command, CancelOffence):
        cancelled.nothing()
    else:
        cancelled.refused("has been cancelled")
    given(RECORDED, *CLOSED).when(command).refused("has been closed")


def test_what_is_closed_is_closed_already() -> None:
    given(RECORDED, *CLOSED).when(ChangeStatus(status=OffenceStatus.CLOSED)).nothing()


def test_a_correction_tells_only_what_changes() -> None:
    correct = CorrectOffence(office="NAIROBI", provision=None, occurred_on=DAY, reason=ERROR, remark="Misread.")
    given(RECORDED).when(correct).then(
        OffenceCorrected(office="NAIROBI", provision=None, reason=ERROR), RemarkMade(text="Misread.")
    ).and_again()
    given(RECORDED).when(CorrectOffence(office="MOMBASA", reason=ERROR, remark="Words.")).nothing()
    given(RECORDED).when(CorrectOffence(occurred_on=date(2027, 1, 1), reason=ERROR)).refused("in the future")


def test_seizures_are_attached_and_detached() -> None:
    given(RECORDED).when(AttachSeizure(seizure=IDS[1])).then(SeizureAttached(seizure=IDS[1])).and_again()
    detach = DetachSeizure(seizure=IDS[1], reason=ERROR)
    given(RECORDED, SeizureAttached(seizure=IDS[1])).when(detach).then(
        SeizureDetached(seizure=IDS[1], reason=ERROR)
    ).and_again()
    given(RECORDED).when(detach).refused("not attached")


@pytest.mark.parametrize("now", OffenceStatus)
@pytest.mark.parametrize("then", OffenceStatus)
def test_the_proceedings_move_along_the_table_and_nowhere_else(now: OffenceStatus, then: OffenceStatus) -> None:
    asked = given(RECORDED, StatusChanged(status=now)).when(ChangeStatus(status=then, on=DAY))
    if then is now:
        asked.nothing()
    elif then in MOVES[now]:
        asked.then(StatusChanged(status=then, on=DAY)).and_again()
    else:
        asked.refused("has been closed" if now is OffenceStatus.CLOSED else f"cannot become {then}")


def test_the_whole_way_from_detected_to_closed() -> None:
    for way in ([OffenceStatus.PROSECUTED, OffenceStatus.DECIDED], [OffenceStatus.SETTLED, OffenceStatus.ACQUITTED]):
        events: list[AnyEvent] = [RECORDED]
        for status in (OffenceStatus.ESTABLISHED, *way, OffenceStatus.CLOSED):
            given(*events).when(ChangeStatus(status=status)).then(StatusChanged(status=status))
            events.append(StatusChanged(status=status))
        assert folded(events).is_closed


def test_a_status_entered_by_mistake_goes_back_one_step_and_no_further() -> None:
    history = [RECORDED, *become(OffenceStatus.ESTABLISHED, OffenceStatus.PROSECUTED)]
    back = ChangeStatus(status=OffenceStatus.ESTABLISHED, reason=ERROR, remark="Wrong file.")
    taken_back = StatusChanged(status=OffenceStatus.ESTABLISHED, reason=ERROR)
    given(*history).when(back).then(taken_back, RemarkMade(text="Wrong file.")).and_again()
    given(*history).when(ChangeStatus(status=OffenceStatus.DETECTED, reason=ERROR)).refused("cannot become detected")
    given(*history).when(ChangeStatus(status=OffenceStatus.ESTABLISHED)).refused("cannot become established")
    given(*history, taken_back).when(ChangeStatus(status=OffenceStatus.DETECTED, reason=ERROR)).refused("cannot")


def test_a_status_is_reached_in_the_past() -> None:
    reach = ChangeStatus(status=OffenceStatus.ESTABLISHED, on=date(2026, 3, 2))
    given(RECORDED).when(reach).refused("in the future")


def test_two_equal_penalties_are_two() -> None:
    first, second = PenaltyImposed(number=1, penalty=FINE), PenaltyImposed(number=2, penalty=FINE)
    given(RECORDED).when(ImposePenalty(penalty=FINE)).then(first)
    given(RECORDED, first).when(ImposePenalty(penalty=FINE)).then(second)


def test_a_penalty_needs_a_sound_amount_and_a_day_in_the_past() -> None:
    owed = msgspec.structs.replace(FINE, amount=Money(amount=Decimal(-5), written="-5", currency="KES"))
    given(RECORDED).when(ImposePenalty(penalty=owed)).refused("penalty is negative")
    later = msgspec.structs.replace(FINE, imposed_on=date(2027, 1, 1))
    given(RECORDED).when(ImposePenalty(penalty=later)).refused("in the future")


def test_nothing_is_imposed_after_an_acquittal() -> None:
    acquitted = become(OffenceStatus.ESTABLISHED, OffenceStatus.PROSECUTED, OffenceStatus.ACQUITTED)
    given(RECORDED, *acquitted).when(ImposePenalty(penalty=FINE)).refused("acquittal")


def test_a_lifted_penalty_stays_to_be_seen() -> None:
    imposed = PenaltyImposed(number=1, penalty=FINE)
    lift, lifted = LiftPenalty(number=1, reason=ERROR), PenaltyLifted(number=1, reason=ERROR)
    given(RECORDED, imposed).when(lift).then(lifted).and_again()
    given(RECORDED).when(lift).refused("no penalty 1")
    line = folded([RECORDED, imposed, lifted]).penalty(1)
    assert (line.penalty, line.lifted) == (FINE, ERROR)
    given(RECORDED, imposed, lifted).when(ImposePenalty(penalty=FINE)).then(PenaltyImposed(number=2, penalty=FINE))


def test_parties_are_named_and_withdrawn() -> None:
    given(RECORDED).when(NameParty(party=SUSPECT)).then(SUSPECT_NAMED).and_again()
    withdraw = WithdrawParty(party=IDS[0], role=PartyRole.ORGANISER, reason=ERROR)
    given(RECORDED, SUSPECT_NAMED).when(withdraw).then(
        PartyWithdrawn(party=IDS[0], role=PartyRole.ORGANISER, reason=ERROR)
    ).and_again()
    given(RECORDED).when(withdraw).refused("Nobody with that record id")
    assert SUSPECT_NAMED.subject_of(IDS[2]) == IDS[0]


def test_the_account_is_written_and_taken_back() -> None:
    given(RECORDED).when(WriteNarrative(text="Words.")).then(NarrativeWritten(text="Words.")).and_again()
    given(RECORDED, NarrativeWritten(text="Words.")).when(WriteNarrative(text=None)).then(NarrativeWritten(text=None))


def test_an_offence_is_cancelled_and_says_why() -> None:
    cancel = CancelOffence(reason=ERROR, remark="Another file.")
    given(RECORDED).when(cancel).then(CANCELLED, RemarkMade(text="Another file.")).and_again()
