"""A legal premise: the instrument on which data may go to another node, for what, of what, and under which conditions.

The law is data here: parties, who may send, purposes, offence types, commodity sections, data categories, handling,
onward rule, retention and period. What a premise does not clearly allow, it does not cover: an unknown section or
offence type is outside a premise that names some. An ended premise never changes again; a suspended one covers nothing
until it is resumed.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from enum import StrEnum
from typing import Annotated, TypeVar, assert_never

import msgspec
from msgspec import Meta

from domain.attribution import Occasion, Purpose
from domain.codes import InstrumentCode, Line, NodeCode, OffenceType, Section
from domain.event import Command, Erased, Event, PersonalEvent
from domain.handling import DataCategory, Handling, Onward, PremiseKind, PremiseReason
from domain.refused import Refused

KIND = "premise"

Nodes = Annotated[tuple[NodeCode, ...], Meta(max_length=300)]
Purposes = Annotated[tuple[Purpose, ...], Meta(max_length=50)]
OffenceTypes = Annotated[tuple[OffenceType, ...], Meta(max_length=100)]
Sections = Annotated[tuple[Section, ...], Meta(max_length=100)]
DataCategories = Annotated[tuple[DataCategory, ...], Meta(max_length=10)]
Days = Annotated[int, Meta(ge=1, le=36_525, description="days")]


class Gap(StrEnum):
    """Why a premise does not cover a transfer."""

    NOT_IN_FORCE = "not-in-force"
    SUSPENDED = "suspended"
    ENDED = "ended"
    SENDER = "sender"
    RECIPIENT = "recipient"
    PURPOSE = "purpose"
    DATA_CATEGORY = "data-category"
    SECTION = "section"
    OFFENCE_TYPE = "offence-type"
    SINGLE_CASES_ONLY = "single-cases-only"


# ---------------------------------------------------------------- what happened


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

# ---------------------------------------------------------------- what is asked


class RegisterPremise(Command, frozen=True, kw_only=True, tag="register-premise", omit_defaults=True):
    """Put a legal premise on record, with its scope, conditions and period; by default every party may send."""

    instrument: InstrumentCode
    kind: PremiseKind = PremiseKind.BINDING_INSTRUMENT
    parties: Nodes
    title: Line | None = None
    purposes: Purposes
    categories: DataCategories
    senders: Nodes = ()
    offence_types: OffenceTypes = ()
    sections: Sections = ()
    handling: Handling = Handling.H0
    onward: Onward = Onward.NONE
    retention_days: Days | None = None
    shows_attribution: bool = False
    in_force_from: date
    until: date | None = None


class TitlePremise(Command, frozen=True, kw_only=True, tag="title-premise"):
    """Give the premise a title in words; None takes it back."""

    title: Line | None


class SetScope(Command, frozen=True, kw_only=True, tag="set-premise-scope"):
    """Lay down what the premise covers, in place of what was laid down before."""

    purposes: Purposes
    categories: DataCategories
    senders: Nodes
    offence_types: OffenceTypes = ()
    sections: Sections = ()


class SetConditions(Command, frozen=True, kw_only=True, tag="set-premise-conditions"):
    """Lay down the conditions, in place of those laid down before."""

    handling: Handling
    onward: Onward
    retention_days: Days | None = None
    shows_attribution: bool = False


class SetPeriod(Command, frozen=True, kw_only=True, tag="set-premise-period"):
    """Lay down the period, in place of the one laid down before."""

    in_force_from: date
    until: date | None = None


class SuspendPremise(Command, frozen=True, kw_only=True, tag="suspend-premise"):
    """Suspend the premise."""

    reason: PremiseReason


class ResumePremise(Command, frozen=True, kw_only=True, tag="resume-premise"):
    """Lift the suspension."""


class EndPremise(Command, frozen=True, kw_only=True, tag="end-premise"):
    """End the premise for good."""

    reason: PremiseReason


PremiseCommand = (
    RegisterPremise | TitlePremise | SetScope | SetConditions | SetPeriod | SuspendPremise | ResumePremise | EndPremise
)

# ---------------------------------------------------------------- as it stands


class Premise(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A legal premise as it stands; what is not laid down is None or empty, and covers nothing."""

    instrument: InstrumentCode | None = None
    kind: PremiseKind | None = None
    parties: tuple[NodeCode, ...] = ()
    title: str | None = None
    purposes: tuple[Purpose, ...] = ()
    categories: tuple[DataCategory, ...] = ()
    senders: tuple[NodeCode, ...] = ()
    offence_types: tuple[OffenceType, ...] = ()
    sections: tuple[Section, ...] = ()
    handling: Handling | None = None
    onward: Onward | None = None
    retention_days: int | None = None
    shows_attribution: bool = False
    in_force_from: date | None = None
    until: date | None = None
    suspended: PremiseReason | None = None
    ended: PremiseReason | None = None
    version: int = 0
    """How many events it has been folded from: the version of the record in the ledger."""

    def is_in_force(self, day: date) -> bool:
        """Whether something may be sent on it on this day, as far as period, suspension and end go."""
        return self.gap_in_time(day) is None

    def gap_in_time(self, day: date) -> Gap | None:
        """Why nothing may be sent on it on this day, or None."""
        if self.ended is not None:
            return Gap.ENDED
        if self.suspended is not None:
            return Gap.SUSPENDED
        if self.in_force_from is None or self.handling is None or day < self.in_force_from:
            return Gap.NOT_IN_FORCE
        return Gap.NOT_IN_FORCE if self.until is not None and day > self.until else None

    def gap_between(self, sender: NodeCode, recipient: NodeCode) -> Gap | None:
        """Why this sender may not send to this recipient, or None."""
        if sender not in self.senders or sender not in self.parties:
            return Gap.SENDER
        return Gap.RECIPIENT if recipient not in self.parties or recipient == sender else None

    def covers_sections(self, sections: Iterable[Section]) -> bool:
        """Whether every one of these sections is within scope; of none at all only a premise for all covers it."""
        named = tuple(sections)
        return not self.sections or (bool(named) and all(section in self.sections for section in named))

    def covers_offence_types(self, offence_types: Iterable[OffenceType]) -> bool:
        """Whether every one of these types is within scope; of none at all only a premise for all covers it."""
        named = tuple(offence_types)
        return not self.offence_types or (bool(named) and all(kind in self.offence_types for kind in named))

    def gap(  # noqa: PLR0913  # a transfer is asked about from eight sides, each by its name
        self,
        *,
        sender: NodeCode,
        recipient: NodeCode,
        purpose: Purpose,
        category: DataCategory,
        sections: Iterable[Section],
        offence_types: Iterable[OffenceType],
        day: date,
        is_single_case: bool = False,
    ) -> Gap | None:
        """The first reason why the premise does not cover such a transfer on this day, or None where it does.

        `sections` and `offence_types` are those of the record in question and of what it is tied to; each of them must
        be within scope. `is_single_case` says that a person has authorised this very disclosure, which a derogation
        asks for (Directive (EU) 2016/680, article 38).
        """
        if (gap := self.gap_in_time(day) or self.gap_between(sender, recipient)) is not None:
            return gap
        if self.kind is PremiseKind.DEROGATION and not is_single_case:
            return Gap.SINGLE_CASES_ONLY
        if purpose not in self.purposes:
            return Gap.PURPOSE
        if category not in self.categories:
            return Gap.DATA_CATEGORY
        if not self.covers_sections(sections):
            return Gap.SECTION
        return None if self.covers_offence_types(offence_types) else Gap.OFFENCE_TYPE

    def covers(  # noqa: PLR0913  # the same eight sides
        self,
        *,
        sender: NodeCode,
        recipient: NodeCode,
        purpose: Purpose,
        category: DataCategory,
        sections: Iterable[Section],
        offence_types: Iterable[OffenceType],
        day: date,
        is_single_case: bool = False,
    ) -> bool:
        """Whether the premise covers such a transfer on this day; `gap` tells why not."""
        gap = self.gap(
            sender=sender,
            recipient=recipient,
            purpose=purpose,
            category=category,
            sections=sections,
            offence_types=offence_types,
            day=day,
            is_single_case=is_single_case,
        )
        return gap is None


SCOPE = ("purposes", "categories", "senders", "offence_types", "sections")
CONDITIONS = ("handling", "onward", "retention_days", "shows_attribution")
PERIOD = ("in_force_from", "until")

Value = TypeVar("Value", bound=str)


def decide(premise: Premise | None, command: PremiseCommand, _occasion: Occasion) -> tuple[PremiseEvent, ...]:
    """Answer a command with what happens: events, none (nothing to do), or Refused."""
    match command, premise:
        case RegisterPremise(), None:
            return _registered(command)
        case RegisterPremise(), Premise():
            if _folded(_registered(command)) == premise:
                return ()
            raise Refused("This premise is already on record.")
        case _, None:
            raise Refused("There is no such premise on record.")
        case EndPremise(), Premise(ended=PremiseReason()):
            return ()
        case _, Premise(ended=PremiseReason()):
            raise Refused("This premise has ended and can no longer be changed.")
        case _, Premise():
            return tuple(_changed(premise, command))
    raise AssertionError("every command is answered above")


def _registered(command: RegisterPremise) -> tuple[PremiseEvent, ...]:
    parties = _unique(command.parties)
    if len(parties) < 2:
        raise Refused("A premise needs at least two parties.")
    scope = ScopeSet(
        purposes=_unique(command.purposes),
        categories=_unique(command.categories),
        senders=_unique(command.senders) or parties,
        offence_types=_unique(command.offence_types),
        sections=_unique(command.sections),
    )
    period = PeriodSet(in_force_from=command.in_force_from, until=command.until)
    _require_sound_scope(scope, parties)
    _require_sound_period(period)
    conditions = ConditionsSet(**{field: getattr(command, field) for field in CONDITIONS})
    registered = PremiseRegistered(instrument=command.instrument, kind=command.kind, parties=parties)
    titled = () if command.title is None else (PremiseTitled(title=command.title),)
    return (registered, scope, conditions, period, *titled)


def _changed(premise: Premise, command: PremiseCommand) -> Iterator[PremiseEvent]:
    match command:
        case TitlePremise(title=title):
            if title != premise.title:
                yield PremiseTitled(title=title)
        case SetScope():
            scope = ScopeSet(**{field: _unique(getattr(command, field)) for field in SCOPE})
            _require_sound_scope(scope, premise.parties)
            if _differs(premise, scope, SCOPE):
                yield scope
        case SetConditions():
            conditions = ConditionsSet(**{field: getattr(command, field) for field in CONDITIONS})
            if _differs(premise, conditions, CONDITIONS):
                yield conditions
        case SetPeriod():
            period = PeriodSet(in_force_from=command.in_force_from, until=command.until)
            _require_sound_period(period)
            if _differs(premise, period, PERIOD):
                yield period
        case SuspendPremise(reason=reason):
            if premise.suspended is None:
                yield PremiseSuspended(reason=reason)
        case ResumePremise():
            if premise.suspended is not None:
                yield PremiseResumed()
        case EndPremise(reason=reason):
            yield PremiseEnded(reason=reason)


def _unique(values: Iterable[Value]) -> tuple[Value, ...]:
    return tuple(sorted(set(values)))


def _differs(premise: Premise, told: msgspec.Struct, fields: tuple[str, ...]) -> bool:
    return any(getattr(premise, field) != getattr(told, field) for field in fields)


def _require_sound_scope(scope: ScopeSet, parties: tuple[NodeCode, ...]) -> None:
    if not scope.purposes:
        raise Refused("A premise needs at least one purpose.")
    if not scope.categories:
        raise Refused("A premise needs at least one data category: open, nominal or both.")
    if not scope.senders:
        raise Refused("A premise needs at least one party that may send.")
    for sender in scope.senders:
        if sender not in parties:
            raise Refused(f"{sender} is not a party to this premise and cannot send on it.")


def _require_sound_period(period: PeriodSet) -> None:
    if period.until is not None and period.until < period.in_force_from:
        raise Refused("The premise would end before it comes into force.")


def _folded(events: Iterable[PremiseEvent]) -> Premise:
    premise = Premise()
    for event in events:
        premise = _evolved(premise, event)
    return premise


def evolve(premise: Premise | None, event: PremiseEvent | Erased, _occasion: Occasion) -> Premise:
    """Fold an event into the premise as it stood; never fails, since what happened, happened."""
    return _evolved(premise or Premise(), event)


def _evolved(stood: Premise, event: PremiseEvent | Erased) -> Premise:
    return msgspec.structs.replace(stood, version=stood.version + 1, **_fold(event))


def _fold(event: PremiseEvent | Erased) -> dict[str, object]:
    match event:
        case PremiseRegistered():
            return {field: getattr(event, field) for field in ("instrument", "kind", "parties")}
        case PremiseTitled(title=title):
            return {"title": title}
        case ScopeSet():
            return {field: getattr(event, field) for field in SCOPE}
        case ConditionsSet():
            return {field: getattr(event, field) for field in CONDITIONS}
        case PeriodSet():
            return {field: getattr(event, field) for field in PERIOD}
        case PremiseSuspended(reason=reason):
            return {"suspended": reason}
        case PremiseResumed():
            return {"suspended": None}
        case PremiseEnded(reason=reason):
            return {"ended": reason}
        case Erased():
            return {}
    assert_never(event)
