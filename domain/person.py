"""A person: everything said of one, each statement with its source, and with which other records it is one.

That a person is on record is open and opaque; all that is said is personal. Nothing said is ever overwritten: a
statement is added or taken back. The category of data subject belongs to the case (`domain.party`), not to the person.
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
    Birth,
    Contact,
    Description,
    IdentityDocument,
    Nationality,
    PersonName,
    Said,
    SexStated,
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

KIND = "person"

PersonSaid = PersonName | Birth | Nationality | SexStated | IdentityDocument | Address | Contact | Description
Statements = Annotated[tuple[Statement[PersonSaid], ...], Meta(max_length=100)]

# ---------------------------------------------------------------- what happened


class PersonRegistered(Event, frozen=True, kw_only=True, tag="person.registered"):
    """A person was put on record; who it is, is said elsewhere."""


class NameAsserted(Assertion[PersonName], frozen=True, kw_only=True, tag="person.name-asserted"):
    """The person was said to bear this name."""


class BirthAsserted(Assertion[Birth], frozen=True, kw_only=True, tag="person.birth-asserted"):
    """The person was said to have been born then, or there."""


class NationalityAsserted(Assertion[Nationality], frozen=True, kw_only=True, tag="person.nationality-asserted"):
    """The person was said to hold this nationality."""


class SexAsserted(Assertion[SexStated], frozen=True, kw_only=True, tag="person.sex-asserted"):
    """The person was said to be of this sex."""


class IdentityDocumentAsserted(
    Assertion[IdentityDocument], frozen=True, kw_only=True, tag="person.identity-document-asserted"
):
    """The person was said to hold this document of identity."""


class AddressAsserted(Assertion[Address], frozen=True, kw_only=True, tag="person.address-asserted"):
    """The person was said to live at this address."""


class ContactAsserted(Assertion[Contact], frozen=True, kw_only=True, tag="person.contact-asserted"):
    """The person was said to be reached in this way."""


class DescriptionAsserted(Assertion[Description], frozen=True, kw_only=True, tag="person.description-asserted"):
    """The person was described in words."""


class AssertionRetracted(PersonalEvent, frozen=True, kw_only=True, tag="person.assertion-retracted"):
    """Something said of the person was taken back."""

    number: Number
    reason: Reason


class PersonMerged(PersonalEvent, frozen=True, kw_only=True, tag="person.merged"):
    """Another record was found to speak of the same person."""

    subject_field = "other"

    other: UUID
    basis: Text | None = None


class PersonUnmerged(PersonalEvent, frozen=True, kw_only=True, tag="person.unmerged"):
    """The merge with another record was undone."""

    subject_field = "other"

    other: UUID
    reason: Reason


class PersonRestricted(Event, frozen=True, kw_only=True, tag="person.restricted"):
    """The person was left out of search and exchange, though it is kept (Directive (EU) 2016/680, article 16(3))."""

    grounds: RestrictionGrounds


class PersonRestrictionLifted(Event, frozen=True, kw_only=True, tag="person.restriction-lifted"):
    """The person takes part in search and exchange again."""


class PersonHeld(Event, frozen=True, kw_only=True, tag="person.hold-placed"):
    """The person was put on hold; it cannot be erased until it is released."""

    grounds: HoldGrounds


class PersonHoldReleased(Event, frozen=True, kw_only=True, tag="person.hold-released"):
    """The hold on the person ended."""


class PersonErased(Event, frozen=True, kw_only=True, tag="person.erased"):
    """The person was erased; the keys of all that was said of it were destroyed, in every record."""

    grounds: ErasureGrounds


PersonAssertion = (
    NameAsserted
    | BirthAsserted
    | NationalityAsserted
    | SexAsserted
    | IdentityDocumentAsserted
    | AddressAsserted
    | ContactAsserted
    | DescriptionAsserted
)
PersonRight = PersonRestricted | PersonRestrictionLifted | PersonHeld | PersonHoldReleased | PersonErased
PersonEvent = PersonRegistered | PersonAssertion | AssertionRetracted | PersonMerged | PersonUnmerged | PersonRight

EVENT_OF: dict[type[Said], type[Assertion[Any]]] = {
    PersonName: NameAsserted,
    Birth: BirthAsserted,
    Nationality: NationalityAsserted,
    SexStated: SexAsserted,
    IdentityDocument: IdentityDocumentAsserted,
    Address: AddressAsserted,
    Contact: ContactAsserted,
    Description: DescriptionAsserted,
}
ASSERTIONS = frozenset(wire_name(event) for event in EVENT_OF.values())

# ---------------------------------------------------------------- what is asked


class RegisterPerson(Command, frozen=True, kw_only=True, tag="register-person", omit_defaults=True):
    """Put a person on record, with what is said of it; told again, it adds what does not stand on record yet."""

    statements: Statements = ()


class AssertAboutPerson(Command, frozen=True, kw_only=True, tag="assert-about-person"):
    """Say something of the person."""

    statement: Statement[PersonSaid]


class RetractAboutPerson(Command, frozen=True, kw_only=True, tag="retract-about-person"):
    """Take back what was said under a number."""

    number: Number
    reason: Reason


class MergePerson(Command, frozen=True, kw_only=True, tag="merge-person", omit_defaults=True):
    """Say that another record speaks of the same person; this record is the one that survives."""

    other_field = "other"

    other: UUID
    basis: Text | None = None


class UnmergePerson(Command, frozen=True, kw_only=True, tag="unmerge-person"):
    """Undo a merge."""

    other: UUID
    reason: Reason


class RestrictPerson(Command, frozen=True, kw_only=True, tag="restrict-person"):
    """Leave the person out of search and exchange."""

    grounds: RestrictionGrounds


class LiftRestrictionOfPerson(Command, frozen=True, kw_only=True, tag="lift-restriction-of-person"):
    """Let the person take part in search and exchange again."""


class HoldPerson(Command, frozen=True, kw_only=True, tag="hold-person"):
    """Keep the person from being erased."""

    grounds: HoldGrounds


class ReleaseHoldOfPerson(Command, frozen=True, kw_only=True, tag="release-hold-of-person"):
    """End the hold."""


class ErasePerson(Command, frozen=True, kw_only=True, tag="erase-person"):
    """Erase the person; `ledger.erasure` destroys the keys once this is on record."""

    grounds: ErasureGrounds


PersonCommand = (
    RegisterPerson
    | AssertAboutPerson
    | RetractAboutPerson
    | MergePerson
    | UnmergePerson
    | RestrictPerson
    | LiftRestrictionOfPerson
    | HoldPerson
    | ReleaseHoldOfPerson
    | ErasePerson
)

# ---------------------------------------------------------------- as it stands


class Person(Subject, frozen=True, kw_only=True, omit_defaults=True):
    """A person as it stands. Everything may be absent: a peer may have been given some of the events only."""

    statements: tuple[Asserted[PersonSaid], ...] = ()

    @property
    def names(self) -> tuple[PersonName, ...]:
        """The names that stand, oldest first."""
        return self.said(PersonName)

    @property
    def births(self) -> tuple[Birth, ...]:
        """The births that stand, oldest first."""
        return self.said(Birth)

    @property
    def nationalities(self) -> tuple[Nationality, ...]:
        """The nationalities that stand, oldest first."""
        return self.said(Nationality)

    @property
    def documents(self) -> tuple[IdentityDocument, ...]:
        """The documents of identity that stand, oldest first."""
        return self.said(IdentityDocument)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses that stand, oldest first."""
        return self.said(Address)

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """The contacts that stand, oldest first."""
        return self.said(Contact)


def decide(person: Person | None, command: PersonCommand, occasion: Occasion) -> tuple[PersonEvent, ...]:
    """Answer a command with what happens: events, none (nothing to do), or Refused."""
    if person is not None and not isinstance(command, ErasePerson):
        require_not_erased(person)
    match command, person:
        case RegisterPerson(statements=statements), _:
            stood = person or Person()
            registered = () if stood.is_registered else (PersonRegistered(),)
            return (*registered, *_said(stood, statements, occasion))
        case _, None:
            raise Refused("There is no such person on record.")
        case AssertAboutPerson(statement=statement), Person():
            return tuple(_said(person, (statement,), occasion))
        case RetractAboutPerson(number=number, reason=reason), Person():
            if require_assertion(person, number).retracted is not None:
                return ()
            return (AssertionRetracted(number=number, reason=reason),)
        case MergePerson(other=other, basis=basis), Person():
            is_merged = any(merge.other == other for merge in person.merged)
            return () if is_merged else (PersonMerged(other=other, basis=basis),)
        case UnmergePerson(other=other, reason=reason), Person():
            if not any(merge.other == other for merge in person.merged):
                raise Refused("These two records are not merged.")
            return (PersonUnmerged(other=other, reason=reason),)
        case RestrictPerson(grounds=grounds), Person():
            return () if person.restricted == grounds else (PersonRestricted(grounds=grounds),)
        case LiftRestrictionOfPerson(), Person():
            return () if person.restricted is None else (PersonRestrictionLifted(),)
        case HoldPerson(grounds=grounds), Person():
            return () if person.held == grounds else (PersonHeld(grounds=grounds),)
        case ReleaseHoldOfPerson(), Person():
            return () if person.held is None else (PersonHoldReleased(),)
        case ErasePerson(grounds=grounds), Person():
            require_erasable(person)
            return () if person.erased is not None else (PersonErased(grounds=grounds),)
    raise AssertionError("every command is answered above")


def _said(person: Person, statements: Statements, occasion: Occasion) -> Iterator[Any]:
    return asserted(person, statements, EVENT_OF, occasion)


def evolve(person: Person | None, event: PersonEvent | Erased, _occasion: Occasion) -> Person:
    """Fold an event into the person as it stood; never fails, since what happened, happened."""
    stood = person or Person()
    return msgspec.structs.replace(stood, **_fold(stood, event))


def _fold(stood: Person, event: PersonEvent | Erased) -> dict[str, object]:
    match event:
        case PersonRegistered():
            return {"is_registered": True}
        case Assertion():
            return with_assertion(stood, event)
        case AssertionRetracted(number=number, reason=reason):
            return with_retraction(stood, number, reason)
        case PersonMerged(other=other, basis=basis):
            return with_merge(stood, Merge(other=other, basis=basis))
        case PersonUnmerged(other=other):
            return without_merge(stood, other)
        case PersonRestricted(grounds=grounds):
            return {"restricted": grounds}
        case PersonRestrictionLifted():
            return {"restricted": None}
        case PersonHeld(grounds=held):
            return {"held": held}
        case PersonHoldReleased():
            return {"held": None}
        case PersonErased(grounds=erased):
            return as_erased(erased)
        case Erased(name=name):
            return with_erased(stood, name, ASSERTIONS)
    assert_never(event)
