"""Reads the golden file, and makes examples for events that have none: one with every field, one with as few as can be.

Examples are made from the types by fixed rules, so that they are the same on every machine.
"""

import json
import re
import uuid
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, get_origin

import msgspec
from msgspec import inspect

from domain.event import AnyEvent
from domain.forms import type_info
from domain.records import EVENTS, encode
from tests.domain.strategies import bare

FILE = Path(__file__).with_name("events.jsonl")
VALUES = Path(__file__).with_name("vocabularies.jsonl")

BY_PATTERN = {
    r"^[A-Z]{2}$(?!\n)": "KE",
    r"^[A-Z]{2}-[A-Z0-9]{1,3}$(?!\n)": "KE-28",
    r"^[A-Z]{2}[A-Z2-9]{3}$(?!\n)": "KEMBA",
    r"^[A-Z0-9]{2,3}$(?!\n)": "KGM",
    r"^[A-Z]{3}$(?!\n)": "KES",
    r"^[A-Z]{2}[A-Z0-9-]{0,10}$(?!\n)": "KE",
    r"^[A-Z][A-Z0-9-]{1,23}$(?!\n)": "CITES",
    r"^[0-9]{4}(-[0-9]{2}){0,2}$(?!\n)": "2022",
    r"^[0-9]{2}([0-9]{2}){0,4}$(?!\n)": "293930",
    r"^[A-Z][a-z]{3}$(?!\n)": "Latn",
    r"^[0-9.,' \u00a0\u202f+\-eE]{1,48}$(?!\n)": "2,077.902212529746",
}
"""An example for each pattern; any other takes the first of `ANY` that fits it."""
ANY = ("Anna Ωmega", "KE-MBA.1", "officer1", "293930", "I" + "<" * 29 + ("\n" + "9" * 30) * 2)


class Line(msgspec.Struct, frozen=True):
    """A line of the golden file: an event's wire name, its stored bytes in hex, and what they decode to."""

    name: str
    stored: str
    reads: dict[str, Any]


def lines() -> list[Line]:
    """The golden file, in the order in which it grew."""
    if not FILE.exists():
        return []
    return [msgspec.json.decode(line, type=Line) for line in FILE.read_bytes().splitlines()]


def as_read(event: AnyEvent) -> dict[str, Any]:
    """An event as the golden file shows it: plain JSON, decimals as text."""
    told: dict[str, Any] = json.loads(msgspec.json.encode(event))
    return told


def append_missing() -> list[str]:
    """Add the lines that events without any need; answers their names. Lines that stand are never touched."""
    known = {line.name for line in lines()}
    missing = [name for name in EVENTS if name not in known]
    with FILE.open("a", encoding="utf-8") as file:
        for name in missing:
            whole, bare_one = example(EVENTS[name], is_whole=True), example(EVENTS[name], is_whole=False)
            for event in (whole, bare_one) if whole != bare_one else (whole,):
                line = Line(name=name, stored=encode(event).hex(), reads=as_read(event))
                file.write(json.dumps(msgspec.to_builtins(line), ensure_ascii=False) + "\n")
    return missing


def vocabularies() -> dict[str, tuple[str, ...]]:
    """The values of every enumeration that an event can hold, by its name."""
    found: dict[str, tuple[str, ...]] = {}
    for event in EVENTS.values():
        for enumeration in _enumerations(type_info(event)):
            found[enumeration.__name__] = tuple(str(member.value) for member in enumeration)
    return found


def _enumerations(told: inspect.Type) -> Iterator[type[Enum]]:
    match told:
        case inspect.EnumType(cls=cls):
            yield cls
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from _enumerations(field.type)
        case inspect.UnionType(types=types):
            for one in types:
                yield from _enumerations(one)
        case inspect.VarTupleType(item_type=item):
            yield from _enumerations(item)


def known_values() -> dict[str, list[str]]:
    """The values in the golden file, by the name of their vocabulary."""
    known: dict[str, list[str]] = {}
    for line in VALUES.read_text(encoding="utf-8").splitlines() if VALUES.exists() else ():
        name, value = json.loads(line)
        known.setdefault(name, []).append(value)
    return known


def append_missing_values() -> list[str]:
    """Add the values that stand in no line yet; answers them. Lines that stand are never touched."""
    known = known_values()
    missing = [
        (name, value) for name, values in vocabularies().items() for value in values if value not in known.get(name, [])
    ]
    with VALUES.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(pair) + "\n" for pair in missing)
    return [f"{name}.{value}" for name, value in missing]


def example(cls: type[AnyEvent], *, is_whole: bool) -> AnyEvent:
    """An event with all of its fields, or with those only that it must have."""
    event: AnyEvent = _value(type_info(cls), is_whole=is_whole)
    return event


def _value(told: inspect.Type, *, is_whole: bool) -> Any:  # noqa: ANN401, PLR0911  # a value of any shape, an arm for each
    match told:
        case inspect.Metadata():
            return _value(told.type, is_whole=is_whole)
        case inspect.StructType():
            cls: Any = get_origin(told.cls) or told.cls
            stated = [field for field in told.fields if is_whole or field.required]
            return cls(**{field.name: _value(field.type, is_whole=is_whole) for field in stated})
        case inspect.UnionType(types=types):
            return _value(next(one for one in types if not isinstance(bare(one), inspect.NoneType)), is_whole=is_whole)
        case inspect.EnumType(cls=cls):
            return next(iter(cls))
        case inspect.VarTupleType(item_type=item, min_length=least):
            return (_value(item, is_whole=is_whole),) if is_whole or least else ()
        case inspect.StrType(pattern=str() as pattern):
            return BY_PATTERN.get(pattern) or next(one for one in ANY if _fits(one, pattern))
        case inspect.IntType(ge=least):
            return 1 if least is None else least
        case inspect.BoolType():
            return True
    return _moment(told)


def _moment(told: inspect.Type) -> Any:  # noqa: ANN401  # a value of any shape
    match told:
        case inspect.DecimalType():
            return Decimal("2077.902212529746")
        case inspect.UUIDType():
            return uuid.UUID("018f0000-0000-7000-8000-000000000001")
        case inspect.DateType():
            return date(2026, 2, 3)
    raise AssertionError(f"no example is known for {told}: a new shape of field needs one")


def _fits(one: str, pattern: str) -> bool:
    return re.search(pattern, one) is not None
