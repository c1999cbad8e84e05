"""What may be asked of a seizure; only the five facts of a first recording are mandatory."""

from datetime import date
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from domain.codes import (
    CodeValue,
    Concealment,
    ConveyanceKind,
    Detection,
    Direction,
    OfficeCode,
    PartyRole,
    Reason,
    SeizureKind,
    Text,
)
from domain.event import Command
from domain.goods import Goods
from domain.party import Party
from domain.place import Place
from domain.seizure.particulars import MOST_LINES, Document, Plate, Route


class RecordSeizure(Command, frozen=True, kw_only=True, tag="record-seizure", omit_defaults=True):
    """Record a seizure: five facts (kind, office, place, day, goods) are enough; the rest can follow."""

    kind: SeizureKind = SeizureKind.SEIZURE
    office: OfficeCode
    place: Place
    occurred_on: date
    goods: Annotated[tuple[Goods, ...], Meta(min_length=1, max_length=MOST_LINES)]
    direction: Direction | None = None
    detection: Detection | None = None
    concealment: Concealment | None = None
    conveyance: ConveyanceKind | None = None
    route: Route = ()
    source: CodeValue | None = None
    narrative: Text | None = None
    parties: Annotated[tuple[Party, ...], Meta(max_length=100)] = ()
    plates: Annotated[tuple[Plate, ...], Meta(max_length=100)] = ()
    documents: Annotated[tuple[Document, ...], Meta(max_length=100)] = ()


class RestateSeizure(Command, frozen=True, kw_only=True, tag="restate-seizure"):
    """Tell a seizure as its source now has it; `true_to_places` is to how many decimal places its amounts are true.

    What the source tells is compared with what it told before, so that a correction made here in between stands until
    the source itself changes that very fact.
    """

    facts: RecordSeizure
    true_to_places: Annotated[int, Meta(ge=0, le=24)] | None = None


class CorrectSeizure(Command, frozen=True, kw_only=True, tag="correct-seizure"):
    """Correct circumstances: only the fields that are given change."""

    reason: Reason
    kind: SeizureKind | UnsetType = UNSET
    office: OfficeCode | UnsetType = UNSET
    place: Place | UnsetType = UNSET
    occurred_on: date | UnsetType = UNSET
    direction: Direction | UnsetType | None = UNSET
    detection: Detection | UnsetType | None = UNSET
    concealment: Concealment | UnsetType | None = UNSET
    conveyance: ConveyanceKind | UnsetType | None = UNSET
    route: Route | UnsetType = UNSET
    remark: Text | None = None


class AddGoods(Command, frozen=True, kw_only=True, tag="add-goods"):
    """Add a line of goods."""

    goods: Goods
    reason: Reason


class CorrectGoods(Command, frozen=True, kw_only=True, tag="correct-goods"):
    """Replace what is said of a line of goods."""

    line: int
    goods: Goods
    reason: Reason
    remark: Text | None = None


class WithdrawGoods(Command, frozen=True, kw_only=True, tag="withdraw-goods"):
    """Take a line of goods off the seizure."""

    line: int
    reason: Reason


class WriteNarrative(Command, frozen=True, kw_only=True, tag="write-narrative"):
    """Write or replace the account in words; None takes it back."""

    text: Text | None


class NameParty(Command, frozen=True, kw_only=True, tag="name-party"):
    """Say that a person or business had a part."""

    party: Party


class WithdrawParty(Command, frozen=True, kw_only=True, tag="withdraw-party"):
    """Take back that a person or business had a part."""

    party: UUID
    role: PartyRole
    reason: Reason


class NotePlates(Command, frozen=True, kw_only=True, tag="note-plates"):
    """Note registration numbers in place of those noted before."""

    plates: Annotated[tuple[Plate, ...], Meta(max_length=100)]


class NoteDocuments(Command, frozen=True, kw_only=True, tag="note-documents"):
    """Note documents in place of those noted before."""

    documents: Annotated[tuple[Document, ...], Meta(max_length=100)]


class SubmitSeizure(Command, frozen=True, kw_only=True, tag="submit-seizure"):
    """Put the seizure forward for validation."""


class ReturnSeizure(Command, frozen=True, kw_only=True, tag="return-seizure"):
    """Hand a submitted seizure back."""

    reason: Reason


class ValidateSeizure(Command, frozen=True, kw_only=True, tag="validate-seizure"):
    """Declare a submitted seizure correct."""


class CancelSeizure(Command, frozen=True, kw_only=True, tag="cancel-seizure"):
    """Declare the seizure void."""

    reason: Reason
    remark: Text | None = None


SeizureCommand = (
    RecordSeizure
    | RestateSeizure
    | CorrectSeizure
    | AddGoods
    | CorrectGoods
    | WithdrawGoods
    | WriteNarrative
    | NameParty
    | WithdrawParty
    | NotePlates
    | NoteDocuments
    | SubmitSeizure
    | ReturnSeizure
    | ValidateSeizure
    | CancelSeizure
)
