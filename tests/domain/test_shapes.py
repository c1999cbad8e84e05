"""What an open event may hold, what a default may be, and how names are given: walked over all types there are."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect

from domain.attribution import UserId
from domain.codes import Line, Text
from domain.event import Event, PersonalEvent
from domain.forms import type_info
from domain.identity import Mrz
from domain.quantity import WrittenNumber
from domain.records import COMMANDS, EVENTS, KINDS, OPEN_EVENTS, PERSONAL_EVENTS, encode
from domain.refused import Refused
from domain.seizure import GoodsWithdrawn, NarrativeWritten
from tests.domain.strategies import bare, pattern_of

SPECIMEN = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
NAMES = [
    "Ivan Petrov",
    "IVAN PETROV",
    "ivan petrov",
    "Anna-Maria O'Neill",
    "12 Rue des Lilas",
    "Иван",
    "名前",
    "a\nb",
    SPECIMEN,
]
"""What an open field must have no room for."""
LONGEST_CODE = 48


def fields(told: inspect.Type, path: str = "") -> Iterator[tuple[str, inspect.Type]]:
    """All leaves of a type, by their dotted paths."""
    match told:
        case inspect.Metadata():
            yield from fields(told.type, path)
        case inspect.StructType():
            for field in told.fields:
                yield from fields(field.type, f"{path}.{field.name}".removeprefix("."))
        case inspect.UnionType(types=types):
            for one in types:
                yield from fields(one, path)
        case inspect.VarTupleType(item_type=item):
            yield from fields(item, f"{path}[]")
        case _:
            yield path, told


def could_hold_free_text(told: inspect.Type) -> bool:
    """Whether a value of this type could be words: text without a tight pattern, or a type that holds anything."""
    match told:
        case inspect.StrType(pattern=None):
            return True
        case inspect.StrType(pattern=str() as pattern):
            return any(re.search(pattern, name) for name in NAMES) or any(
                re.search(pattern, sign * (LONGEST_CODE + 1)) for sign in "Aa1"
            )
        case (
            inspect.EnumType()
            | inspect.IntType()
            | inspect.BoolType()
            | inspect.NoneType()
            | inspect.DecimalType()
            | inspect.DateType()
            | inspect.UUIDType()
        ):
            return False
    return True  # Any, dict, float, bytes, a moment to the microsecond, and whatever else is invented


@pytest.mark.parametrize("event", OPEN_EVENTS, ids=lambda event: str(event.__struct_config__.tag))
def test_an_open_event_has_no_field_that_could_hold_free_text(event: type[Event]) -> None:
    loose = [path for path, told in fields(type_info(event)) if could_hold_free_text(told)]
    assert not loose, f"{event.__name__} could hold words in {loose}: give them a pattern, or make the event personal"


@pytest.mark.parametrize("alias", [Text, Line, Mrz, str, float, bytes, dict[str, int], msgspec.Raw])
def test_the_walk_finds_what_could_hold_free_text(alias: type) -> None:
    assert could_hold_free_text(bare(type_info(alias)))


@pytest.mark.parametrize("event", PERSONAL_EVENTS, ids=lambda event: str(event.__struct_config__.tag))
def test_a_personal_event_names_its_subject_by_a_field_that_exists(event: type[PersonalEvent]) -> None:
    if event.subject_field is not None:
        told = {field.name: field for field in msgspec.structs.fields(event)}
        assert event.subject_field in told
        assert told[event.subject_field].required


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: str(event.__struct_config__.tag))
def test_a_default_says_nothing(event: type[Event | PersonalEvent]) -> None:
    """What is left out of the stored form must never have a meaning that a later version could change."""
    told = {
        field.name: field.default
        for field in msgspec.structs.fields(event)
        if not field.required and field.default not in (None, msgspec.UNSET, (), False)
    }
    assert not told


def test_wire_names_are_unique_and_say_what_happened_to_which_kind() -> None:
    assert len(EVENTS) == sum(len(kind.events) for kind in KINDS.values())
    for kind in KINDS.values():
        for event in kind.events:
            name = str(event.__struct_config__.tag)
            assert re.fullmatch(rf"{kind.name}\.[a-z]+(-[a-z]+)*", name), name
            last = name.rpartition(".")[2].rpartition("-")[2]
            assert last.endswith("ed") or last in {"withdrawn", "written", "made", "set"}, f"{name} is no past tense"


def test_commands_have_names_of_their_own() -> None:
    assert len(COMMANDS) == sum(len(kind.commands) for kind in KINDS.values())
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", name) for name in COMMANDS)


def test_every_command_has_its_stories() -> None:
    """Notices are the exchange's to tell about; every other command is asked in a test of this folder."""
    told = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    untold = [
        f"{kind.name}: {command.__name__}"
        for kind, command in COMMANDS.values()
        if kind.name != "notice" and f"{command.__name__}(" not in told
    ]
    assert not untold


def test_every_state_starts_empty() -> None:
    """A peer may be given any part of a record, so that each field may be absent."""
    for kind in KINDS.values():
        kind.state()


def test_every_event_tells_its_sentence() -> None:
    for name, event in EVENTS.items():
        sentence = (event.__doc__ or "").splitlines()[0]
        assert sentence.endswith("."), name
        assert len(sentence.split()) >= 3, name


@pytest.mark.parametrize("alias", [UserId, WrittenNumber, Line])
def test_no_line_feed_passes_behind_the_last_sign(alias: type) -> None:
    assert re.search(pattern_of(alias), "12") is not None
    assert re.search(pattern_of(alias), "12\n") is None


def test_a_refusal_to_store_tells_the_field_and_never_the_value() -> None:
    broken = NarrativeWritten(text="Anna\u202eavonavI")
    with pytest.raises(Refused) as told:
        encode(broken)
    assert "seizure.narrative-written" in str(told.value)
    assert "text" in str(told.value)
    assert "Anna" not in str(told.value)
    miscoded = GoodsWithdrawn(line=1, reason="Ivan Petrov")  # type: ignore[arg-type]  # what an unchecked caller may do
    with pytest.raises(Refused) as told:
        encode(miscoded)
    assert "reason" in str(told.value)
    assert "Petrov" not in str(told.value)
