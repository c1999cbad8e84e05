"""Rules of restriction, hold and erasure: a hold comes before erasure, and what was erased takes nothing more."""

from types import SimpleNamespace
from typing import Any

import pytest

from domain import business, person
from domain.assertion import Statement, StatementKind
from domain.business import (
    BusinessErased,
    BusinessHeld,
    BusinessHoldReleased,
    BusinessRegistered,
    BusinessRestricted,
    BusinessRestrictionLifted,
    EraseBusiness,
    HoldBusiness,
    LiftRestrictionOfBusiness,
    RegisterBusiness,
    ReleaseHoldOfBusiness,
    RestrictBusiness,
)
from domain.identity import PersonName
from domain.person import (
    ErasePerson,
    HoldPerson,
    LiftRestrictionOfPerson,
    NameAsserted,
    PersonErased,
    PersonHeld,
    PersonHoldReleased,
    PersonMerged,
    PersonRegistered,
    PersonRestricted,
    PersonRestrictionLifted,
    RegisterPerson,
    ReleaseHoldOfPerson,
    RestrictPerson,
)
from domain.rights import ErasureGrounds, HoldGrounds, RestrictionGrounds
from tests.domain.given import folded, given
from tests.domain.strategies import IDS

EXPIRED = ErasureGrounds.RETENTION_EXPIRED
CONTESTED = RestrictionGrounds.ACCURACY_CONTESTED
PROCEEDINGS = HoldGrounds.PROCEEDINGS
ANNA = Statement(said=PersonName(full="Anna"), kind=StatementKind.FACT, source="OFFICER")

PERSONS = SimpleNamespace(
    kind=person,
    registered=PersonRegistered(),
    restrict=RestrictPerson(grounds=CONTESTED),
    restricted=PersonRestricted(grounds=CONTESTED),
    lift=LiftRestrictionOfPerson(),
    lifted=PersonRestrictionLifted(),
    hold=HoldPerson(grounds=PROCEEDINGS),
    held=PersonHeld(grounds=PROCEEDINGS),
    release=ReleaseHoldOfPerson(),
    released=PersonHoldReleased(),
    erase=ErasePerson(grounds=EXPIRED),
    erased=PersonErased(grounds=EXPIRED),
    register=RegisterPerson(),
)
BUSINESSES = SimpleNamespace(
    kind=business,
    registered=BusinessRegistered(),
    restrict=RestrictBusiness(grounds=CONTESTED),
    restricted=BusinessRestricted(grounds=CONTESTED),
    lift=LiftRestrictionOfBusiness(),
    lifted=BusinessRestrictionLifted(),
    hold=HoldBusiness(grounds=PROCEEDINGS),
    held=BusinessHeld(grounds=PROCEEDINGS),
    release=ReleaseHoldOfBusiness(),
    released=BusinessHoldReleased(),
    erase=EraseBusiness(grounds=EXPIRED),
    erased=BusinessErased(grounds=EXPIRED),
    register=RegisterBusiness(),
)


@pytest.fixture(params=[PERSONS, BUSINESSES], ids=["person", "business"])
def of(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401  # the commands and events of one kind
    return request.param


def test_a_restriction_is_set_changed_and_lifted(of: Any) -> None:  # noqa: ANN401  # as above
    given(of.registered).when(of.restrict).then(of.restricted).and_again()
    given(of.registered).when(of.lift).nothing()
    given(of.registered, of.restricted).when(of.lift).then(of.lifted).and_again()
    assert folded([of.registered, of.restricted]).restricted == CONTESTED
    assert folded([of.registered, of.restricted, of.lifted]).restricted is None


def test_a_hold_comes_before_erasure(of: Any) -> None:  # noqa: ANN401  # as above
    given(of.registered).when(of.hold).then(of.held).and_again()
    given(of.registered, of.held).when(of.erase).refused("on hold (proceedings)")
    given(of.registered).when(of.release).nothing()
    given(of.registered, of.held).when(of.release).then(of.released).and_again()
    given(of.registered, of.held, of.released).when(of.erase).then(of.erased).and_again()


def test_what_was_erased_takes_nothing_more(of: Any) -> None:  # noqa: ANN401  # as above
    for command in (of.register, of.restrict, of.lift, of.hold, of.release):
        given(of.registered, of.erased).when(command).refused("was erased (retention-expired)")
    given(of.registered, of.erased).when(of.erase).nothing()


def test_nobody_is_erased_who_is_not_on_record(of: Any) -> None:  # noqa: ANN401  # as above
    for command in (of.restrict, of.lift, of.hold, of.release, of.erase):
        given().when(command).refused("no such")


def test_nothing_that_was_said_outlives_the_erasure() -> None:
    said = (PersonRegistered(), NameAsserted(number=1, statement=ANNA), PersonMerged(other=IDS[1]))
    before, after = folded(said), folded((*said, PERSONS.restricted, PERSONS.erased))
    assert before.names
    assert before.merged
    assert (after.statements, after.merged, after.restricted, after.last_number) == ((), (), None, 1)
    assert after.erased == EXPIRED
