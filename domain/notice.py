"""A notice: what the CEN is told of a seizure, and the record that a CEN node keeps of it.

A notice is built field by field out of open events into a closed type of codes, bounded whole numbers and an opaque
export id: a personal event is no argument of any function here, and nothing in the type could hold a word, a fraction
or a map. Places are a country and, where that singles nobody out, a subdivision; days are stated only there too.
"""

from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Annotated, assert_never

import msgspec
from msgspec import UNSET, Meta

from domain.attribution import Occasion
from domain.codes import (
    Coded,
    Concealment,
    ConveyanceKind,
    CountryCode,
    CurrencyCode,
    Detection,
    Direction,
    Edition,
    NodeCode,
    Outcome,
    Qualifier,
    Section,
    SeizureKind,
    SubdivisionCode,
    UnitCode,
)
from domain.event import Command, Erased, Event
from domain.forms import form
from domain.goods import Goods
from domain.refused import Refused
from domain.seizure import (
    CircumstancesCorrected,
    GoodsAdded,
    GoodsCorrected,
    GoodsWithdrawn,
    Place,
    SeizureCancelled,
    SeizureRecorded,
    SeizureReturned,
    SeizureSubmitted,
    SeizureValidated,
)

KIND = "notice"
MOST_LINES = 1_000
LARGEST = 2**53 - 1

OpenSeizureEvent = (
    SeizureRecorded
    | CircumstancesCorrected
    | GoodsAdded
    | GoodsCorrected
    | GoodsWithdrawn
    | SeizureSubmitted
    | SeizureReturned
    | SeizureValidated
    | SeizureCancelled
)

InternationalHs = Annotated[str, form(r"^[0-9]{2}([0-9]{2}){0,2}$(?!\n)", "2, 4 or 6 digits")]
Where = Annotated[str, form(r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$(?!\n)", "ISO 3166-1 or 3166-2")]
Amount = Annotated[int, Meta(ge=0, le=LARGEST)]
Route = Annotated[tuple[CountryCode, ...], Meta(max_length=30)]
FeedNumber = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Epoch = Annotated[int, Meta(ge=0, le=999_999)]
"""The serial of the loss since which a nation's feed was begun anew; numbers count from 1 in each."""


class Stage(StrEnum):
    """How sure the reporting administration is."""

    PROVISIONAL = "provisional"
    """Put forward, not yet validated by a second person."""
    CONFIRMED = "confirmed"
    """Validated."""


class NoticeLine(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Goods of one description: lines that say the same are added up, so neither their order nor their number is told.

    `thousandths` is the quantity in thousandths of `unit`; `worth` is the stated value in whole units of `currency`.
    """

    section: Section
    hs: InternationalHs | None = None
    hs_edition: Edition | None = None
    substance: Coded | None = None
    description: Coded | None = None
    origin: CountryCode | None = None
    unit: UnitCode | None = None
    qualifier: Qualifier | None = None
    thousandths: Amount | None = None
    currency: CurrencyCode | None = None
    worth: Amount | None = None
    outcome: Outcome | None = None


class Notice(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the CEN is told of one seizure; subdivision and day are absent where they could single somebody out."""

    stage: Stage
    kind: SeizureKind
    country: CountryCode
    subdivision: SubdivisionCode | None = None
    year: Annotated[int, Meta(ge=1900, le=2200)]
    month: Annotated[int, Meta(ge=1, le=12)]
    day: Annotated[int, Meta(ge=1, le=31)] | None = None
    direction: Direction | None = None
    detection: Detection | None = None
    concealment: Concealment | None = None
    conveyance: ConveyanceKind | None = None
    route: Route = ()
    lines: Annotated[tuple[NoticeLine, ...], Meta(min_length=1, max_length=MOST_LINES)]


class Facts(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A seizure as its open events tell it, and no more: the source of its notice."""

    kind: SeizureKind | None = None
    place: Place | None = None
    occurred_on: date | None = None
    direction: Direction | None = None
    detection: Detection | None = None
    concealment: Concealment | None = None
    conveyance: ConveyanceKind | None = None
    route: tuple[CountryCode, ...] = ()
    goods: dict[int, Goods] = {}
    stage: Stage | None = None
    is_cancelled: bool = False

    @property
    def cells(self) -> frozenset["Cell"]:
        """The cells of the small-cell rule in which this seizure lies: one for each section of its goods."""
        if self.place is None or self.occurred_on is None:
            return frozenset()
        where = self.place.subdivision or self.place.country
        year = self.occurred_on.year
        return frozenset(Cell(section=goods.section, place=where, year=year) for goods in self.goods.values())


class Cell(msgspec.Struct, frozen=True, gc=False, kw_only=True, array_like=True):
    """A section in a subdivision (or country) in a year: with few seizures in it, day and place single somebody out."""

    section: Section
    place: Where
    year: int


TOLD = ("kind", "place", "occurred_on", "direction", "detection", "concealment", "conveyance", "route")


def learn(facts: Facts | None, event: OpenSeizureEvent) -> Facts:
    """Fold an open event into what is known of the seizure; a new open event that is forgotten here fails to check."""
    stood = facts or Facts()
    change = msgspec.structs.replace
    match event:
        case SeizureRecorded():
            told = {field: getattr(event, field) for field in TOLD}
            return change(stood, **told, goods={line.line: line.goods for line in event.goods})
        case CircumstancesCorrected():
            return change(stood, **{f: value for f in TOLD if (value := getattr(event, f)) is not UNSET})
        case GoodsAdded(line=line, goods=goods) | GoodsCorrected(line=line, goods=goods):
            return change(stood, goods={**stood.goods, line: goods})
        case GoodsWithdrawn(line=line):
            return change(stood, goods={number: goods for number, goods in stood.goods.items() if number != line})
        case SeizureSubmitted():
            return change(stood, stage=Stage.PROVISIONAL)
        case SeizureReturned():
            return change(stood, stage=None)
        case SeizureValidated():
            return change(stood, stage=Stage.CONFIRMED)
        case SeizureCancelled():
            return change(stood, is_cancelled=True)
    assert_never(event)


def notice_of(facts: Facts, *, is_small_cell: bool) -> Notice | None:
    """The notice of a seizure, or None where there is none to make: not put forward, cancelled, or no goods told.

    `is_small_cell` leaves out the subdivision and the day.
    """
    place, day, stage = facts.place, facts.occurred_on, facts.stage
    if facts.kind is None or place is None or day is None or stage is None or facts.is_cancelled or not facts.goods:
        return None
    return Notice(
        stage=stage,
        kind=facts.kind,
        country=place.country,
        subdivision=None if is_small_cell else place.subdivision,
        year=day.year,
        month=day.month,
        day=None if is_small_cell else day.day,
        direction=facts.direction,
        detection=facts.detection,
        concealment=facts.concealment,
        conveyance=facts.conveyance,
        route=facts.route,
        lines=_added_up(_line(goods) for goods in facts.goods.values()),
    )


def _line(goods: Goods) -> NoticeLine:
    hs, quantity, value = goods.hs, goods.quantity, goods.value
    return NoticeLine(
        section=goods.section,
        hs=hs.digits[:6] if hs else None,
        hs_edition=hs.edition if hs else None,
        substance=goods.substance,
        description=goods.description,
        origin=goods.origin,
        unit=quantity.unit if quantity else None,
        qualifier=quantity.qualifier if quantity else None,
        thousandths=_whole(quantity.amount * 1000) if quantity else None,
        currency=value.currency if value else None,
        worth=_whole(value.amount) if value else None,
        outcome=goods.outcome,
    )


def _whole(amount: Decimal) -> int:
    """A whole number near enough: what is finer than a thousandth could single out a shipment."""
    return min(int(amount.to_integral_value(rounding=ROUND_HALF_EVEN)), LARGEST)


def _added_up(lines: Iterable[NoticeLine]) -> tuple[NoticeLine, ...]:
    """Lines that say the same added up, in an order that depends on what they say alone."""
    sums: dict[bytes, NoticeLine] = {}
    for line in lines:
        key = _encoder.encode(msgspec.structs.replace(line, thousandths=None, worth=None))
        other = sums.get(key)
        sums[key] = line if other is None else _sum(other, line)
    return tuple(sums[key] for key in sorted(sums))


def _sum(one: NoticeLine, other: NoticeLine) -> NoticeLine:
    return msgspec.structs.replace(
        one,
        thousandths=None if one.thousandths is None else min(one.thousandths + (other.thousandths or 0), LARGEST),
        worth=None if one.worth is None else min(one.worth + (other.worth or 0), LARGEST),
    )


_encoder = msgspec.msgpack.Encoder(order="sorted")

# ---------------------------------------------------------------- at the CEN node


class NoticeReceived(Event, frozen=True, kw_only=True, tag="notice.received", omit_defaults=True):
    """A nation gave notice of a seizure."""

    origin: NodeCode
    number: FeedNumber
    notice: Notice
    epoch: Epoch = 0


class NoticeAmended(Event, frozen=True, kw_only=True, tag="notice.amended", omit_defaults=True):
    """The nation amended its notice: this is what it says now."""

    number: FeedNumber
    notice: Notice
    epoch: Epoch = 0


class NoticeWithdrawn(Event, frozen=True, kw_only=True, tag="notice.withdrawn", omit_defaults=True):
    """The nation withdrew its notice: the seizure was declared void."""

    number: FeedNumber
    epoch: Epoch = 0


NoticeEvent = NoticeReceived | NoticeAmended | NoticeWithdrawn


class ReceiveNotice(Command, frozen=True, kw_only=True, tag="receive-notice", omit_defaults=True):
    """Take in the notice that came under this number of a nation's feed."""

    origin: NodeCode
    number: FeedNumber
    notice: Notice
    epoch: Epoch = 0


class TakeBackNotice(Command, frozen=True, kw_only=True, tag="take-back-notice", omit_defaults=True):
    """Take in that a nation withdrew its notice under this number of its feed."""

    origin: NodeCode
    number: FeedNumber
    epoch: Epoch = 0


NoticeCommand = ReceiveNotice | TakeBackNotice


class NoticeOnRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A notice as it stands at the CEN; every field may be absent."""

    origin: NodeCode | None = None
    number: int = 0
    notice: Notice | None = None
    is_withdrawn: bool = False
    epoch: int = 0


def decide(stood: NoticeOnRecord | None, command: NoticeCommand, _occasion: Occasion) -> tuple[NoticeEvent, ...]:
    """Answer a command with what happens: events, none (told before, or the same again), or Refused."""
    if stood is not None:
        if stood.origin != command.origin:
            raise Refused("This notice was given by another nation, which alone can change it.")
        if (command.epoch, command.number) <= (stood.epoch, stood.number):
            return ()
    match command, stood:
        case ReceiveNotice(origin=origin, number=number, notice=notice, epoch=epoch), None:
            return (NoticeReceived(origin=origin, number=number, notice=notice, epoch=epoch),)
        case ReceiveNotice(), NoticeOnRecord(is_withdrawn=True):
            raise Refused("This notice has been withdrawn and can no longer be changed.")
        case ReceiveNotice(notice=notice), NoticeOnRecord():
            if notice == stood.notice:
                return ()
            return (NoticeAmended(number=command.number, notice=notice, epoch=command.epoch),)
        case TakeBackNotice(), None | NoticeOnRecord(is_withdrawn=True):
            return ()
        case TakeBackNotice(), NoticeOnRecord():
            return (NoticeWithdrawn(number=command.number, epoch=command.epoch),)
    raise AssertionError("every command is answered above")


def evolve(stood: NoticeOnRecord | None, event: NoticeEvent | Erased, _occasion: Occasion) -> NoticeOnRecord:
    """Fold an event into the notice as it stood; never fails."""
    before = stood or NoticeOnRecord()
    match event:
        case NoticeReceived():
            return NoticeOnRecord(origin=event.origin, number=event.number, notice=event.notice, epoch=event.epoch)
        case NoticeAmended():
            return msgspec.structs.replace(before, number=event.number, notice=event.notice, epoch=event.epoch)
        case NoticeWithdrawn():
            return msgspec.structs.replace(before, number=event.number, is_withdrawn=True, epoch=event.epoch)
        case Erased():
            return before
    assert_never(event)
