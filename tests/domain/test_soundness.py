"""What is said to be certain to be read back is read back as it was; and what is certain is seen to be."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import records
from domain.event import AnyEvent, PersonalEvent, wire_name
from domain.records import EVENTS, encode
from domain.refused import Refused
from domain.soundness import soundness_of
from tests.domain.strategies import of


class Odd(Enum):
    """A vocabulary that no field asks for."""

    ONE = "one"


ODD: tuple[object, ...] = (
    *(None, "", "a", "AB", "ab\n", "AB\n", "x" * 300, "\u202e", "AB-\u00e9", b"AB", (), ("AB",), (None,), [], {}),
    *(0, -1, 1, True, 2**63, -(2**64), 1.5, float("nan"), Decimal("NaN"), Decimal("Infinity"), Decimal("-1E+400")),
    *(date(1, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), UUID(int=0), msgspec.UNSET, Odd.ONE),
)

SOUND = {kind: soundness_of(kind) for kind in EVENTS.values()}


def _structs(value: object) -> Iterator[tuple[msgspec.Struct, str]]:
    """Every field of a value and of the values within it."""
    if isinstance(value, tuple):
        for item in value:
            yield from _structs(item)
    if isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield value, field
            yield from _structs(getattr(value, field))


def _changed(value: Any, at: msgspec.Struct, field: str, odd: object) -> Any:  # noqa: ANN401  # whatever it was
    """The same value, with another in one field somewhere within it."""
    if value is at:
        return msgspec.structs.replace(value, **{field: odd})
    if isinstance(value, tuple):
        return tuple(_changed(item, at, field, odd) for item in value)
    if isinstance(value, msgspec.Struct):
        inner = {name: getattr(value, name) for name in value.__struct_fields__}
        return type(value)(**{name: _changed(each, at, field, odd) for name, each in inner.items()})
    return value


def _is_read_back(event: AnyEvent) -> bool:
    try:
        stored = records._encoder.encode(event)
        read = records.read(wire_name(event), stored)
        return records._encoder.encode(read) == stored and (read == event or "NaN" in repr(event))
    except (ValueError, TypeError, OverflowError):
        return False


@pytest.mark.parametrize("kind", SOUND, ids=wire_name)
@given(st.data())
def test_certainty_is_never_mistaken(kind: type[AnyEvent], data: st.DataObject) -> None:
    event = data.draw(of(kind))
    assert SOUND[kind](event)
    assert _is_read_back(event)
    places = list(_structs(event))
    if places:
        at, field = data.draw(st.sampled_from(places))
        for odd in ODD:
            changed = _changed(event, at, field, odd)
            if SOUND[kind](changed):
                assert _is_read_back(changed), (field, odd)


@pytest.mark.parametrize("kind", SOUND, ids=wire_name)
@given(st.data())
def test_what_is_refused_does_not_depend_on_what_came_before(kind: type[AnyEvent], data: st.DataObject) -> None:
    event = data.draw(of(kind))
    places = list(_structs(event))
    if places:
        at, field = data.draw(st.sampled_from(places))
        changed = _changed(event, at, field, data.draw(st.sampled_from(ODD)))
        for _ in range(2):
            try:
                encode(changed)
            except (Refused, TypeError, OverflowError, ValueError):
                assert not _is_read_back(changed)


def test_nothing_personal_is_remembered() -> None:
    for kind, is_sound in SOUND.items():
        texts = [value for value in is_sound.__globals__.values() if isinstance(value, set)]
        if issubclass(kind, PersonalEvent):
            assert not any(texts), kind
