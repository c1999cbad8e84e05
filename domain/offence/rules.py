"""How an offence answers what is asked of it: with events, with none, or with a refusal."""

from collections.abc import Iterator

import msgspec
from msgspec import UNSET

from domain.attribution import Occasion
from domain.codes import Reason
from domain.day import require_past
from domain.offence.commands import (
    AttachSeizure,
    CancelOffence,
    ChangeStatus,
    CorrectOffence,
    DetachSeizure,
    ImposePenalty,
    LiftPenalty,
    NameParty,
    OffenceCommand,
    RecordOffence,
    WithdrawParty,
    WriteNarrative,
)
from domain.offence.events import (
    NarrativeWritten,
    OffenceCancelled,
    OffenceCorrected,
    OffenceEvent,
    OffenceRecorded,
    PartyNamed,
    PartyWithdrawn,
    PenaltyImposed,
    PenaltyLifted,
    RemarkMade,
    SeizureAttached,
    SeizureDetached,
    StatusChanged,
)
from domain.offence.particulars import MOST_PENALTIES, MOST_SEIZURES, MOVES, OffenceStatus, Penalty
from domain.offence.state import FACTS, Offence
from domain.party import Party
from domain.quantity import require_sound
from domain.refused import Refused


def decide(offence: Offence | None, command: OffenceCommand, occasion: Occasion) -> tuple[OffenceEvent, ...]:
    """Answer a command with what happens: events, none (nothing to do), or Refused."""
    match command, offence:
        case RecordOffence(), None:
            return tuple(_recorded(command, occasion))
        case RecordOffence(), Offence():
            raise Refused("This offence is already on record.")
        case _, None:
            raise Refused("There is no such offence on record.")
        case CancelOffence(), Offence(is_cancelled=True):
            return ()
        case _, Offence(is_cancelled=True):
            raise Refused("This offence has been cancelled and can no longer be changed.")
        case ChangeStatus(status=OffenceStatus.CLOSED), Offence(is_closed=True):
            return ()
        case _, Offence(is_closed=True):
            raise Refused("This offence has been closed and can no longer be changed.")
        case ChangeStatus(), Offence():
            return tuple(_moved(offence, command, occasion))
        case _, Offence():
            return tuple(_changed(offence, command, occasion))
    raise AssertionError("every command is answered above")


def _recorded(facts: RecordOffence, occasion: Occasion) -> Iterator[OffenceEvent]:
    require_past(facts.occurred_on, "the offence", occasion)
    seizures = tuple(dict.fromkeys(facts.seizures))
    yield OffenceRecorded(**{field: getattr(facts, field) for field in (*FACTS, "source")}, seizures=seizures)
    if facts.narrative is not None:
        yield NarrativeWritten(text=facts.narrative)
    for party in {(party.party, party.role): party for party in facts.parties}.values():  # the last told in a role
        yield _named(party)


def _moved(offence: Offence, command: ChangeStatus, occasion: Occasion) -> Iterator[OffenceEvent]:
    status, reason = command.status, command.reason
    if status is offence.status:
        return
    is_taken_back = reason is Reason.ENTRY_ERROR and status is offence.status_before
    if not is_taken_back and status not in MOVES[offence.status]:
        allowed = " or ".join(MOVES[offence.status])
        raise Refused(f"An offence that is {offence.status} cannot become {status}: it may become {allowed}.")
    if command.on is not None:
        require_past(command.on, "the change of status", occasion)
    yield StatusChanged(status=status, on=command.on, reason=reason)
    if command.remark is not None:
        yield RemarkMade(text=command.remark)


def _changed(offence: Offence, command: OffenceCommand, occasion: Occasion) -> Iterator[OffenceEvent]:
    match command:
        case CorrectOffence():
            yield from _corrected(offence, command, occasion)
        case AttachSeizure(seizure=seizure):
            if seizure in offence.seizures:
                return
            if len(offence.seizures) >= MOST_SEIZURES:
                raise Refused(f"An offence is tied to at most {MOST_SEIZURES} seizures.")
            yield SeizureAttached(seizure=seizure)
        case DetachSeizure(seizure=seizure, reason=reason):
            if seizure not in offence.seizures:
                raise Refused("That seizure is not attached to this offence.")
            yield SeizureDetached(seizure=seizure, reason=reason)
        case ImposePenalty(penalty=penalty):
            _require_sound_penalty(offence, penalty, occasion)
            yield PenaltyImposed(number=offence.last_number + 1, penalty=penalty)
        case LiftPenalty(number=number, reason=reason):
            line = offence.penalty(number)
            if line is None:
                raise Refused(f"This offence has no penalty {number}.")
            if line.lifted is None:
                yield PenaltyLifted(number=number, reason=reason)
        case NameParty(party=party):
            if party not in offence.parties:
                yield _named(party)
        case WithdrawParty(party=party_id, role=role, reason=reason):
            if not any((party.party, party.role) == (party_id, role) for party in offence.parties):
                raise Refused("Nobody with that record id is on this offence in that role.")
            yield PartyWithdrawn(party=party_id, role=role, reason=reason)
        case WriteNarrative(text=text):
            if text != offence.narrative:
                yield NarrativeWritten(text=text)
        case CancelOffence(reason=reason, remark=remark):
            yield OffenceCancelled(reason=reason)
            if remark is not None:
                yield RemarkMade(text=remark)


def _corrected(offence: Offence, command: CorrectOffence, occasion: Occasion) -> Iterator[OffenceEvent]:
    told = {field: getattr(command, field) for field in FACTS}
    changes = {field: value for field, value in told.items() if value is not UNSET and value != getattr(offence, field)}
    if not changes:
        return
    if "occurred_on" in changes:
        require_past(changes["occurred_on"], "the offence", occasion)
    yield msgspec.structs.replace(OffenceCorrected(reason=command.reason), **changes)
    if command.remark is not None:
        yield RemarkMade(text=command.remark)


def _require_sound_penalty(offence: Offence, penalty: Penalty, occasion: Occasion) -> None:
    if offence.status is OffenceStatus.ACQUITTED:
        raise Refused("This offence ended in an acquittal: no penalty can be imposed for it.")
    if len(offence.penalties) >= MOST_PENALTIES:
        raise Refused(f"An offence holds at most {MOST_PENALTIES} penalties.")
    if penalty.amount is not None:
        require_sound(penalty.amount.amount, "penalty")
    if penalty.imposed_on is not None:
        require_past(penalty.imposed_on, "the penalty", occasion)


def _named(party: Party) -> PartyNamed:
    return PartyNamed(party=party.party, is_business=party.is_business, role=party.role, category=party.category)
