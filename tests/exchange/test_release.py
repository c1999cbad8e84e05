"""The decision whether an entry may go: a table of cases, and laws that hold for all of them."""

from datetime import UTC, date, datetime
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import person as persons
from domain import seizure as seizures
from domain.attribution import Attribution, Purpose, Role
from domain.codes import OffenceType, Section
from domain.codes import Reason as Cause
from domain.entry import Entry, Provenance
from domain.event import AnyEvent, Erased
from domain.handling import DataCategory, Handling, Onward, PremiseKind, PremiseReason
from domain.premise import Premise
from domain.rights import ErasureGrounds, RestrictionGrounds
from exchange.release import SENTENCES, KnownPremise, Matter, Reason, Release, Scope, Withheld, release
from tests.exchange.nodes import party, seizure

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)
BY = Attribution(actor="o.one", role=Role.OFFICER, purpose=Purpose.DETECTION, legal_basis="CODE:1")
DRUGS = Scope(sections=frozenset({Section.DRUGS}))
TIED = Scope(sections=frozenset({Section.DRUGS}), offence_types=frozenset({OffenceType.SMUGGLING}))

RECORDED = seizures.SeizureRecorded(
    kind=seizure().kind,
    office="XAPORT",
    place=seizure().place,
    occurred_on=date(2026, 3, 4),
    goods=(),
)
CANCELLED = seizures.SeizureCancelled(reason=Cause.DUPLICATE)
NARRATIVE = seizures.NarrativeWritten(text="words")
REGISTERED = persons.PersonRegistered()
RETRACTED = persons.AssertionRetracted(number=1, reason=Cause.ENTRY_ERROR)


def entry(event: AnyEvent | Erased = RECORDED, **changes: object) -> Entry:
    fields: dict[str, object] = {
        "record_id": UUID(int=1),
        "version": 1,
        "recorded_at": NOON,
        "node": "XA",
        "event": event,
        "by": BY,
        "position": 1,
    }
    return Entry(**(fields | changes))  # type: ignore[arg-type]  # fields by name


def premise(number: int = 1, **changes: object) -> KnownPremise:
    fields: dict[str, object] = {
        "instrument": "MAA:1",
        "kind": PremiseKind.BINDING_INSTRUMENT,
        "parties": ("XA", "XB"),
        "purposes": (Purpose.DETECTION,),
        "categories": (DataCategory.OPEN, DataCategory.NOMINAL),
        "senders": ("XA", "XB"),
        "handling": Handling.H1,
        "onward": Onward.NONE,
        "in_force_from": date(2026, 1, 1),
        "version": 4,
    }
    return KnownPremise(record_id=UUID(int=number), premise=Premise(**(fields | changes)))  # type: ignore[arg-type]  # by name


MATTER = Matter(kind="seizure", scope=DRUGS)
PERSON = Matter(kind="person", cases=(DRUGS,))
FROM_ABROAD = Provenance(peer="XC", number=1, instrument="MAA:2", premise_version=1, handling="H0", received_at=NOON)

ERASED = entry(persons.PersonErased(grounds=ErasureGrounds.UNLAWFUL))

CASES: dict[str, tuple[Entry, Matter, list[KnownPremise], Reason | None]] = {
    "covered": (entry(), MATTER, [premise()], None),
    "personal, and nominal is covered": (entry(NARRATIVE), MATTER, [premise()], None),
    "no premise at all": (entry(), MATTER, [], Reason.NO_PREMISE),
    "a premise with others": (entry(), MATTER, [premise(parties=("XA", "XC"))], Reason.NO_PREMISE),
    "a premise between others": (entry(), MATTER, [premise(parties=("XB", "XC"))], Reason.NO_PREMISE),
    "its subject is restricted": (
        entry(REGISTERED),
        msgspec.structs.replace(PERSON, restricted=frozenset({UUID(int=1)})),
        [premise()],
        Reason.RESTRICTED,
    ),
    "it says that its subject is restricted": (
        entry(persons.PersonRestricted(grounds=RestrictionGrounds.UNDER_REVIEW)),
        msgspec.structs.replace(PERSON, restricted=frozenset({UUID(int=1)})),
        [premise(purposes=(Purpose.STATISTICS,))],
        None,
    ),
    "an erasure goes on a premise that ended": (ERASED, PERSON, [premise(ended=PremiseReason.REPLACED)], None),
    "an erasure needs some premise": (ERASED, PERSON, [], Reason.NO_PREMISE),
    "an erasure of which the peer was told nothing": (ERASED, Matter(kind="person"), [premise()], Reason.NOT_TIED),
    "before its first day": (entry(), MATTER, [premise(in_force_from=date(2026, 5, 7))], Reason.NOT_IN_FORCE),
    "on its first day": (entry(), MATTER, [premise(in_force_from=date(2026, 5, 6))], None),
    "on its last day": (entry(), MATTER, [premise(until=date(2026, 5, 6))], None),
    "after its last day": (entry(), MATTER, [premise(until=date(2026, 5, 5))], Reason.NOT_IN_FORCE),
    "no period laid down": (entry(), MATTER, [premise(in_force_from=None)], Reason.NOT_IN_FORCE),
    "no conditions laid down": (entry(), MATTER, [premise(handling=None)], Reason.NOT_IN_FORCE),
    "suspended": (entry(), MATTER, [premise(suspended=PremiseReason.BREACH)], Reason.SUSPENDED),
    "ended": (entry(), MATTER, [premise(ended=PremiseReason.REPLACED)], Reason.ENDED),
    "we may not send": (entry(), MATTER, [premise(senders=("XB",))], Reason.SENDER),
    "a derogation": (entry(), MATTER, [premise(kind=PremiseKind.DEROGATION)], Reason.SINGLE_CASES_ONLY),
    "another purpose": (entry(), MATTER, [premise(purposes=(Purpose.STATISTICS,))], Reason.PURPOSE),
    "open only, and it is personal": (
        entry(NARRATIVE),
        MATTER,
        [premise(categories=(DataCategory.OPEN,))],
        Reason.DATA_CATEGORY,
    ),
    "nominal only, and it is open": (
        entry(),
        MATTER,
        [premise(categories=(DataCategory.NOMINAL,))],
        Reason.DATA_CATEGORY,
    ),
    "another section": (entry(), MATTER, [premise(sections=(Section.TOBACCO,))], Reason.SECTION),
    "one of two sections": (
        entry(),
        Matter(kind="seizure", scope=Scope(sections=frozenset({Section.DRUGS, Section.TOBACCO}))),
        [premise(sections=(Section.DRUGS,))],
        Reason.SECTION,
    ),
    "sections unknown, and the premise names some": (
        entry(),
        Matter(kind="seizure"),
        [premise(sections=(Section.DRUGS,))],
        Reason.SECTION,
    ),
    "no offence tied, and the premise names types": (
        entry(),
        MATTER,
        [premise(offence_types=(OffenceType.SMUGGLING,))],
        Reason.OFFENCE_TYPE,
    ),
    "an offence of the type tied": (
        entry(),
        Matter(kind="seizure", scope=TIED),
        [premise(offence_types=(OffenceType.SMUGGLING,))],
        None,
    ),
    "came from a peer": (entry(provenance=FROM_ABROAD, node="XC"), MATTER, [premise()], Reason.NOT_OURS),
    "erased": (entry(Erased("seizure.narrative-written")), MATTER, [premise()], Reason.UNREADABLE),
    "made nobody knows by whom": (entry(by=None), MATTER, [premise()], Reason.NO_ATTRIBUTION),
    "a matter of another kind": (entry(), Matter(kind="offence"), [premise()], Reason.KIND),
    "cancelled before anything went": (
        entry(),
        Matter(kind="seizure", scope=DRUGS, is_cancelled=True),
        [premise()],
        Reason.CANCELLED,
    ),
    "cancelled after something went": (
        entry(CANCELLED),
        Matter(kind="seizure", scope=DRUGS, is_cancelled=True, released_as=DRUGS),
        [premise()],
        None,
    ),
    "a cancellation follows in the scope in which it went": (
        entry(CANCELLED),
        Matter(
            kind="seizure",
            scope=Scope(sections=frozenset({Section.DRUGS, Section.TOBACCO})),
            is_cancelled=True,
            released_as=DRUGS,
        ),
        [premise(sections=(Section.DRUGS,))],
        None,
    ),
    "a person tied to a released case": (entry(REGISTERED), PERSON, [premise()], None),
    "a person tied to nothing": (entry(REGISTERED), Matter(kind="person"), [premise()], Reason.NOT_TIED),
    "that a person is on record is nominal": (
        entry(REGISTERED),
        PERSON,
        [premise(categories=(DataCategory.OPEN,))],
        Reason.DATA_CATEGORY,
    ),
    "a person tied to a case outside the scope": (
        entry(REGISTERED),
        PERSON,
        [premise(sections=(Section.TOBACCO,))],
        Reason.SECTION,
    ),
    "a retraction follows although the tie is gone": (
        entry(RETRACTED),
        Matter(kind="person", released_as=DRUGS),
        [premise()],
        None,
    ),
    "of two premises the nearest gives the reason": (
        entry(),
        MATTER,
        [
            premise(1, parties=("XA", "XC")),
            premise(2, sections=(Section.TOBACCO,)),
            premise(3, ended=PremiseReason.REVIEW),
        ],
        Reason.SECTION,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_given_when_then(name: str) -> None:
    one, matter, premises, reason = CASES[name]
    answer = release(one, matter, premises, "XB", NOON)
    assert (answer.reason if isinstance(answer, Withheld) else None) is reason


def test_every_reason_has_a_sentence_and_a_case() -> None:
    assert set(SENTENCES) == set(Reason)
    assert all(sentence.endswith(".") and len(sentence) > 20 for sentence in SENTENCES.values())
    elsewhere = {Reason.TOO_LARGE}  # a matter of bytes, which the exporter sees
    assert {reason for *_, reason in CASES.values() if reason} | elsewhere == set(Reason)


def test_a_kind_that_is_not_exchanged_stays() -> None:
    told = entry().event
    assert not isinstance(told, Erased)
    from domain.premise import PremiseResumed

    answer = release(entry(PremiseResumed()), Matter(kind="premise"), [premise()], "XB", NOON)
    assert isinstance(answer, Withheld)
    assert answer.reason is Reason.KIND


def test_where_two_premises_cover_it_the_tighter_one_is_taken() -> None:
    loose = premise(1, handling=Handling.H0, shows_attribution=True)
    tight = premise(2, handling=Handling.H2)
    answer = release(entry(), MATTER, [loose, tight], "XB", NOON)
    assert isinstance(answer, Release)
    assert (answer.premise, answer.handling, answer.shows_attribution) == (tight, Handling.H2, False)


# ---------------------------------------------------------------- laws

subsets = st.sets
sections = st.frozensets(st.sampled_from(list(Section)[:4]), max_size=3)
types = st.frozensets(st.sampled_from(list(OffenceType)[:3]), max_size=2)
scopes = st.builds(Scope, sections=sections, offence_types=types)
kinds = st.sampled_from(["seizure", "offence", "person", "business", "premise", "notice"])
matters = st.builds(
    Matter,
    kind=kinds,
    scope=scopes,
    is_cancelled=st.booleans(),
    released_as=st.none() | scopes,
    cases=st.lists(scopes, max_size=2).map(tuple),
)
events = st.sampled_from(
    [
        RECORDED,
        CANCELLED,
        NARRATIVE,
        REGISTERED,
        RETRACTED,
        seizures.PartyNamed(party=UUID(int=9), role=party(UUID(int=9)).role),
    ]
)
attributions = st.none() | st.sampled_from(list(Purpose)).map(
    lambda purpose: msgspec.structs.replace(BY, purpose=purpose)
)
entries = st.builds(entry, events, by=attributions, provenance=st.none() | st.just(FROM_ABROAD))
nodes = st.sampled_from(["XA", "XB", "XC"])
days = st.dates(date(2026, 5, 1), date(2026, 5, 12))
premises = st.builds(
    premise,
    st.integers(1, 5),
    kind=st.sampled_from(list(PremiseKind)),
    parties=st.sets(nodes).map(tuple),
    senders=st.sets(nodes).map(tuple),
    purposes=st.sets(st.sampled_from(list(Purpose)), max_size=4).map(tuple),
    categories=st.sets(st.sampled_from(list(DataCategory))).map(tuple),
    sections=sections.map(tuple),
    offence_types=types.map(tuple),
    handling=st.none() | st.sampled_from(list(Handling)),
    in_force_from=st.none() | days,
    until=st.none() | days,
    suspended=st.none() | st.just(PremiseReason.REVIEW),
    ended=st.none() | st.just(PremiseReason.REVIEW),
)
generous = premises.map(
    lambda known: msgspec.structs.replace(
        known,
        premise=msgspec.structs.replace(
            known.premise, parties=("XA", "XB"), senders=("XA",), suspended=None, ended=None, handling=Handling.H0
        ),
    )
)
known = st.lists(premises | generous, max_size=3)


@given(entries, matters)
def test_nothing_goes_without_a_premise(one: Entry, matter: Matter) -> None:
    assert isinstance(release(one, matter, [], "XB", NOON), Withheld)


@given(entries, matters, known)
def test_what_goes_is_clearly_covered(one: Entry, matter: Matter, agreed: list[KnownPremise]) -> None:
    answer = release(one, matter, agreed, "XB", NOON)
    if isinstance(answer, Withheld):
        return
    on = answer.premise.premise
    assert answer.premise in agreed
    assert {"XA", "XB"} <= set(on.parties)
    assert "XA" in on.senders
    assert on.ended is on.suspended is None
    assert on.kind is not PremiseKind.DEROGATION
    assert on.in_force_from is not None
    assert on.in_force_from <= NOON.date()
    assert on.until is None or NOON.date() <= on.until
    assert one.by is not None
    assert one.by.purpose in on.purposes
    assert one.provenance is None
    assert not isinstance(one.event, Erased)
    is_nominal = one.is_personal or one.kind in {"person", "business"}
    assert (DataCategory.NOMINAL if is_nominal else DataCategory.OPEN) in on.categories
    assert not on.sections or (answer.scope.sections and answer.scope.sections <= set(on.sections))
    assert not on.offence_types or (answer.scope.offence_types and answer.scope.offence_types <= set(on.offence_types))
    if one.kind == "person" and one.event is not RETRACTED:
        assert answer.scope in matter.cases


@given(entries, matters, known, premises)
def test_a_further_premise_never_takes_anything_back(
    one: Entry, matter: Matter, agreed: list[KnownPremise], more: KnownPremise
) -> None:
    if isinstance(release(one, matter, agreed, "XB", NOON), Release):
        assert isinstance(release(one, matter, [*agreed, more], "XB", NOON), Release)


@given(entries, matters, generous, st.data())
def test_a_wider_premise_never_takes_anything_back(
    one: Entry, matter: Matter, agreed: KnownPremise, data: st.DataObject
) -> None:
    if isinstance(release(one, matter, [agreed], "XB", NOON), Withheld):
        return
    on = agreed.premise
    wider = msgspec.structs.replace(
        on,
        purposes=(*on.purposes, data.draw(st.sampled_from(list(Purpose)))),
        categories=tuple(DataCategory),
        sections=on.sections and (*on.sections, data.draw(st.sampled_from(list(Section)))),
        offence_types=data.draw(st.sampled_from([(), on.offence_types])),
        until=None,
        parties=(*on.parties, "XC"),
    )
    answer = release(one, matter, [msgspec.structs.replace(agreed, premise=wider)], "XB", NOON)
    assert isinstance(answer, Release)


@given(entries, matters, known)
def test_nobody_else_is_told(one: Entry, matter: Matter, agreed: list[KnownPremise]) -> None:
    for stranger in ("XD", "XA"):
        assert isinstance(release(one, matter, agreed, stranger, NOON), Withheld)


@given(entries, matters, known)
def test_the_order_of_premises_does_not_matter(one: Entry, matter: Matter, agreed: list[KnownPremise]) -> None:
    distinct = list({each.record_id: each for each in agreed}.values())
    assert release(one, matter, distinct, "XB", NOON) == release(one, matter, distinct[::-1], "XB", NOON)
