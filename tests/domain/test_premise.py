"""Rules of a legal premise: what it covers, and that it covers nothing that it does not clearly allow."""

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.attribution import Purpose
from domain.codes import OffenceType, Section
from domain.event import AnyEvent, Command
from domain.handling import DataCategory, Handling, Onward, PremiseKind, PremiseReason, tighter
from domain.premise import (
    ConditionsSet,
    EndPremise,
    Gap,
    PeriodSet,
    Premise,
    PremiseEnded,
    PremiseRegistered,
    PremiseResumed,
    PremiseSuspended,
    PremiseTitled,
    RegisterPremise,
    ResumePremise,
    ScopeSet,
    SetConditions,
    SetPeriod,
    SetScope,
    SuspendPremise,
    TitlePremise,
)
from domain.records import KINDS
from tests.domain.given import folded, given
from tests.domain.strategies import of

FROM, UNTIL, DAY = date(2026, 1, 1), date(2026, 12, 31), date(2026, 6, 1)
REGISTER = RegisterPremise(
    instrument="MOU-7",
    parties=("KE", "CO", "KE"),
    title="Memorandum of 2026",
    purposes=(Purpose.INVESTIGATION,),
    categories=(DataCategory.NOMINAL, DataCategory.OPEN),
    sections=(Section.DRUGS, Section.TOBACCO),
    offence_types=(OffenceType.SMUGGLING,),
    handling=Handling.H2,
    onward=Onward.WITH_CONSENT,
    retention_days=365,
    in_force_from=FROM,
    until=UNTIL,
)
SCOPE = ScopeSet(
    purposes=(Purpose.INVESTIGATION,),
    categories=(DataCategory.NOMINAL, DataCategory.OPEN),
    senders=("CO", "KE"),
    offence_types=(OffenceType.SMUGGLING,),
    sections=(Section.DRUGS, Section.TOBACCO),
)
CONDITIONS = ConditionsSet(handling=Handling.H2, onward=Onward.WITH_CONSENT, retention_days=365)
PERIOD = PeriodSet(in_force_from=FROM, until=UNTIL)
TITLED = PremiseTitled(title="Memorandum of 2026")
HISTORY: tuple[AnyEvent, ...] = (
    PremiseRegistered(instrument="MOU-7", kind=PremiseKind.BINDING_INSTRUMENT, parties=("CO", "KE")),
    SCOPE,
    CONDITIONS,
    PERIOD,
    TITLED,
)
PREMISE: Premise = folded(HISTORY)
TRANSFER: dict[str, Any] = {
    "sender": "KE",
    "recipient": "CO",
    "purpose": Purpose.INVESTIGATION,
    "category": DataCategory.NOMINAL,
    "sections": (Section.DRUGS,),
    "offence_types": (OffenceType.SMUGGLING,),
    "day": DAY,
}


# ---------------------------------------------------------------- laying down


def test_a_premise_is_registered_whole() -> None:
    given().when(REGISTER).then(*HISTORY).and_again()
    given(*HISTORY).when(REGISTER).nothing()
    given(*HISTORY).when(msgspec.structs.replace(REGISTER, instrument="MOU-8")).refused("already on record")


def test_every_party_may_send_where_nothing_else_is_said() -> None:
    one_way = msgspec.structs.replace(REGISTER, senders=("KE",))
    assert given().when(one_way).decided()[1] == msgspec.structs.replace(SCOPE, senders=("KE",))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parties": ("KE", "KE")}, "at least two parties"),
        ({"purposes": ()}, "at least one purpose"),
        ({"categories": ()}, "at least one data category"),
        ({"senders": ("DE",)}, "DE is not a party"),
        ({"until": date(2025, 1, 1)}, "end before it comes into force"),
    ],
)
def test_an_unsound_premise_is_refused(changes: dict[str, Any], words: str) -> None:
    given().when(msgspec.structs.replace(REGISTER, **changes)).refused(words)


CHANGES: list[tuple[Command, AnyEvent]] = [
    (TitlePremise(title=None), PremiseTitled(title=None)),
    (
        SetScope(purposes=(Purpose.EXCHANGE,), categories=(DataCategory.OPEN,), senders=("CO",)),
        ScopeSet(purposes=(Purpose.EXCHANGE,), categories=(DataCategory.OPEN,), senders=("CO",)),
    ),
    (
        SetConditions(handling=Handling.H3, onward=Onward.NONE, shows_attribution=True),
        ConditionsSet(handling=Handling.H3, onward=Onward.NONE, shows_attribution=True),
    ),
    (SetPeriod(in_force_from=FROM), PeriodSet(in_force_from=FROM)),
    (SuspendPremise(reason=PremiseReason.BREACH), PremiseSuspended(reason=PremiseReason.BREACH)),
    (EndPremise(reason=PremiseReason.REPLACED), PremiseEnded(reason=PremiseReason.REPLACED)),
]


@pytest.mark.parametrize(("command", "event"), CHANGES, ids=lambda one: type(one).__name__)
def test_a_premise_is_changed_side_by_side(command: Command, event: AnyEvent) -> None:
    given(*HISTORY).when(command).then(event).and_again()
    given().when(command).refused("no such premise")
    given(*HISTORY, PremiseEnded(reason=PremiseReason.REPLACED)).when(command)
    if not isinstance(command, EndPremise):
        given(*HISTORY, PremiseEnded(reason=PremiseReason.REPLACED)).when(command).refused("has ended")


@pytest.mark.parametrize(
    "command",
    [
        TitlePremise(title="Memorandum of 2026"),
        SetScope(**{name: getattr(SCOPE, name) for name in SCOPE.__struct_fields__}),
        SetConditions(**{name: getattr(CONDITIONS, name) for name in CONDITIONS.__struct_fields__}),
        SetPeriod(in_force_from=FROM, until=UNTIL),
        ResumePremise(),
    ],
    ids=lambda command: type(command).__name__,
)
def test_what_stands_already_is_laid_down_once(command: Command) -> None:
    given(*HISTORY).when(command).nothing()


def test_an_unsound_change_is_refused() -> None:
    scope = SetScope(purposes=(Purpose.EXCHANGE,), categories=(DataCategory.OPEN,), senders=("DE",))
    given(*HISTORY).when(scope).refused("DE is not a party")
    given(*HISTORY).when(msgspec.structs.replace(scope, senders=())).refused("at least one party that may send")
    given(*HISTORY).when(SetPeriod(in_force_from=UNTIL, until=FROM)).refused("before it comes into force")


def test_a_suspension_is_lifted() -> None:
    suspended = PremiseSuspended(reason=PremiseReason.REVIEW)
    given(*HISTORY, suspended).when(ResumePremise()).then(PremiseResumed()).and_again()
    assert folded([*HISTORY, suspended, PremiseResumed()]).gap(**TRANSFER) is None


def test_its_version_is_the_number_of_its_events() -> None:
    assert PREMISE.version == 5
    assert folded([*HISTORY, PremiseTitled(title=None)]).version == 6


# ---------------------------------------------------------------- covering


def test_a_premise_covers_what_it_names() -> None:
    assert PREMISE.gap(**TRANSFER) is None
    assert PREMISE.covers(**TRANSFER)


@pytest.mark.parametrize(
    ("changes", "gap"),
    [
        ({"day": date(2025, 12, 31)}, Gap.NOT_IN_FORCE),
        ({"day": date(2027, 1, 1)}, Gap.NOT_IN_FORCE),
        ({"sender": "DE"}, Gap.SENDER),
        ({"recipient": "DE"}, Gap.RECIPIENT),
        ({"recipient": "KE"}, Gap.RECIPIENT),
        ({"purpose": Purpose.STATISTICS}, Gap.PURPOSE),
        ({"sections": (Section.DRUGS, Section.WEAPONS)}, Gap.SECTION),
        ({"sections": ()}, Gap.SECTION),
        ({"offence_types": (OffenceType.SMUGGLING, OffenceType.CASH_CONTROL)}, Gap.OFFENCE_TYPE),
        ({"offence_types": ()}, Gap.OFFENCE_TYPE),
    ],
)
def test_whatever_lies_outside_is_not_covered_and_says_why(changes: dict[str, Any], gap: Gap) -> None:
    assert PREMISE.gap(**TRANSFER | changes) is gap
    assert not PREMISE.covers(**TRANSFER | changes)


def test_its_first_and_last_day_are_within_its_period() -> None:
    assert PREMISE.is_in_force(FROM)
    assert PREMISE.is_in_force(UNTIL)
    assert not PREMISE.is_in_force(date(2027, 1, 1))


def test_a_suspended_or_ended_premise_covers_nothing() -> None:
    suspended = folded([*HISTORY, PremiseSuspended(reason=PremiseReason.BREACH)])
    assert suspended.gap(**TRANSFER) is Gap.SUSPENDED
    assert folded([*HISTORY, PremiseEnded(reason=PremiseReason.REPLACED)]).gap(**TRANSFER) is Gap.ENDED


def test_a_party_that_may_only_receive_does_not_send() -> None:
    one_way = folded([*HISTORY, msgspec.structs.replace(SCOPE, senders=("CO",))])
    assert one_way.gap(**TRANSFER) is Gap.SENDER


def test_open_data_alone_is_not_nominal() -> None:
    opened = folded([*HISTORY, msgspec.structs.replace(SCOPE, categories=(DataCategory.OPEN,))])
    assert opened.gap(**TRANSFER) is Gap.DATA_CATEGORY
    assert opened.covers(**TRANSFER | {"category": DataCategory.OPEN})


def test_a_premise_for_all_sections_and_offences_covers_what_is_not_known_too() -> None:
    for_everything = folded([*HISTORY, msgspec.structs.replace(SCOPE, sections=(), offence_types=())])
    assert for_everything.covers(**TRANSFER | {"sections": (), "offence_types": ()})


def test_a_derogation_is_for_single_cases() -> None:
    derogation = msgspec.structs.replace(PREMISE, kind=PremiseKind.DEROGATION)
    assert derogation.gap(**TRANSFER) is Gap.SINGLE_CASES_ONLY
    assert derogation.covers(**TRANSFER, is_single_case=True)


TRANSFERS = st.fixed_dictionaries(
    {
        "sender": st.sampled_from(["KE", "CO", "DE"]),
        "recipient": st.sampled_from(["KE", "CO", "DE"]),
        "purpose": st.sampled_from(Purpose),
        "category": st.sampled_from(DataCategory),
        "sections": st.lists(st.sampled_from(Section), max_size=2),
        "offence_types": st.lists(st.sampled_from(OffenceType), max_size=2),
        "day": st.dates(date(2025, 1, 1), date(2027, 12, 31)),
        "is_single_case": st.booleans(),
    }
)
KIND = KINDS["premise"]


@for_all(data=st.data())
def test_a_premise_of_which_any_side_is_unknown_covers_nothing(data: st.DataObject) -> None:
    """A peer may hold a part of it: without scope, conditions or period nothing is covered, whatever else it says."""
    missing = data.draw(st.sampled_from(HISTORY[:4]))
    partial = folded([event for event in HISTORY if event is not missing])
    assert not partial.covers(**data.draw(TRANSFERS))


@for_all(st.lists(st.one_of(*(of(event) for event in KIND.events)), max_size=8), TRANSFERS)
def test_what_is_covered_is_named_on_every_side(events: list[AnyEvent], transfer: dict[str, Any]) -> None:
    premise: Premise | None = folded(events)
    if premise is None or not premise.covers(**transfer):
        return
    assert {transfer["sender"], transfer["recipient"]} <= set(premise.parties)
    assert transfer["sender"] != transfer["recipient"]
    assert transfer["purpose"] in premise.purposes
    assert transfer["category"] in premise.categories
    assert not premise.sections or set(transfer["sections"]) <= set(premise.sections)
    assert premise.suspended is None
    assert premise.ended is None
    assert premise.in_force_from is not None
    assert premise.in_force_from <= transfer["day"]


def test_the_tighter_of_two_handling_codes_wins() -> None:
    assert tighter(Handling.H1, Handling.H3) is Handling.H3
    assert tighter(Handling.H2, Handling.H0) is Handling.H2
