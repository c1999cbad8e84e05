"""What happens to a legal premise: all of it open, save the title, which is typed by hand."""

from datetime import date
from typing import Annotated

from msgspec import Meta

from domain.attribution import Purpose
from domain.codes import InstrumentCode, Line, NodeCode, OffenceType, Section
from domain.event import Event, PersonalEvent
from domain.handling import DataCategory, Handling, Onward, PremiseKind, PremiseReason

KIND = "premise"

Nodes = Annotated[tuple[NodeCode, ...], Meta(max_length=300)]
Purposes = Annotated[tuple[Purpose, ...], Meta(max_length=50)]
OffenceTypes = Annotated[tuple[OffenceType, ...], Meta(max_length=100)]
Sections = Annotated[tuple[Section, ...], Meta(max_length=100)]
DataCategories = Annotated[tuple[DataCategory, ...], Meta(max_length=10)]
Days = Annotated[int, Meta(ge=1, le=36_525, description="days")]


class PremiseRegistered(Event, frozen=True, kw_only=True, tag="premise.registered"):
    """A legal premise between nodes was put on record."""

    instrument: InstrumentCode
    kind: PremiseKind
    parties: Nodes


class PremiseTitled(PersonalEvent, frozen=True, kw_only=True, tag="premise.titled"):
    """The premise was given a title in words; None takes the title back."""

    title: Line | None


class ScopeSet(Event, frozen=True, kw_only=True, tag="premise.scope-set"):
    """It was laid down what the premise covers; no offence types or no sections named means all of them."""

    purposes: Purposes
    categories: DataCategories
    senders: Nodes
    offence_types: OffenceTypes = ()
    sections: Sections = ()


class ConditionsSet(Event, frozen=True, kw_only=True, tag="premise.conditions-set"):
    """It was laid down under which conditions a receiver holds what is sent."""

    handling: Handling
    onward: Onward
    retention_days: Days | None = None
    shows_attribution: bool = False


class PeriodSet(Event, frozen=True, kw_only=True, tag="premise.period-set"):
    """It was laid down from which day the premise is in force, and until which (that day included)."""

    in_force_from: date
    until: date | None = None


class PremiseSuspended(Event, frozen=True, kw_only=True, tag="premise.suspended"):
    """The premise was suspended: nothing is sent on it until it is resumed."""

    reason: PremiseReason


class PremiseResumed(Event, frozen=True, kw_only=True, tag="premise.resumed"):
    """The suspension of the premise was lifted."""


class PremiseEnded(Event, frozen=True, kw_only=True, tag="premise.ended"):
    """The premise was ended for good."""

    reason: PremiseReason


PremiseEvent = (
    PremiseRegistered
    | PremiseTitled
    | ScopeSet
    | ConditionsSet
    | PeriodSet
    | PremiseSuspended
    | PremiseResumed
    | PremiseEnded
)
