"""A business: everything said of one, each statement with its source, and with which other records it is one.

That a business is on record is open and opaque; all that is said is personal, its name included, since a sole trader's
name is a person's. Nothing said is ever overwritten: a statement is added or taken back.
"""

from collections.abc import Iterator
from typing import Annotated, Any, assert_never
from uuid import UUID

import msgspec
from msgspec import Meta

from domain.assertion import (
    Asserted,
    Assertion,
    Merge,
    Number,
    Statement,
    Subject,
    asserted,
    require_assertion,
    with_assertion,
    with_erased,
    with_merge,
    with_retraction,
    without_merge,
)
from domain.attribution import Occasion
from domain.codes import Reason, Text
from domain.event import Command, Erased, Event, PersonalEvent, wire_name
from domain.identity import (
    Address,
    BusinessName,
    Closure,
    Contact,
    Identifier,
    RoleHeld,
    Said,
)
from domain.refused import Refused
from domain.rights import (
    ErasureGrounds,
    HoldGrounds,
    RestrictionGrounds,
    as_erased,
    require_erasable,
    require_not_erased,
)

KIND = "business"

BusinessSaid = BusinessName | Identifier | Address | Contact | RoleHeld | Closure
Statements = Annotated[tuple[Statement[BusinessSaid], ...], Meta(max_length=100)]

# ---------------------------------------------------------------- what happened


class BusinessRegistered(Event, frozen=True, kw_only=True, tag="business.registered"):
    """A business was put on record; which it is, is said elsewhere."""


class NameAsserted(Assertion[BusinessName], frozen=True, kw_only=True, tag="business.name-asserted"):
    """The business was said to bear this name."""


class IdentifierAsserted(Assertion[Identifier], frozen=True, kw_only=True, tag="business.identifier-asserted"):
    """The business was said to be registered under this number."""


class AddressAsserted(Assertion[Address], frozen=True, kw_only=True, tag="business.address-asserted"):
    """The business was said to have a seat at this address."""


class ContactAsserted(Assertion[Contact], frozen=True, kw_only=True, tag="business.contact-asserted"):
    """The business was said to be reached in this way."""


class RoleAsserted(Assertion[RoleHeld], frozen=True, kw_only=True, tag="business.role-asserted"):
    """The business was said to do this in trade."""


class ClosureAsserted(Assertion[Closure], frozen=True, kw_only=True, tag="business.closure-asserted"):
    """The business was said to have come to its end."""


class AssertionRetracted(PersonalEvent, frozen=True, kw_only=True, tag="business.assertion-retracted"):
    """Something said of the business was taken back."""

    number: Number
    reason: Reason


class BusinessMerged(PersonalEvent, frozen=True, kw_only=True, tag="business.merged"):
    """Another record was found to speak of the same business."""

    subject_field = "other"

    other: UUID
    basis: Text | None = None


class BusinessUnmerged(PersonalEvent, frozen=True, kw_only=True, tag="business.unmerged"):
    """The merge with another record was undone."""

    subject_field = "other"

    other: UUID
    reason: Reason


class BusinessRestricted(Event, frozen=True, kw_only=True, tag="business.restricted"):
    """The business was left out of search and exchange, though it is kept (Directive (EU) 2016/680, article 16(3))."""

    grounds: RestrictionGrounds


class BusinessRestrictionLifted(Event, frozen=True, kw_only=True, tag="business.restriction-lifted"):
    """The business takes part in search and exchange again."""


class BusinessHeld(Event, frozen=True, kw_only=True, tag="business.hold-placed"):
    """The business was put on hold; it cannot be erased until it is released."""

    grounds: HoldGrounds


class BusinessHoldReleased(Event, frozen=True, kw_only=True, tag="business.hold-released"):
    """The hold on the business ended."""


class BusinessErased(Event, frozen=True, kw_only=True, tag="business.erased"):
    """The business was erased; the keys of all that was said of it were destroyed, in every record."""

    grounds: ErasureGrounds


BusinessAssertion = (
    NameAsserted | IdentifierAsserted | AddressAsserted | ContactAsserted | RoleAsserted | ClosureAsserted
)
BusinessRight = BusinessRestricted | BusinessRestrictionLifted | BusinessHeld | BusinessHoldReleased | BusinessErased
BusinessEvent = (
    BusinessRegistered | BusinessAssertion | AssertionRetracted | BusinessMerged | BusinessUnmerged | BusinessRight
)

EVENT_OF: dict[type[Said], type[Assertion[Any]]] = {
    BusinessName: NameAsserted,
    Identifier: IdentifierAsserted,
    Address: AddressAsserted,
    Contact: ContactAsserted,
    RoleHeld: RoleAsserted,
    Closure: ClosureAsserted,
}
ASSERTIONS = frozenset(wire_name(event) for event in EVENT_OF.values())

# ---------------------------------------------------------------- what is asked


class RegisterBusiness(Command, frozen=True, kw_only=True, tag="register-business", omit_defaults=True):
    """Put a business on record, with what is said of it; told again, it adds what does not stand on record yet."""

    statements: Statements = ()


class AssertAboutBusiness(Command, frozen=True, kw_only=True, tag="assert-about-business"):
    """Say something of the business."""

    statement: Statement[BusinessSaid]


class RetractAboutBusiness(Command, frozen=True, kw_only=True, tag="retract-about-business"):
    """Take back what was said under a number."""

    number: Number
    reason: Reason


class MergeBusiness(Command, frozen=True, kw_only=True, tag="merge-business", omit_defaults=True):
    """Say that another record speaks of the same business; this record is the one that survives."""

    other_field = "other"

    other: UUID
    basis: Text | None = None


class UnmergeBusiness(Command, frozen=True, kw_only=True, tag="unmerge-business"):
    """Undo a merge."""

    other: UUID
    reason: Reason


class RestrictBusiness(Command, frozen=True, kw_only=True, tag="restrict-business"):
    """Leave the business out of search and exchange."""

    grounds: RestrictionGrounds


class LiftRestrictionOfBusiness(Command, frozen=True, kw_only=True, tag="lift-restriction-of-business"):
    """Let the business take part in search and exchange again."""


class HoldBusiness(Command, frozen=True, kw_only=True, tag="hold-business"):
    """Keep the business from being erased."""

    grounds: HoldGrounds


class ReleaseHoldOfBusiness(Command, frozen=True, kw_only=True, tag="release-hold-of-business"):
    """End the hold."""


class EraseBusiness(Command, frozen=True, kw_only=True, tag="erase-business"):
    """Erase the business; `ledger.erasure` destroys the keys once this is on record."""

    grounds: ErasureGrounds


BusinessCommand = (
    RegisterBusiness
    | AssertAboutBusiness
    | RetractAboutBusiness
    | MergeBusiness
    | UnmergeBusiness
    | RestrictBusiness
    | LiftRestrictionOfBusiness
    | HoldBusiness
    | ReleaseHoldOfBusiness
    | EraseBusiness
)

# ---------------------------------------------------------------- as it stands


class Business(Subject, frozen=True, kw_only=True, omit_defaults=True):
    """A business as it stands. Everything may be absent: a peer may have been given some of the events only."""

    statements: tuple[Asserted[BusinessSaid], ...] = ()

    @property
    def names(self) -> tuple[BusinessName, ...]:
        """The names that stand, oldest first."""
        return self.said(BusinessName)

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """The registration numbers that stand, oldest first."""
        return self.said(Identifier)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses that stand, oldest first."""
        return self.said(Address)

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """The contacts that stand, oldest first."""
        return self.said(Contact)

    @property
    def roles(self) -> tuple[RoleHeld, ...]:
        """What it does in trade, as it stands, oldest first."""
        return self.said(RoleHeld)

    @property
    def closures(self) -> tuple[Closure, ...]:
        """The statements of its end that stand, oldest first."""
        return self.said(Closure)


def decide(business: Business | None, command: BusinessCommand, occasion: Occasion) -> tuple[BusinessEvent, ...]:
    """Answer a command with what happens: events, none (nothing to do), or Refused."""
    if business is not None and not isinstance(command, EraseBusiness):
        require_not_erased(business)
    match command, business:
        case RegisterBusiness(statements=statements), _:
            stood = business or Business()
            registered = () if stood.is_registered else (BusinessRegistered(),)
            return (*registered, *_said(stood, statements, occasion))
        case _, None:
            raise Refused("There is no such business on record.")
        case AssertAboutBusiness(statement=statement), Business():
            return tuple(_said(business, (statement,), occasion))
        case RetractAboutBusiness(number=number, reason=reason), Business():
            if require_assertion(business, number).retracted is not None:
                return ()
            return (AssertionRetracted(number=number, reason=reason),)
        case MergeBusiness(other=other, basis=basis), Business():
            is_merged = any(merge.other == other for merge in business.merged)
            return () if is_merged else (BusinessMerged(other=other, basis=basis),)
        case UnmergeBusiness(other=other, reason=reason), Business():
            if not any(merge.other == other for merge in business.merged):
                raise Refused("These two records are not merged.")
            return (BusinessUnmerged(other=other, reason=reason),)
        case RestrictBusiness(grounds=grounds), Business():
            return () if business.restricted == grounds else (BusinessRestricted(grounds=grounds),)
        case LiftRestrictionOfBusiness(), Business():
            return () if business.restricted is None else (BusinessRestrictionLifted(),)
        case HoldBusiness(grounds=grounds), Business():
            return () if business.held == grounds else (BusinessHeld(grounds=grounds),)
        case ReleaseHoldOfBusiness(), Business():
            return () if business.held is None else (BusinessHoldReleased(),)
        case EraseBusiness(grounds=grounds), Business():
            require_erasable(business)
            return () if business.erased is not None else (BusinessErased(grounds=grounds),)
    raise AssertionError("every command is answered above")


def _said(business: Business, statements: Statements, occasion: Occasion) -> Iterator[Any]:
    return asserted(business, statements, EVENT_OF, occasion)


def evolve(business: Business | None, event: BusinessEvent | Erased, _occasion: Occasion) -> Business:
    """Fold an event into the business as it stood; never fails, since what happened, happened."""
    stood = business or Business()
    return msgspec.structs.replace(stood, **_fold(stood, event))


def _fold(stood: Business, event: BusinessEvent | Erased) -> dict[str, object]:
    match event:
        case BusinessRegistered():
            return {"is_registered": True}
        case Assertion():
            return with_assertion(stood, event)
        case AssertionRetracted(number=number, reason=reason):
            return with_retraction(stood, number, reason)
        case BusinessMerged(other=other, basis=basis):
            return with_merge(stood, Merge(other=other, basis=basis))
        case BusinessUnmerged(other=other):
            return without_merge(stood, other)
        case BusinessRestricted(grounds=grounds):
            return {"restricted": grounds}
        case BusinessRestrictionLifted():
            return {"restricted": None}
        case BusinessHeld(grounds=held):
            return {"held": held}
        case BusinessHoldReleased():
            return {"held": None}
        case BusinessErased(grounds=erased):
            return as_erased(erased)
        case Erased(name=name):
            return with_erased(stood, name, ASSERTIONS)
    assert_never(event)
