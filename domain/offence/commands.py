"""What may be asked of an offence; it may stand without any seizure."""

from datetime import date
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from domain.codes import CodeValue, OffenceType, OfficeCode, PartyRole, ProvisionCode, Reason, Text
from domain.event import Command
from domain.offence.particulars import MOST_SEIZURES, Number, OffenceStatus, Penalty
from domain.party import Party
from domain.place import Place


class RecordOffence(Command, frozen=True, kw_only=True, tag="record-offence", omit_defaults=True):
    """Record an offence: three facts (type, office, day) are enough; the rest can follow."""

    offence_type: OffenceType
    office: OfficeCode
    occurred_on: date
    provision: ProvisionCode | None = None
    place: Place | None = None
    seizures: Annotated[tuple[UUID, ...], Meta(max_length=MOST_SEIZURES)] = ()
    source: CodeValue | None = None
    narrative: Text | None = None
    parties: Annotated[tuple[Party, ...], Meta(max_length=100)] = ()


class CorrectOffence(Command, frozen=True, kw_only=True, tag="correct-offence"):
    """Correct what was recorded: only the fields that are given change."""

    reason: Reason
    offence_type: OffenceType | UnsetType = UNSET
    office: OfficeCode | UnsetType = UNSET
    occurred_on: date | UnsetType = UNSET
    provision: ProvisionCode | UnsetType | None = UNSET
    place: Place | UnsetType | None = UNSET
    remark: Text | None = None


class AttachSeizure(Command, frozen=True, kw_only=True, tag="attach-seizure"):
    """Say that a seizure belongs to the offence."""

    seizure: UUID


class DetachSeizure(Command, frozen=True, kw_only=True, tag="detach-seizure"):
    """Say that a seizure does not belong to the offence after all."""

    seizure: UUID
    reason: Reason


class ChangeStatus(Command, frozen=True, kw_only=True, tag="change-offence-status", omit_defaults=True):
    """Say how far the proceedings have come; with the reason `entry-error` it goes back to where it was before."""

    status: OffenceStatus
    on: date | None = None
    reason: Reason | None = None
    remark: Text | None = None


class ImposePenalty(Command, frozen=True, kw_only=True, tag="impose-penalty"):
    """Say which penalty was imposed; two equal ones are two penalties."""

    penalty: Penalty


class LiftPenalty(Command, frozen=True, kw_only=True, tag="lift-penalty"):
    """Say that a penalty no longer stands."""

    number: Number
    reason: Reason


class NameParty(Command, frozen=True, kw_only=True, tag="name-offence-party"):
    """Say that a person or business had a part."""

    party: Party


class WithdrawParty(Command, frozen=True, kw_only=True, tag="withdraw-offence-party"):
    """Take back that a person or business had a part."""

    party: UUID
    role: PartyRole
    reason: Reason


class WriteNarrative(Command, frozen=True, kw_only=True, tag="write-offence-narrative"):
    """Write or replace the account in words; None takes it back."""

    text: Text | None


class CancelOffence(Command, frozen=True, kw_only=True, tag="cancel-offence", omit_defaults=True):
    """Declare the offence void."""

    reason: Reason
    remark: Text | None = None


OffenceCommand = (
    RecordOffence
    | CorrectOffence
    | AttachSeizure
    | DetachSeizure
    | ChangeStatus
    | ImposePenalty
    | LiftPenalty
    | NameParty
    | WithdrawParty
    | WriteNarrative
    | CancelOffence
)
