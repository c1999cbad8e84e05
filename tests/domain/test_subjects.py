"""Rules of persons and businesses: what is said of them stands beside what was said before, and can be undone."""

from datetime import date
from typing import Any

import msgspec
import pytest

from domain import business, person
from domain.assertion import (
    Asserted,
    Grading,
    GradingScheme,
    InformationGrade,
    SourceGrade,
    Statement,
    StatementKind,
)
from domain.business import (
    AssertAboutBusiness,
    BusinessMerged,
    BusinessRegistered,
    BusinessUnmerged,
    MergeBusiness,
    RegisterBusiness,
    RetractAboutBusiness,
    UnmergeBusiness,
)
from domain.codes import DocumentKind, Reason
from domain.event import Erased, PersonalEvent, wire_name
from domain.identity import (
    Birth,
    BusinessName,
    BusinessRole,
    Identifier,
    IdentifierScheme,
    IdentityDocument,
    Nationality,
    PersonName,
    RoleHeld,
    Said,
)
from domain.person import (
    AssertAboutPerson,
    AssertionRetracted,
    BirthAsserted,
    MergePerson,
    NameAsserted,
    PersonMerged,
    PersonRegistered,
    PersonUnmerged,
    RegisterPerson,
    RetractAboutPerson,
    UnmergePerson,
)
from domain.records import KINDS
from domain.refused import Refused
from tests.domain.given import NOBODY_KNOWN, folded, given
from tests.domain.strategies import IDS

REGISTERED = PersonRegistered()
ERROR = Reason.ENTRY_ERROR


def fact(said: Said, **more: Any) -> Statement[Any]:  # noqa: ANN401  # the fields of a statement
    return Statement(said=said, **({"kind": StatementKind.FACT, "source": "passport"} | more))


ANNA = fact(PersonName(full="Anna Ωmega"))
ALIAS = fact(PersonName(full="La Jefa"), source="informant")
NAMED = NameAsserted(number=1, statement=ANNA)
A1 = Grading(scheme=GradingScheme.ADMIRALTY, source=SourceGrade.A, information=InformationGrade.ONE)


# ---------------------------------------------------------------- registering and saying


def test_a_person_is_registered_without_a_word_said() -> None:
    given().when(RegisterPerson()).then(REGISTERED).and_again()


def test_a_person_is_registered_with_what_is_said_and_told_again_adds_only_what_is_new() -> None:
    given().when(RegisterPerson(statements=(ANNA,))).then(REGISTERED, NAMED).and_again()
    given(REGISTERED, NAMED).when(RegisterPerson(statements=(ANNA, ALIAS, ALIAS))).then(
        NameAsserted(number=2, statement=ALIAS)
    ).and_again()


@pytest.mark.parametrize(
    "command",
    [
        AssertAboutPerson(statement=ANNA),
        RetractAboutPerson(number=1, reason=ERROR),
        MergePerson(other=IDS[1]),
        UnmergePerson(other=IDS[1], reason=ERROR),
    ],
    ids=lambda command: type(command).__name__,
)
def test_of_a_person_not_on_record_nothing_can_be_said(command: Any) -> None:  # noqa: ANN401  # commands of a person
    given().when(command).refused("no such person")


def test_a_later_statement_deletes_no_earlier_one() -> None:
    given(REGISTERED, NAMED).when(AssertAboutPerson(statement=ALIAS)).then(NameAsserted(number=2, statement=ALIAS))
    names = folded([REGISTERED, NAMED, NameAsserted(number=2, statement=ALIAS)]).names
    assert [name.full for name in names] == ["Anna Ωmega", "La Jefa"]


def test_the_same_said_by_another_source_or_better_graded_is_another_statement() -> None:
    for other in (
        fact(ANNA.said, source="informant"),
        fact(ANNA.said, grading=A1),
        fact(ANNA.said, source_record=IDS[2]),
    ):
        given(REGISTERED, NAMED).when(AssertAboutPerson(statement=other)).then(NameAsserted(number=2, statement=other))


def test_a_statement_needs_its_source() -> None:
    nameless = fact(ANNA.said, source=None)
    given(REGISTERED).when(AssertAboutPerson(statement=nameless)).refused("needs its source")
    seized_with = fact(ANNA.said, source=None, source_record=IDS[2])
    given(REGISTERED).when(AssertAboutPerson(statement=seized_with)).then(NameAsserted(number=1, statement=seized_with))


def test_an_assessment_needs_a_basis_and_keeps_its_author() -> None:
    judged = fact(Birth(year=1980), kind=StatementKind.ASSESSMENT)
    given(REGISTERED).when(AssertAboutPerson(statement=judged)).refused("needs its basis")
    based = msgspec.structs.replace(judged, basis="Looks the age.")
    given(REGISTERED).when(AssertAboutPerson(statement=based)).then(
        BirthAsserted(number=1, statement=based, author="officer1")
    ).and_again()
    given(REGISTERED).when(AssertAboutPerson(statement=based), by=NOBODY_KNOWN).refused("an author")


@pytest.mark.parametrize(
    ("scheme", "source", "information", "is_known"),
    [
        ("admiralty", "A", "6", True),
        ("admiralty", "X", "1", False),
        ("4x4", "X", "4", True),
        ("4x4", "D", "1", False),
        ("4x4", "A", "5", False),
    ],
)
def test_a_grade_belongs_to_its_scheme(scheme: str, source: str, information: str, *, is_known: bool) -> None:
    grading = Grading(
        scheme=GradingScheme(scheme), source=SourceGrade(source), information=InformationGrade(information)
    )
    asked = given(REGISTERED).when(AssertAboutPerson(statement=fact(ANNA.said, grading=grading)))
    if is_known:
        asked.then(NameAsserted(number=1, statement=fact(ANNA.said, grading=grading)))
    else:
        asked.refused(f"does not know the grade {source}{information}")


@pytest.mark.parametrize(
    ("birth", "words"),
    [
        (Birth(), "Nothing is said about the birth"),
        (Birth(on=date(2026, 3, 2)), "in the future"),
        (Birth(year=2027), "in the future"),
        (Birth(on=date(1980, 1, 1), year=1981), "contradict each other"),
    ],
)
def test_a_birth_says_something_and_lies_in_the_past(birth: Birth, words: str) -> None:
    given(REGISTERED).when(AssertAboutPerson(statement=fact(birth))).refused(words)


def test_a_statement_is_valid_forwards() -> None:
    backwards = fact(ANNA.said, valid_from=date(2020, 1, 2), valid_until=date(2020, 1, 1))
    given(REGISTERED).when(AssertAboutPerson(statement=backwards)).refused("end before it begins")


def test_of_a_person_so_much_can_be_said_and_no_more() -> None:
    full = NameAsserted(number=1_000, statement=ANNA)
    given(REGISTERED, full).when(AssertAboutPerson(statement=ALIAS)).refused("at most 1000 assertions")


# ---------------------------------------------------------------- taking back


def test_what_was_said_is_taken_back_and_stays_to_be_seen() -> None:
    retracted = AssertionRetracted(number=1, reason=ERROR)
    given(REGISTERED, NAMED).when(RetractAboutPerson(number=1, reason=ERROR)).then(retracted).and_again()
    given(REGISTERED, NAMED, retracted).when(RetractAboutPerson(number=1, reason=ERROR)).nothing()
    state = folded([REGISTERED, NAMED, retracted])
    assert state.names == ()
    assert state.statement(1) == Asserted(number=1, statement=ANNA, retracted=ERROR)


def test_what_was_taken_back_may_be_said_again_under_a_new_number() -> None:
    given(REGISTERED, NAMED, AssertionRetracted(number=1, reason=ERROR)).when(AssertAboutPerson(statement=ANNA)).then(
        NameAsserted(number=2, statement=ANNA)
    )


def test_nothing_is_taken_back_that_was_not_said() -> None:
    given(REGISTERED).when(RetractAboutPerson(number=3, reason=ERROR)).refused("no assertion 3")


def test_the_number_of_an_erased_statement_stays_taken() -> None:
    state = given(REGISTERED).state
    story = given()
    story.state = KINDS["person"].evolve(state, Erased(name="person.name-asserted"), NOBODY_KNOWN)
    story.when(AssertAboutPerson(statement=ALIAS)).then(NameAsserted(number=2, statement=ALIAS))


# ---------------------------------------------------------------- merging


def test_a_merge_is_undone_exactly() -> None:
    merged, unmerged = PersonMerged(other=IDS[1], basis="Same print."), PersonUnmerged(other=IDS[1], reason=ERROR)
    given(REGISTERED, NAMED).when(MergePerson(other=IDS[1], basis="Same print.")).then(merged).and_again()
    given(REGISTERED, NAMED, merged).when(UnmergePerson(other=IDS[1], reason=ERROR)).then(unmerged).and_again()
    assert folded([REGISTERED, NAMED, merged, unmerged]) == folded([REGISTERED, NAMED])
    third = PersonMerged(other=IDS[2])
    assert folded([REGISTERED, merged, third, unmerged]) == folded([REGISTERED, third])


@pytest.mark.parametrize("merge", [MergePerson, MergeBusiness])
def test_a_record_is_not_merged_with_itself(merge: type[MergePerson | MergeBusiness]) -> None:
    merge(other=IDS[1]).require_another(IDS[0])
    with pytest.raises(Refused, match="with itself"):
        merge(other=IDS[0]).require_another(IDS[0])


def test_what_is_not_merged_cannot_be_undone() -> None:
    given(REGISTERED).when(UnmergePerson(other=IDS[1], reason=ERROR)).refused("are not merged")


def test_a_merge_belongs_to_the_other_and_dies_with_either() -> None:
    assert PersonMerged(other=IDS[1]).subject_of(IDS[0]) == IDS[1]
    assert NAMED.subject_of(IDS[0]) == IDS[0]


# ---------------------------------------------------------------- both kinds


@pytest.mark.parametrize("module", [person, business], ids=["person", "business"])
def test_whatever_can_be_said_has_its_event_and_all_of_them_are_personal(module: Any) -> None:  # noqa: ANN401  # modules
    assert all(issubclass(event, PersonalEvent) for event in module.EVENT_OF.values())
    assert len(set(map(wire_name, module.EVENT_OF.values()))) == len(module.EVENT_OF)
    personal = [event for event in KINDS[module.KIND].events if issubclass(event, PersonalEvent)]
    told_openly = {"registered", "restricted", "restriction-lifted", "hold-placed", "hold-released", "erased"}
    open_events = {wire_name(event).partition(".")[2] for event in KINDS[module.KIND].events} - {
        wire_name(event).partition(".")[2] for event in personal
    }
    assert open_events == told_openly  # that there is such a record and what became of it, and nothing else


def test_every_kind_of_statement_is_recorded_as_what_it_is() -> None:
    said = (
        PersonName(full="Anna"),
        Birth(year=1980),
        Nationality(country="XX"),
        IdentityDocument(kind=DocumentKind.PASSPORT, number="L898902C3", country="KE"),
    )
    state = folded(given().when(RegisterPerson(statements=tuple(map(fact, said)))).decided())
    assert (*state.names, *state.births, *state.nationalities, *state.documents) == said


def test_a_business_is_told_by_statements_too() -> None:
    name, number = fact(BusinessName(name="Ωmega Ltd")), fact(Identifier(scheme=IdentifierScheme.TIN, number="P05"))
    role = fact(RoleHeld(role=BusinessRole.BROKER))
    told = RegisterBusiness(statements=(name, number))
    recorded = (
        given()
        .when(told)
        .then(
            BusinessRegistered(),
            business.NameAsserted(number=1, statement=name),
            business.IdentifierAsserted(number=2, statement=number),
        )
    )
    recorded.and_again()
    known = recorded.decided()
    given(*known).when(AssertAboutBusiness(statement=role)).then(business.RoleAsserted(number=3, statement=role))
    retracted = business.AssertionRetracted(number=1, reason=ERROR)
    given(*known).when(RetractAboutBusiness(number=1, reason=ERROR)).then(retracted).and_again()
    given(*known).when(RetractAboutBusiness(number=9, reason=ERROR)).refused("no assertion 9")
    assert folded(known).identifiers == (number.said,)


def test_businesses_are_merged_and_unmerged() -> None:
    registered, merged = BusinessRegistered(), BusinessMerged(other=IDS[1])
    given(registered).when(MergeBusiness(other=IDS[1])).then(merged).and_again()
    unmerged = BusinessUnmerged(other=IDS[1], reason=ERROR)
    given(registered, merged).when(UnmergeBusiness(other=IDS[1], reason=ERROR)).then(unmerged).and_again()
    given(registered).when(UnmergeBusiness(other=IDS[1], reason=ERROR)).refused("are not merged")
    given().when(MergeBusiness(other=IDS[1])).refused("no such business")
    assert folded([registered, merged, unmerged]) == folded([registered])
