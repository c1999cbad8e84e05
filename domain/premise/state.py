"""A legal premise as it stands, and what it covers: what it does not clearly allow, it does not cover."""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import assert_never

import msgspec

from domain.attribution import Occasion, Purpose
from domain.codes import InstrumentCode, NodeCode, OffenceType, Section
from domain.event import Erased
from domain.handling import DataCategory, Handling, Onward, PremiseKind, PremiseReason
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


def evolve(premise: Premise | None, event: PremiseEvent | Erased, _occasion: Occasion) -> Premise:
    """Fold an event into the premise as it stood; never fails, since what happened, happened."""
    return evolved(premise or Premise(), event)


def evolved(stood: Premise, event: PremiseEvent | Erased) -> Premise:
    """Fold an event, whoever made it."""
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
