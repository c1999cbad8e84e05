"""What differs between two moments of a record, field by field: what it was, and what it is now.

Fields are named by dotted paths (`place.country`, `goods.2.quantity`, `statements.3.said.full`); lines of goods,
assertions and penalties go by their numbers, parties by their record id and role. Values stay what they are; `as_text`
writes one for a person to read. Bookkeeping that no one told (line counters, authors, what a source alone says) is left
out.
"""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from domain.assertion import Grading, Merge
from domain.codes import Coded, HsCode
from domain.party import Party
from domain.quantity import Money, Quantity

BOOKKEEPING = frozenset({"authors", "told", "last_line", "last_number", "version", "status_before"})
WHOLE = (Quantity, Money, HsCode, Coded, Grading, Party, Merge)
"""Values that are read as one: half a quantity says nothing."""
NUMBERED = ("line", "number")
"""The field that numbers a line, in whichever record it stands."""
SPREAD = frozenset({"goods", "penalty", "statement"})
"""What a numbered line holds: its fields stand directly under the number."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A field that differs: what it was and what it is now; None where it was, or is, absent."""

    field: str
    was: Any
    now: Any


def differences(before: msgspec.Struct | None, after: msgspec.Struct | None) -> tuple[Change, ...]:
    """What differs between two states of one record, in the order of its fields; None is a record not yet begun."""
    kind = type(before if before is not None else after)
    if not issubclass(kind, msgspec.Struct):
        return ()
    old, new = dict(_fields(before or kind())), dict(_fields(after or kind()))
    return tuple(
        Change(field=field, was=old.get(field), now=new.get(field))
        for field in dict.fromkeys((*new, *old))
        if not _is_same(old.get(field), new.get(field))
    )


def _is_same(one: object, other: object) -> bool:
    """Whether two values mean the same; how an amount was written is no difference."""
    match one, other:
        case Quantity(), Quantity():
            return (one.amount, one.unit, one.qualifier) == (other.amount, other.unit, other.qualifier)
        case Money(), Money():
            return (one.amount, one.currency) == (other.amount, other.currency)
    return one == other


def _fields(state: msgspec.Struct, path: str = "") -> Iterator[tuple[str, object]]:
    for name in state.__struct_fields__:
        value = getattr(state, name)
        is_bookkeeping = not path and name in BOOKKEEPING
        if not is_bookkeeping and value is not UNSET and value is not None:
            yield from _under(f"{path}{name}", value)


def _under(path: str, value: object) -> Iterator[tuple[str, object]]:
    match value:
        case Quantity() | Money() | HsCode() | Coded() | Grading() | Party() | Merge():
            yield path, value
        case msgspec.Struct():
            yield from _fields(value, f"{path}.")
        case tuple() if any(_key(one) is not None for one in value):
            for one in value:
                yield from _line(f"{path}.{_key(one)}", one)
        case tuple() | frozenset() if not value:
            return
        case _:
            yield path, value


def _key(one: object) -> str | None:
    """Under which name a line stands among its fellows, or None where it has none of its own."""
    match one:
        case Party():
            return f"{one.party}.{one.role}"
        case Merge():
            return str(one.other)
        case msgspec.Struct():
            numbers = (getattr(one, name) for name in NUMBERED if name in one.__struct_fields__)
            return next((str(number) for number in numbers if isinstance(number, int)), None)
    return None


def _line(path: str, line: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401  # a line of any kind of record
    if isinstance(line, WHOLE):
        yield path, line
        return
    for name in line.__struct_fields__:
        value = getattr(line, name)
        if name in NUMBERED or value is None:
            continue
        if name in SPREAD:
            yield from _fields(value, f"{path}.")
        else:
            yield from _under(f"{path}.{name}", value)


# ---------------------------------------------------------------- for a person to read

ABSENT = "–"  # noqa: RUF001  # a dash is how a form shows that nothing is stated


def as_text(value: object) -> str:
    """A value as a person reads it: exact, without exponents, in the codes of the record; a dash for nothing."""
    match value:
        case None | ():
            return ABSENT
        case bool():
            return "yes" if value else "no"
        case Enum():
            return str(value.value)
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case date():
            return value.isoformat()
        case str() | int() | UUID():
            return str(value)
        case tuple() | frozenset():
            return ", ".join(as_text(one) for one in value)
    return _as_text(value)


def _as_text(value: object) -> str:
    match value:
        case Quantity():
            known = "" if value.qualifier == "not-stated" else f" ({value.qualifier})"
            return f"{as_text(value.amount)} {value.unit}{known}"
        case Money():
            return f"{as_text(value.amount)} {value.currency}"
        case HsCode():
            return f"{value.digits} (HS {value.edition})"
        case Coded():
            return f"{value.code} ({value.list} {value.edition})"
        case Party():
            said = (str(value.party), value.role, value.category, "(business)" if value.is_business else None)
            return " ".join(text for text in said if text)
        case Grading():
            return f"{value.source}{value.information} ({value.scheme})"
        case msgspec.Struct():
            stated = (as_text(getattr(value, name)) for name in value.__struct_fields__)
            return " ".join(text for text in stated if text not in {ABSENT, "no"})
    return str(value)
