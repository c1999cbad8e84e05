"""How a legal premise answers what is asked of it: with events, with none, or with a refusal."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from domain.attribution import Occasion
from domain.codes import NodeCode
from domain.handling import PremiseReason
from domain.premise.commands import (
    EndPremise,
    PremiseCommand,
    RegisterPremise,
    ResumePremise,
    SetConditions,
    SetPeriod,
    SetScope,
    SuspendPremise,
    TitlePremise,
)
from domain.premise.events import (
    ConditionsSet,
    PeriodSet,
    PremiseEnded,
    PremiseEvent,
    PremiseRegistered,
    PremiseResumed,
    PremiseSuspended,
    PremiseTitled,
    ScopeSet,
)
from domain.premise.state import CONDITIONS, PERIOD, SCOPE, Premise, evolved
from domain.refused import Refused

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
        premise = evolved(premise, event)
    return premise
