"""What happens to an offence: open facts without a name, and what tells of a person or was typed by hand."""

from datetime import date
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from domain.codes import (
    CodeValue,
    OffenceType,
    OfficeCode,
    PartyRole,
    ProvisionCode,
    Reason,
    SubjectCategory,
    Text,
)
from domain.event import Event, PersonalEvent
from domain.offence.particulars import MOST_SEIZURES, Number, OffenceStatus, Penalty
from domain.place import Place


class OffenceRecorded(Event, frozen=True, kw_only=True, tag="offence.recorded"):
    """An offence was detected."""

    offence_type: OffenceType
    office: OfficeCode
    occurred_on: date
    provision: ProvisionCode | None = None
    place: Place | None = None
    seizures: Annotated[tuple[UUID, ...], Meta(max_length=MOST_SEIZURES)] = ()
    source: CodeValue | None = None


class OffenceCorrected(Event, frozen=True, kw_only=True, tag="offence.corrected"):
    """The offence turned out to be this."""

    reason: Reason
    offence_type: OffenceType | UnsetType = UNSET
    office: OfficeCode | UnsetType = UNSET
    occurred_on: date | UnsetType = UNSET
    provision: ProvisionCode | UnsetType | None = UNSET
    place: Place | UnsetType | None = UNSET


class SeizureAttached(Event, frozen=True, kw_only=True, tag="offence.seizure-attached"):
    """A seizure was found to belong to the offence."""

    seizure: UUID


class SeizureDetached(Event, frozen=True, kw_only=True, tag="offence.seizure-detached"):
    """A seizure turned out not to belong to the offence."""

    seizure: UUID
    reason: Reason


class StatusChanged(Event, frozen=True, kw_only=True, tag="offence.status-changed"):
    """The proceedings came to this point."""

    status: OffenceStatus
    on: date | None = None
    reason: Reason | None = None


class PenaltyImposed(Event, frozen=True, kw_only=True, tag="offence.penalty-imposed"):
    """A penalty was imposed for the offence."""

    number: Number
    penalty: Penalty


class PenaltyLifted(Event, frozen=True, kw_only=True, tag="offence.penalty-lifted"):
    """A penalty no longer stands."""

    number: Number
    reason: Reason


class OffenceCancelled(Event, frozen=True, kw_only=True, tag="offence.cancelled"):
    """The offence was declared void."""

    reason: Reason


class PartyNamed(PersonalEvent, frozen=True, kw_only=True, tag="offence.party-named"):
    """A person or business was said to have had a part in the offence."""

    subject_field = "party"

    party: UUID
    is_business: bool = False
    role: PartyRole
    category: SubjectCategory | None = None


class PartyWithdrawn(PersonalEvent, frozen=True, kw_only=True, tag="offence.party-withdrawn"):
    """A person or business was found to have had no such part in the offence."""

    subject_field = "party"

    party: UUID
    role: PartyRole
    reason: Reason


class NarrativeWritten(PersonalEvent, frozen=True, kw_only=True, tag="offence.narrative-written"):
    """An account of the offence was written in words; None takes the account back."""

    text: Text | None


class RemarkMade(PersonalEvent, frozen=True, kw_only=True, tag="offence.remark-made"):
    """A remark was made on a change."""

    text: Text


OffenceEvent = (
    OffenceRecorded
    | OffenceCorrected
    | SeizureAttached
    | SeizureDetached
    | StatusChanged
    | PenaltyImposed
    | PenaltyLifted
    | OffenceCancelled
    | PartyNamed
    | PartyWithdrawn
    | NarrativeWritten
    | RemarkMade
)
