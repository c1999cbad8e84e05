"""Assertions: what is said of a person or business, by which source, how well graded, as a fact or an assessment.

A later assertion does not delete an earlier one; taking one back says so and leaves it visible. An assessment names its
author (who acts) and its basis (Directive (EU) 2016/680, article 7). A grading keeps the scheme in which it was given.
Two records of one subject are merged by an event in the surviving record that refers to the other and copies nothing,
so that it can be undone exactly and each side stays erasable by itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from domain.attribution import Occasion, UserId
from domain.codes import CodeValue, Reason, Text
from domain.event import PersonalEvent
from domain.identity import Birth, Said
from domain.refused import Refused

SaidT = TypeVar("SaidT", bound=Said)
SaidT_co = TypeVar("SaidT_co", bound=Said, covariant=True)
"""A statement of a name is also a statement of a name or a birth: frozen values may be read as wider ones."""

MOST_STATEMENTS = 1_000
Number = Annotated[int, Meta(ge=1, description="assertion number, counted from 1 within the record")]


class StatementKind(StrEnum):
    """Whether something is known or is somebody's judgement."""

    FACT = "fact"
    ASSESSMENT = "assessment"


class GradingScheme(StrEnum):
    """The scheme in which a source and its information were graded."""

    ADMIRALTY = "admiralty"
    FOUR_BY_FOUR = "4x4"


class SourceGrade(StrEnum):
    """How reliable the source is."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"
    X = "X"


class InformationGrade(StrEnum):
    """How credible the information is."""

    ONE = "1"
    TWO = "2"
    THREE = "3"
    FOUR = "4"
    FIVE = "5"
    SIX = "6"


GRADES: dict[GradingScheme, tuple[str, str]] = {
    GradingScheme.ADMIRALTY: ("ABCDEF", "123456"),
    GradingScheme.FOUR_BY_FOUR: ("ABCX", "1234"),
}
"""The grades that each scheme knows, of sources and of information."""


class Grading(msgspec.Struct, frozen=True, kw_only=True):
    """How a source and its information were graded, in the scheme of whoever graded them."""

    scheme: GradingScheme
    source: SourceGrade
    information: InformationGrade


class Statement(msgspec.Struct, Generic[SaidT_co], frozen=True, kw_only=True, omit_defaults=True):
    """What is said, by which source (a code, or the record in which it was found), and how well."""

    said: SaidT_co
    kind: StatementKind
    source: CodeValue | None = None
    source_record: UUID | None = None
    grading: Grading | None = None
    basis: Text | None = None
    valid_from: date | None = None
    valid_until: date | None = None


class Assertion(PersonalEvent, Generic[SaidT_co], frozen=True, kw_only=True):
    """Something was said of a person or business; `author` is who judged, for an assessment."""

    number: Number
    statement: Statement[SaidT_co]
    author: UserId | None = None


class Asserted(msgspec.Struct, Generic[SaidT_co], frozen=True, kw_only=True, omit_defaults=True):
    """An assertion on record; `retracted` says why it was taken back."""

    number: int
    statement: Statement[SaidT_co]
    author: UserId | None = None
    retracted: Reason | None = None


class Merge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That another record speaks of the same subject."""

    other: UUID
    basis: str | None = None


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person or business as it stands: all that was said of it, and with which records it is one.

    `restricted`, `held` and `erased` are the grounds (`domain.rights`), absent where it is not.
    """

    is_registered: bool = False
    statements: tuple[Asserted[Any], ...] = ()
    last_number: int = 0
    merged: tuple[Merge, ...] = ()
    restricted: str | None = None
    held: str | None = None
    erased: str | None = None

    def statement(self, number: int) -> Asserted[Any] | None:
        """The assertion under a number, retracted ones included, or None."""
        return next((asserted for asserted in self.statements if asserted.number == number), None)

    def said(self, kind: type[SaidT]) -> tuple[SaidT, ...]:
        """What was said of this kind and not taken back, oldest first."""
        return tuple(
            asserted.statement.said
            for asserted in self.statements
            if asserted.retracted is None and isinstance(asserted.statement.said, kind)
        )


# ---------------------------------------------------------------- rules


def asserted(
    subject: Subject,
    statements: Iterable[Statement[Any]],
    event_of: Mapping[type[Said], type[Assertion[Any]]],
    occasion: Occasion,
) -> Iterator[Assertion[Any]]:
    """The assertions that these statements make, one for each that does not stand on record already."""
    standing = {one.statement for one in subject.statements if one.retracted is None}
    number = subject.last_number
    for statement in statements:
        _require_sound_statement(statement, occasion)
        if statement in standing:
            continue
        if number >= MOST_STATEMENTS:
            raise Refused(f"A record holds at most {MOST_STATEMENTS} assertions.")
        number += 1
        standing.add(statement)
        author = occasion.actor if statement.kind is StatementKind.ASSESSMENT else None
        yield event_of[type(statement.said)](number=number, statement=statement, author=author)


def require_assertion(subject: Subject, number: int) -> Asserted[Any]:
    """The assertion under this number, or a refusal."""
    found = subject.statement(number)
    if found is None:
        raise Refused(f"This record has no assertion {number}.")
    return found


def _require_sound_statement(statement: Statement[Any], occasion: Occasion) -> None:
    if statement.source is None and statement.source_record is None:
        raise Refused("A statement needs its source: a source code, or the record in which it was found.")
    if statement.kind is StatementKind.ASSESSMENT and (statement.basis is None or occasion.actor is None):
        raise Refused("An assessment needs its basis, in words, and an author.")
    if statement.grading is not None:
        _require_sound_grading(statement.grading)
    if statement.valid_from and statement.valid_until and statement.valid_until < statement.valid_from:
        raise Refused("The statement would end before it begins to be valid.")
    if isinstance(statement.said, Birth):
        _require_sound_birth(statement.said, occasion)


def _require_sound_grading(grading: Grading) -> None:
    sources, information = GRADES[grading.scheme]
    if grading.source not in sources or grading.information not in information:
        raise Refused(f"The scheme {grading.scheme} does not know the grade {grading.source}{grading.information}.")


def _require_sound_birth(birth: Birth, occasion: Occasion) -> None:
    if birth.on is None and birth.year is None and birth.country is None and birth.place is None:
        raise Refused("Nothing is said about the birth: give a day, a year, a country or a place.")
    year = birth.on.year if birth.on else birth.year
    if (birth.on is not None and birth.on > occasion.today) or (year is not None and year > occasion.today.year):
        raise Refused("The birth lies in the future.")
    if birth.on is not None and birth.year is not None and birth.on.year != birth.year:
        raise Refused("The day and the year of birth contradict each other: make two statements of them.")


# ---------------------------------------------------------------- folding


def with_assertion(subject: Subject, event: Assertion[Any]) -> dict[str, object]:
    """What changes in a subject when something is said of it."""
    others = tuple(one for one in subject.statements if one.number != event.number)
    told = Asserted(number=event.number, statement=event.statement, author=event.author)
    return {"statements": (*others, told), "last_number": max(subject.last_number, event.number)}


def with_retraction(subject: Subject, number: int, reason: Reason) -> dict[str, object]:
    """What changes in a subject when an assertion is taken back."""
    return {
        "statements": tuple(
            msgspec.structs.replace(one, retracted=reason) if one.number == number else one
            for one in subject.statements
        )
    }


def with_erased(subject: Subject, name: str, assertions: frozenset[str]) -> dict[str, object]:
    """What changes where an assertion can no longer be read: its number stays taken."""
    return {"last_number": subject.last_number + 1} if name in assertions else {}


def with_merge(subject: Subject, merge: Merge) -> dict[str, object]:
    """What changes in a subject when another record is found to speak of it."""
    return {"merged": (*(one for one in subject.merged if one.other != merge.other), merge)}


def without_merge(subject: Subject, other: UUID) -> dict[str, object]:
    """What changes in a subject when a merge is undone: it stands as if it had never been made."""
    return {"merged": tuple(one for one in subject.merged if one.other != other)}
