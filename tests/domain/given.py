"""Given these events, when this is asked, then these events, a refusal, or nothing: three lines a test."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from domain.attribution import Attribution, Occasion, Purpose, Role
from domain.event import AnyEvent, Command, wire_name
from domain.records import KINDS, decode, encode, kind_of
from domain.refused import Refused

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TODAY = date(2026, 3, 1)


def acting(actor: str, role: Role = Role.OFFICER) -> Occasion:
    by = Attribution(actor=actor, role=role, purpose=Purpose.INVESTIGATION, legal_basis="CODE.12")
    return Occasion(by=by, at=NOW)


OFFICER = acting("officer1")
COLLEAGUE = acting("officer2")
SUPERVISOR = acting("supervisor1", Role.SUPERVISOR)
NOBODY_KNOWN = Occasion(by=None, at=NOW)


def folded(events: Iterable[AnyEvent], by: Occasion = OFFICER, state: Any = None) -> Any:  # noqa: ANN401  # any kind
    for event in events:
        state = KINDS[wire_name(event).partition(".")[0]].evolve(state, event, by)
    return state


class Answer:
    """What a record answered to what was asked of it."""

    def __init__(self, state: Any, command: Command, by: Occasion) -> None:  # noqa: ANN401  # any kind of record
        self.state, self.command, self.by = state, command, by
        self.kind = kind_of(command)

    def decided(self) -> tuple[AnyEvent, ...]:
        return self.kind.decide(self.state, self.command, self.by)

    def then(self, *events: AnyEvent) -> "Answer":
        """Exactly these events, which can be stored and read back, and asking again brings no more."""
        decided = self.decided()
        assert decided == events
        for event in decided:
            assert decode(wire_name(event), encode(event)) == event
        return self

    def and_again(self) -> None:
        """Asked a second time, there is nothing left to do: no events, or a refusal that says so."""
        state = folded(self.decided(), self.by, self.state)
        assert answered(state, self.command, self.by) == ()

    def nothing(self) -> None:
        assert self.decided() == ()

    def refused(self, words: str) -> None:
        """Refused with a whole sentence that holds these words."""
        with pytest.raises(Refused) as refusal:
            self.decided()
        assert words in str(refusal.value)
        assert_sentence(str(refusal.value))


class Given:
    """A record with a history."""

    def __init__(self, events: tuple[AnyEvent, ...], by: Occasion) -> None:
        self.state = folded(events, by)

    def when(self, command: Command, by: Occasion = OFFICER) -> Answer:
        return Answer(self.state, command, by)


def answered(state: Any, command: Command, by: Occasion) -> tuple[AnyEvent, ...]:  # noqa: ANN401  # any kind
    """The events with which a record answers; none where it refuses, which it must do in a whole sentence."""
    try:
        return kind_of(command).decide(state, command, by)
    except Refused as refusal:
        told = str(refusal)
    assert_sentence(told)
    return ()


def given(*events: AnyEvent, by: Occasion = OFFICER) -> Given:
    return Given(events, by)


def assert_sentence(text: str) -> None:
    assert text[0].isupper() or text[0].isdigit(), f"a refusal is a whole sentence: {text!r}"
    assert text.endswith("."), f"a refusal is a whole sentence: {text!r}"
    assert len(text.split()) >= 4, f"a refusal is a whole sentence: {text!r}"
