"""An offence as it stands, folded from its events; the fold never fails, since what happened, happened."""

from datetime import date
from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET

from domain.attribution import Occasion
from domain.codes import CodeValue, OffenceType, OfficeCode, ProvisionCode, Reason
from domain.event import Erased
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
from domain.offence.particulars import OffenceStatus, Penalty
from domain.party import Party
from domain.place import Place


class PenaltyLine(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A penalty under its number; `lifted` says why it no longer stands."""

    number: int
    penalty: Penalty
    lifted: Reason | None = None


class Offence(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """An offence as it stands. Every field may be absent: a peer may have been given some of the events only."""

    offence_type: OffenceType | None = None
    office: OfficeCode | None = None
    occurred_on: date | None = None
    provision: ProvisionCode | None = None
    place: Place | None = None
    source: CodeValue | None = None
    seizures: tuple[UUID, ...] = ()
    status: OffenceStatus = OffenceStatus.DETECTED
    status_on: date | None = None
    status_before: OffenceStatus | None = None
    """Where a status that was entered by mistake goes back to; None once it has gone back."""
    penalties: tuple[PenaltyLine, ...] = ()
    last_number: int = 0
    narrative: str | None = None
    parties: tuple[Party, ...] = ()
    is_recorded: bool = False
    is_cancelled: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is to come."""
        return self.status is OffenceStatus.CLOSED

    def penalty(self, number: int) -> PenaltyLine | None:
        """The penalty under a number, lifted ones included, or None."""
        return next((line for line in self.penalties if line.number == number), None)


FACTS = ("offence_type", "office", "occurred_on", "provision", "place")


def evolve(offence: Offence | None, event: OffenceEvent | Erased, _occasion: Occasion) -> Offence:
    """Fold an event into the offence as it stood; never fails, since what happened, happened."""
    stood = offence or Offence()
    return msgspec.structs.replace(stood, **_fold(stood, event))


def _fold(stood: Offence, event: OffenceEvent | Erased) -> dict[str, object]:
    match event:
        case OffenceRecorded():
            return {field: getattr(event, field) for field in (*FACTS, "seizures", "source")} | {"is_recorded": True}
        case OffenceCorrected():
            return {field: value for field in FACTS if (value := getattr(event, field)) is not UNSET}
        case SeizureAttached(seizure=seizure):
            return {"seizures": (*(one for one in stood.seizures if one != seizure), seizure)}
        case SeizureDetached(seizure=seizure):
            return {"seizures": tuple(one for one in stood.seizures if one != seizure)}
        case StatusChanged():
            return _with_status(stood, event)
        case PenaltyImposed(number=number, penalty=penalty):
            others = tuple(line for line in stood.penalties if line.number != number)
            imposed = (*others, PenaltyLine(number=number, penalty=penalty))
            return {"penalties": imposed, "last_number": max(stood.last_number, number)}
        case PenaltyLifted(number=number, reason=reason):
            return {
                "penalties": tuple(
                    msgspec.structs.replace(line, lifted=reason) if line.number == number else line
                    for line in stood.penalties
                )
            }
        case OffenceCancelled():
            return {"is_cancelled": True}
        case PartyNamed():
            party = Party(party=event.party, is_business=event.is_business, role=event.role, category=event.category)
            others_named = tuple(p for p in stood.parties if (p.party, p.role) != (party.party, party.role))
            return {"parties": (*others_named, party)}
        case PartyWithdrawn(party=party_id, role=role):
            return {"parties": tuple(p for p in stood.parties if (p.party, p.role) != (party_id, role))}
        case NarrativeWritten(text=text):
            return {"narrative": text}
        case RemarkMade() | Erased():
            return {}
    assert_never(event)


def _with_status(stood: Offence, event: StatusChanged) -> dict[str, object]:
    is_taken_back = event.reason is Reason.ENTRY_ERROR and event.status is stood.status_before
    before = None if is_taken_back else stood.status
    return {"status": event.status, "status_on": event.on, "status_before": before}
