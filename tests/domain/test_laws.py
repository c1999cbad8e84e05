"""Laws that hold for every history: folding never fails, asking twice is harmless, what is stored reads back.

The histories are random, with events missing, erased, repeated and out of order, as a peer or an erasure leaves them.
"""

import functools
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.attribution import Occasion
from domain.difference import as_text, differences
from domain.event import AnyEvent, Command, Erased, wire_name
from domain.flags import flags
from domain.offence import ImposePenalty
from domain.person import KIND as PERSON
from domain.person import MergePerson, UnmergePerson
from domain.records import EVENTS, KINDS, Kind, decode, encode
from domain.refused import Refused
from domain.seizure import AddGoods, Seizure, SeizureRecorded
from tests.domain.given import COLLEAGUE, NOBODY_KNOWN, OFFICER, TODAY, answered, assert_sentence
from tests.domain.golden.stored import example
from tests.domain.strategies import of

OCCASIONS = st.sampled_from([OFFICER, COLLEAGUE, NOBODY_KNOWN])
ADDING = (AddGoods, ImposePenalty)
"""What adds a line each time it is asked, since two equal lines are two; its command id makes a repeat harmless."""

kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@functools.cache
def events_of(name: str) -> st.SearchStrategy[AnyEvent | Erased]:
    kind = KINDS[name]
    told: st.SearchStrategy[Any] = st.one_of(*(of(event) for event in kind.events))
    erased = st.sampled_from([Erased(name=wire_name(event)) for event in kind.events])
    return told | erased


@functools.cache
def commands_of(name: str) -> st.SearchStrategy[Command]:
    return st.one_of(*(of(command) for command in KINDS[name].commands))


def histories(kind: Kind) -> st.SearchStrategy[list[AnyEvent | Erased]]:
    return st.lists(events_of(kind.name), max_size=8)


def fold(kind: Kind, events: list[AnyEvent | Erased], state: Any = None) -> Any:  # noqa: ANN401  # any kind of record
    for event in events:
        state = kind.evolve(state, event, OFFICER)
    return state


@given(of(SeizureRecorded), st.sampled_from([OFFICER, NOBODY_KNOWN]))
def test_a_seizure_begins_as_it_would_from_an_empty_one(event: SeizureRecorded, occasion: Occasion) -> None:
    evolve = KINDS["seizure"].evolve
    assert evolve(None, event, occasion) == evolve(Seizure(), event, occasion)


@kinds
@given(data=st.data())
def test_folding_never_fails_whatever_is_missing_or_out_of_order(kind: Kind, data: st.DataObject) -> None:
    before = None
    for event in data.draw(histories(kind)):
        after = kind.evolve(before, event, data.draw(OCCASIONS))
        assert isinstance(after, kind.state)
        for change in differences(before, after):
            assert as_text(change.was) != "" and as_text(change.now) != ""  # noqa: PT018  # one thing: both can be shown
        flags(after, {"UNIT": ["KGM"], "COUNTRY": []}, today=TODAY)
        before = after
    assert differences(before, before) == ()


@kinds
@given(data=st.data())
def test_a_record_answers_every_command_in_every_state_with_events_or_a_sentence(
    kind: Kind, data: st.DataObject
) -> None:
    state = fold(kind, data.draw(histories(kind)))
    command, by = data.draw(commands_of(kind.name)), data.draw(OCCASIONS)
    try:
        decided = kind.decide(state, command, by)
    except Refused as refusal:
        assert_sentence(str(refusal))
        return
    for event in decided:
        assert wire_name(event).partition(".")[0] == kind.name
        assert decode(wire_name(event), encode(event)) == event


@kinds
@given(data=st.data())
def test_asking_twice_is_asking_once(kind: Kind, data: st.DataObject) -> None:
    state: Any = None
    for command in [data.draw(of(kind.commands[0])), *data.draw(st.lists(commands_of(kind.name), max_size=4))]:
        for event in answered(state, command, OFFICER):
            state = kind.evolve(state, event, OFFICER)
        if not isinstance(command, ADDING):
            assert answered(state, command, OFFICER) == ()


@pytest.mark.parametrize("name", EVENTS)
@given(data=st.data())
def test_what_is_stored_reads_back(name: str, data: st.DataObject) -> None:
    event = data.draw(of(EVENTS[name]))
    body = encode(event)
    assert decode(name, body) == event
    assert encode(decode(name, body)) == body


@pytest.mark.parametrize("name", EVENTS)
def test_bytes_of_another_event_are_not_read_as_this_one(name: str) -> None:
    other = next(one for one in EVENTS if one != name)
    with pytest.raises(msgspec.ValidationError):
        decode(name, encode(example(EVENTS[other], is_whole=True)))


@given(data=st.data())
def test_a_merge_is_undone_exactly(data: st.DataObject) -> None:
    kind = KINDS[PERSON]
    state = fold(kind, data.draw(histories(kind)))
    merge = data.draw(of(MergePerson))
    assume(state is not None)
    merging = answered(state, merge, OFFICER)
    assume(merging)
    merged = fold(kind, list(merging), state)
    assert merged != state
    unmerge = UnmergePerson(other=merge.other, reason=data.draw(of(UnmergePerson)).reason)
    assert fold(kind, list(answered(merged, unmerge, OFFICER)), merged) == state
