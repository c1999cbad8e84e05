"""What happens to a seizure: open facts without a name, and what tells of a person or was typed by hand."""

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
    SubjectCategory,
    Text,
)
from domain.event import Event, PersonalEvent
from domain.goods import Goods
from domain.place import Place
from domain.seizure.particulars import Document, Lines, Plate, Route


class SeizureRecorded(Event, frozen=True, kw_only=True, tag="seizure.recorded"):
    """Goods were seized."""

    kind: SeizureKind
    office: OfficeCode
    place: Place
    occurred_on: date
    goods: Lines
    direction: Direction | None = None
    detection: Detection | None = None
    concealment: Concealment | None = None
    conveyance: ConveyanceKind | None = None
    route: Route = ()
    source: CodeValue | None = None


class CircumstancesCorrected(Event, frozen=True, kw_only=True, tag="seizure.circumstances-corrected"):
    """The circumstances of the seizure turned out to be these."""

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


class GoodsAdded(Event, frozen=True, kw_only=True, tag="seizure.goods-added"):
    """A further line of goods was found to belong to the seizure."""

    line: int
    goods: Goods
    reason: Reason


class GoodsCorrected(Event, frozen=True, kw_only=True, tag="seizure.goods-corrected"):
    """A line of goods turned out to be this; `stated` is what its source says where a correction made here stands."""

    line: int
    goods: Goods
    reason: Reason
    stated: Goods | None = None


class GoodsWithdrawn(Event, frozen=True, kw_only=True, tag="seizure.goods-withdrawn"):
    """A line of goods turned out not to belong to the seizure."""

    line: int
    reason: Reason


class SeizureSubmitted(Event, frozen=True, kw_only=True, tag="seizure.submitted"):
    """The seizure was put forward for validation."""


class SeizureReturned(Event, frozen=True, kw_only=True, tag="seizure.returned"):
    """The seizure was handed back for completion."""

    reason: Reason


class SeizureValidated(Event, frozen=True, kw_only=True, tag="seizure.validated"):
    """The seizure was found to be correct by somebody other than those who recorded it."""


class SeizureCancelled(Event, frozen=True, kw_only=True, tag="seizure.cancelled"):
    """The seizure was declared void."""

    reason: Reason


class NarrativeWritten(PersonalEvent, frozen=True, kw_only=True, tag="seizure.narrative-written"):
    """An account of the seizure was written in words; None takes the account back."""

    text: Text | None
    reason: Reason | None = None


class RemarkMade(PersonalEvent, frozen=True, kw_only=True, tag="seizure.remark-made"):
    """A remark was made on a change."""

    text: Text


class PartyNamed(PersonalEvent, frozen=True, kw_only=True, tag="seizure.party-named"):
    """A person or business was said to have had a part in the seizure."""

    subject_field = "party"

    party: UUID
    is_business: bool = False
    role: PartyRole
    category: SubjectCategory | None = None
    reason: Reason | None = None


class PartyWithdrawn(PersonalEvent, frozen=True, kw_only=True, tag="seizure.party-withdrawn"):
    """A person or business was found to have had no such part in the seizure."""

    subject_field = "party"

    party: UUID
    role: PartyRole
    reason: Reason


class PlatesNoted(PersonalEvent, frozen=True, kw_only=True, tag="seizure.plates-noted"):
    """These registration numbers were noted; they replace those noted before."""

    plates: Annotated[tuple[Plate, ...], Meta(max_length=100)]
    reason: Reason | None = None


class DocumentsNoted(PersonalEvent, frozen=True, kw_only=True, tag="seizure.documents-noted"):
    """These documents were noted; they replace those noted before."""

    documents: Annotated[tuple[Document, ...], Meta(max_length=100)]
    reason: Reason | None = None


SeizureEvent = (
    SeizureRecorded
    | CircumstancesCorrected
    | GoodsAdded
    | GoodsCorrected
    | GoodsWithdrawn
    | SeizureSubmitted
    | SeizureReturned
    | SeizureValidated
    | SeizureCancelled
    | NarrativeWritten
    | RemarkMade
    | PartyNamed
    | PartyWithdrawn
    | PlatesNoted
    | DocumentsNoted
)
