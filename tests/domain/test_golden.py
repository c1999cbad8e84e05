"""Whatever was once stored can be read for ever, and reads as it read then."""

from typing import Any

import pytest

from domain.event import wire_name
from domain.records import EVENTS, decode, encode
from tests.domain.golden.stored import Line, as_read, example, known_values, lines, vocabularies

LINES = lines()


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_what_was_stored_reads_as_it_read_then(line: Line) -> None:
    assert line.name in EVENTS, f"{line.name} was stored in ledgers and must be readable for ever: never drop a name"
    event = decode(line.name, bytes.fromhex(line.stored))
    assert wire_name(event) == line.name
    assert still_reads(line.reads, as_read(event)), (
        f"{line.name} now reads otherwise than it did: a changed meaning is a new name, and a new field is optional"
    )


def still_reads(then: Any, now: Any) -> bool:  # noqa: ANN401  # any JSON
    """Whether what is read now says what it said then; a field that came since must say nothing."""
    if isinstance(then, dict) and isinstance(now, dict):
        came_since = (now[name] for name in now.keys() - then.keys())
        return all(name in now and still_reads(value, now[name]) for name, value in then.items()) and not any(
            came_since
        )
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(map(still_reads, then, now))
    return type(then) is type(now) and then == now


def test_the_comparison_finds_what_changed() -> None:
    assert still_reads({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "x"}], "since": None})
    assert not still_reads({"a": 1}, {"a": 1, "since": "words"})
    assert not still_reads({"a": 1}, {})
    assert not still_reads({"a": [1]}, {"a": [1, 2]})
    assert not still_reads({"a": "1"}, {"a": 1})


def test_every_event_has_a_golden_line() -> None:
    missing = sorted(set(EVENTS) - {line.name for line in LINES})
    assert not missing, (
        f"no golden line for {', '.join(missing)}: run `python -m tests.domain.golden`, look at what it appended to "
        "tests/domain/golden/events.jsonl, and commit it with the event"
    )


@pytest.mark.parametrize("name", vocabularies())
def test_a_vocabulary_loses_no_value_that_may_be_stored(name: str) -> None:
    lost = [value for value in known_values().get(name, []) if value not in vocabularies()[name]]
    assert not lost, f"{name} lost {lost}, which lie in ledgers: values are added and never taken out"


def test_no_vocabulary_of_the_golden_file_is_gone() -> None:
    assert set(known_values()) <= set(vocabularies())


def test_every_value_of_a_vocabulary_is_in_the_golden_file() -> None:
    missing = {name: set(values) - set(known_values().get(name, [])) for name, values in vocabularies().items()}
    new = sorted(f"{name}.{value}" for name, values in missing.items() for value in values)
    assert not new, f"{new} have no golden line: run `python -m tests.domain.golden` and commit what it appended"


@pytest.mark.parametrize("name", EVENTS)
def test_an_example_of_every_event_is_sound(name: str) -> None:
    for is_whole in (True, False):
        event = example(EVENTS[name], is_whole=is_whole)
        assert decode(name, encode(event)) == event
