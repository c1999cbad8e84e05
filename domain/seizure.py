"""A seizure: goods found by customs, where, when and how, and what became of them.

Open facts (codes, numbers, dates) and personal ones (narrative, parties, plates, document numbers) are told by events
of the two kinds and recorded in one transaction. A validated seizure changes only by a correction with its reason, or
is cancelled; it never disappears. Nobody validates a seizure that they recorded or changed. Telling a seizure again
(`RestateSeizure`, as an import does) records what changed in meaning and nothing else.
"""

from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Annotated, assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from domain.attribution import Occasion
from domain.codes import (
    Coded,
    CodeValue,
    Concealment,
    ConveyanceKind,
    CountryCode,
    Detection,
    Direction,
    DocumentKind,
    Line,
    OfficeCode,
    PartyRole,
    Reason,
    SeizureKind,
    SubdivisionCode,
    SubjectCategory,
    Text,
    UnLocode,
)
from domain.event import Command, Erased, Event, PersonalEvent
from domain.goods import Goods, GoodsLine, is_same_goods, pair, require_sound_goods
from domain.refused import Refused

KIND = "seizure"
MOST_LINES = 10_000

Lines = Annotated[tuple[GoodsLine, ...], Meta(min_length=1, max_length=MOST_LINES)]
Route = Annotated[tuple[CountryCode, ...], Meta(max_length=30)]


class Status(StrEnum):
    """How far a seizure has come."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    VALIDATED = "validated"
    CANCELLED = "cancelled"


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where: a country, and as close as a code can say it."""

    country: CountryCode
    locode: UnLocode | None = None
    subdivision: SubdivisionCode | None = None
    local: Coded | None = None


class Party(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person or business, by its record id, and the part it had."""

    party: UUID
    is_business: bool = False
    role: PartyRole
    category: SubjectCategory | None = None


class Plate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A registration plate, hull or vehicle number, as it was read."""

    number: Line
    country: CountryCode | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document by its kind and number, as it was read."""

    kind: DocumentKind
    number: Line
    country: CountryCode | None = None


# ---------------------------------------------------------------- what happened


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
    """A line of goods turned out to be this."""

    line: int
    goods: Goods
    reason: Reason


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

# ---------------------------------------------------------------- what is asked


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

# ---------------------------------------------------------------- as it stands


class Seizure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A seizure as it stands. Every field may be absent: a peer may have been given some of the events only."""

    kind: SeizureKind | None = None
    office: OfficeCode | None = None
    place: Place | None = None
    occurred_on: date | None = None
    direction: Direction | None = None
    detection: Detection | None = None
    concealment: Concealment | None = None
    conveyance: ConveyanceKind | None = None
    route: Route = ()
    source: CodeValue | None = None
    goods: tuple[GoodsLine, ...] = ()
    last_line: int = 0
    narrative: str | None = None
    parties: tuple[Party, ...] = ()
    plates: tuple[Plate, ...] = ()
    documents: tuple[Document, ...] = ()
    status: Status = Status.DRAFT
    authors: frozenset[str] = frozenset()
    told: "Seizure | None" = None
    """The same seizure as its source alone tells it, for a record that came from a source."""

    @property
    def is_cancelled(self) -> bool:
        """Whether it was declared void."""
        return self.status is Status.CANCELLED

    def line(self, number: int) -> Goods | None:
        """The goods under a line number, or None."""
        return next((line.goods for line in self.goods if line.line == number), None)


CIRCUMSTANCES = (
    "kind",
    "office",
    "place",
    "occurred_on",
    "direction",
    "detection",
    "concealment",
    "conveyance",
    "route",
)


def decide(seizure: Seizure | None, command: SeizureCommand, occasion: Occasion) -> tuple[SeizureEvent, ...]:
    """Answer a command with what happens: events, none (nothing to do), or Refused."""
    match command, seizure:
        case RecordSeizure(), None:
            return tuple(_recorded(command, occasion))
        case RestateSeizure(facts=facts), None:
            return tuple(_recorded(facts, occasion))
        case RecordSeizure(), Seizure():
            raise Refused("This seizure is already on record.")
        case _, None:
            raise Refused("There is no such seizure on record.")
        case CancelSeizure(), Seizure(is_cancelled=True):
            return ()
        case RestateSeizure(), Seizure(is_cancelled=True):
            return ()  # its source does not know that it is void; that decision stands
        case _, Seizure(is_cancelled=True):
            raise Refused("This seizure has been cancelled and can no longer be changed.")
        case RestateSeizure(), Seizure():
            return tuple(_restated(seizure, command, occasion))
        case ((SubmitSeizure() | ReturnSeizure() | ValidateSeizure() | CancelSeizure()), Seizure()):
            return tuple(_moved(seizure, command, occasion))
        case _, Seizure():
            return tuple(_changed(seizure, command, occasion))
    raise AssertionError("every command is answered above")


def _recorded(facts: RecordSeizure, occasion: Occasion) -> Iterator[SeizureEvent]:
    _require_past(facts.occurred_on, occasion)
    for goods in facts.goods:
        require_sound_goods(goods)
    yield SeizureRecorded(
        **{field: getattr(facts, field) for field in (*CIRCUMSTANCES, "source")},
        goods=tuple(GoodsLine(line=number, goods=goods) for number, goods in enumerate(facts.goods, start=1)),
    )
    reason = Reason.SOURCE_STATED if facts.source else None
    if facts.narrative is not None:
        yield NarrativeWritten(text=facts.narrative, reason=reason)
    for party in facts.parties:
        yield _named(party, reason)
    if facts.plates:
        yield PlatesNoted(plates=facts.plates, reason=reason)
    if facts.documents:
        yield DocumentsNoted(documents=facts.documents, reason=reason)


def _restated(seizure: Seizure, command: RestateSeizure, occasion: Occasion) -> Iterator[SeizureEvent]:
    facts, reason, told = command.facts, Reason.SOURCE_STATED, seizure.told or seizure
    yield from _corrected(told, {field: getattr(facts, field) for field in CIRCUMSTANCES}, reason, occasion)
    pairing = pair(told.goods, facts.goods, command.true_to_places)
    for line in pairing.changed:
        require_sound_goods(line.goods)
        yield GoodsCorrected(line=line.line, goods=line.goods, reason=reason)
    for offset, line in enumerate(pairing.added, start=1):
        require_sound_goods(line.goods)
        yield GoodsAdded(line=seizure.last_line + offset, goods=line.goods, reason=reason)
    for number in pairing.withdrawn:
        yield GoodsWithdrawn(line=number, reason=reason)
    if facts.narrative != told.narrative:
        yield NarrativeWritten(text=facts.narrative, reason=reason)
    for party in facts.parties:
        if party not in told.parties:
            yield _named(party, reason)
    if facts.plates != told.plates:
        yield PlatesNoted(plates=facts.plates, reason=reason)
    if facts.documents != told.documents:
        yield DocumentsNoted(documents=facts.documents, reason=reason)


def _corrected(
    seizure: Seizure, told: dict[str, object], reason: Reason, occasion: Occasion
) -> Iterator[CircumstancesCorrected]:
    changes = {field: value for field, value in told.items() if value is not UNSET and value != getattr(seizure, field)}
    if isinstance(day := changes.get("occurred_on"), date):
        _require_past(day, occasion)
    if changes:
        yield msgspec.structs.replace(CircumstancesCorrected(reason=reason), **changes)


def _changed(seizure: Seizure, command: SeizureCommand, occasion: Occasion) -> Iterator[SeizureEvent]:
    match command:
        case CorrectSeizure(reason=reason, remark=remark):
            told = {field: getattr(command, field) for field in CIRCUMSTANCES}
            changes = tuple(_corrected(seizure, told, reason, occasion))
            yield from changes
            if changes and remark is not None:
                yield RemarkMade(text=remark)
        case AddGoods(goods=goods, reason=reason):
            require_sound_goods(goods)
            if len(seizure.goods) >= MOST_LINES:
                raise Refused(f"A seizure holds at most {MOST_LINES} lines of goods.")
            yield GoodsAdded(line=seizure.last_line + 1, goods=goods, reason=reason)
        case CorrectGoods(line=number, goods=goods, reason=reason, remark=remark):
            require_sound_goods(goods)
            if is_same_goods(_require_line(seizure, number), goods):
                return
            yield GoodsCorrected(line=number, goods=goods, reason=reason)
            if remark is not None:
                yield RemarkMade(text=remark)
        case WithdrawGoods(line=number, reason=reason):
            _require_line(seizure, number)
            if len(seizure.goods) == 1:
                raise Refused("A seizure needs at least one line of goods: cancel it instead.")
            yield GoodsWithdrawn(line=number, reason=reason)
        case WriteNarrative(text=text):
            if text != seizure.narrative:
                yield NarrativeWritten(text=text)
        case NameParty(party=party):
            if party not in seizure.parties:
                yield _named(party)
        case WithdrawParty(party=party_id, role=role, reason=reason):
            if not any((party.party, party.role) == (party_id, role) for party in seizure.parties):
                raise Refused("Nobody with that record id is on this seizure in that role.")
            yield PartyWithdrawn(party=party_id, role=role, reason=reason)
        case NotePlates(plates=plates):
            if plates != seizure.plates:
                yield PlatesNoted(plates=plates)
        case NoteDocuments(documents=documents):
            if documents != seizure.documents:
                yield DocumentsNoted(documents=documents)


def _moved(seizure: Seizure, command: SeizureCommand, occasion: Occasion) -> Iterator[SeizureEvent]:
    match command, seizure.status:
        case SubmitSeizure(), Status.DRAFT:
            yield SeizureSubmitted()
        case SubmitSeizure(), Status.SUBMITTED:
            return
        case SubmitSeizure(), _:
            raise Refused("This seizure has been validated already.")
        case ReturnSeizure(reason=reason), Status.SUBMITTED:
            yield SeizureReturned(reason=reason)
        case ReturnSeizure(), _:
            raise Refused("Only a submitted seizure can be handed back.")
        case ValidateSeizure(), Status.SUBMITTED:
            if occasion.actor in seizure.authors:
                raise Refused("A seizure is validated by somebody other than those who recorded or changed it.")
            yield SeizureValidated()
        case ValidateSeizure(), Status.VALIDATED:
            return
        case ValidateSeizure(), _:
            raise Refused("Only a submitted seizure can be validated: submit it first.")
        case CancelSeizure(reason=reason, remark=remark), _:
            yield SeizureCancelled(reason=reason)
            if remark is not None:
                yield RemarkMade(text=remark)


def _require_past(day: date, occasion: Occasion) -> None:
    if day > occasion.today:
        raise Refused("The day of the seizure lies in the future.")
    if day.year < 1900:
        raise Refused("The day of the seizure lies before 1900.")


def _require_line(seizure: Seizure, number: int) -> Goods:
    goods = seizure.line(number)
    if goods is None:
        raise Refused(f"This seizure has no line {number}.")
    return goods


def _named(party: Party, reason: Reason | None = None) -> PartyNamed:
    return PartyNamed(
        party=party.party, is_business=party.is_business, role=party.role, category=party.category, reason=reason
    )


AUTHORING = (
    SeizureRecorded
    | CircumstancesCorrected
    | GoodsAdded
    | GoodsCorrected
    | GoodsWithdrawn
    | NarrativeWritten
    | PartyNamed
    | PartyWithdrawn
    | PlatesNoted
    | DocumentsNoted
)


def evolve(seizure: Seizure | None, event: SeizureEvent | Erased, occasion: Occasion) -> Seizure:
    """Fold an event into the seizure as it stood; never fails, since what happened, happened."""
    stood = seizure or Seizure()
    if isinstance(event, AUTHORING) and occasion.actor:
        stood = msgspec.structs.replace(stood, authors=stood.authors | {occasion.actor})
    if _is_from_source(event):
        told = stood.told or Seizure()
        stood = msgspec.structs.replace(stood, told=msgspec.structs.replace(told, **_fold(told, event)))
    return msgspec.structs.replace(stood, **_fold(stood, event))


def _is_from_source(event: SeizureEvent | Erased) -> bool:
    if isinstance(event, SeizureRecorded):
        return event.source is not None
    return getattr(event, "reason", None) is Reason.SOURCE_STATED


def _fold(stood: Seizure, event: SeizureEvent | Erased) -> dict[str, object]:
    match event:
        case SeizureRecorded():
            told: dict[str, object] = {field: getattr(event, field) for field in (*CIRCUMSTANCES, "source", "goods")}
            return told | {"last_line": max((line.line for line in event.goods), default=0)}
        case CircumstancesCorrected():
            return {f: value for f in CIRCUMSTANCES if (value := getattr(event, f)) is not UNSET}
        case GoodsAdded(line=number, goods=goods):
            added = (*(line for line in stood.goods if line.line != number), GoodsLine(line=number, goods=goods))
            return {"goods": added, "last_line": max(stood.last_line, number)}
        case GoodsCorrected(line=number, goods=goods):
            return {
                "goods": tuple(
                    GoodsLine(line=number, goods=goods) if line.line == number else line for line in stood.goods
                )
            }
        case GoodsWithdrawn(line=number):
            return {"goods": tuple(line for line in stood.goods if line.line != number)}
        case SeizureSubmitted():
            return {"status": Status.SUBMITTED}
        case SeizureReturned():
            return {"status": Status.DRAFT}
        case SeizureValidated():
            return {"status": Status.VALIDATED}
        case SeizureCancelled():
            return {"status": Status.CANCELLED}
        case NarrativeWritten(text=text):
            return {"narrative": text}
        case PartyNamed():
            party = Party(party=event.party, is_business=event.is_business, role=event.role, category=event.category)
            others = tuple(p for p in stood.parties if (p.party, p.role) != (party.party, party.role))
            return {"parties": (*others, party)}
        case PartyWithdrawn(party=party_id, role=role):
            return {"parties": tuple(p for p in stood.parties if (p.party, p.role) != (party_id, role))}
        case PlatesNoted(plates=plates):
            return {"plates": plates}
        case DocumentsNoted(documents=documents):
            return {"documents": documents}
        case RemarkMade() | Erased():
            return {}
    assert_never(event)
