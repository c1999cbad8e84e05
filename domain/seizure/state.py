"""A seizure as it stands, folded from its events; the fold never fails, since what happened, happened."""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import assert_never

import msgspec
from msgspec import UNSET

from domain.attribution import Occasion
from domain.codes import (
    CodeValue,
    Concealment,
    ConveyanceKind,
    Detection,
    Direction,
    OfficeCode,
    Reason,
    SeizureKind,
)
from domain.event import Erased
from domain.goods import Goods, GoodsLine
from domain.party import Party
from domain.place import Place
from domain.seizure.events import (
    CircumstancesCorrected,
    DocumentsNoted,
    GoodsAdded,
    GoodsCorrected,
    GoodsWithdrawn,
    NarrativeWritten,
    PartyNamed,
    PartyWithdrawn,
    PlatesNoted,
    RemarkMade,
    SeizureCancelled,
    SeizureEvent,
    SeizureRecorded,
    SeizureReturned,
    SeizureSubmitted,
    SeizureValidated,
)
from domain.seizure.particulars import Document, Plate, Route


class Status(StrEnum):
    """How far a seizure has come."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    VALIDATED = "validated"
    CANCELLED = "cancelled"


class Seizure(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
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
    if seizure is None and isinstance(event, SeizureRecorded):
        return _recorded(event, occasion)
    stood = seizure or Seizure()
    if isinstance(event, AUTHORING) and occasion.actor:
        stood = msgspec.structs.replace(stood, authors=stood.authors | {occasion.actor})
    if _is_from_source(event):
        # a source that first speaks about a record made here speaks about it as it stands; parties named here stay ours
        told = stood.told or msgspec.structs.replace(stood, parties=())
        stood = msgspec.structs.replace(stood, told=msgspec.structs.replace(told, **_fold(told, _as_stated(event))))
    return msgspec.structs.replace(stood, **_fold(stood, event))


def _recorded(event: SeizureRecorded, occasion: Occasion) -> Seizure:
    """How nearly every seizure begins; what it comes to is what folding into an empty one comes to, only sooner."""
    recorded = Seizure(
        kind=event.kind,
        office=event.office,
        place=event.place,
        occurred_on=event.occurred_on,
        direction=event.direction,
        detection=event.detection,
        concealment=event.concealment,
        conveyance=event.conveyance,
        route=event.route,
        source=event.source,
        goods=event.goods,
        last_line=_last_line(event.goods),
        authors=frozenset({occasion.actor}) if occasion.actor else frozenset(),
    )
    return recorded if event.source is None else msgspec.structs.replace(recorded, told=recorded)


def _last_line(goods: Iterable[GoodsLine]) -> int:
    return max([line.line for line in goods], default=0)


def _is_from_source(event: SeizureEvent | Erased) -> bool:
    if isinstance(event, SeizureRecorded):
        return event.source is not None
    return getattr(event, "reason", None) is Reason.SOURCE_STATED


def _as_stated(event: SeizureEvent | Erased) -> SeizureEvent | Erased:
    if isinstance(event, GoodsCorrected) and event.stated is not None:
        return msgspec.structs.replace(event, goods=event.stated)
    return event


def _fold(stood: Seizure, event: SeizureEvent | Erased) -> dict[str, object]:
    match event:
        case SeizureRecorded():
            told: dict[str, object] = {field: getattr(event, field) for field in (*CIRCUMSTANCES, "source", "goods")}
            return told | {"last_line": _last_line(event.goods)}
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
