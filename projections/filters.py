"""The words in which search and statistics narrow down records: a closed list of fields, each with its own check.

A filter is a field and a value, or several values of which any will do. Nothing of it ever becomes SQL but through a
parameter. `since` and `until` are days (both included), `hs` is a prefix, and `node` names nodes of origin.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from psycopg import sql

from domain.codes import (
    Concealment,
    ConveyanceKind,
    Detection,
    Direction,
    OffenceType,
    Outcome,
    Qualifier,
    Section,
    SeizureKind,
)
from domain.offence import OffenceStatus
from domain.seizure import Status
from projections.asking import Unanswerable

Filters = Mapping[str, str | Sequence[str]]
Condition = tuple[sql.Composable, list[Any]]


class Field(msgspec.Struct, frozen=True):
    """A field that can be asked for: its expression in SQL, what reads a value, and how they compare."""

    expression: str
    read: Callable[[str, str], Any]
    compare: str = "{} = ANY(%s)"
    is_of_line: bool = False


def _text(_field: str, value: str) -> str:
    return value


def _upper(_field: str, value: str) -> str:
    return value.upper()


def _one_of(kind: type[StrEnum]) -> Callable[[str, str], str]:
    def read(field: str, value: str) -> str:
        try:
            return kind(value).value
        except ValueError:
            known = ", ".join(member.value for member in kind)
            raise Unanswerable(f"{field} is one of {known}.") from None

    return read


def _prefix(field: str, value: str) -> str:
    bare = value.rstrip("*").replace(".", "").replace(" ", "")
    if not bare.isascii() or not bare.isdigit() or len(bare) > 10:
        raise Unanswerable(f"{field} is the first digits of a commodity code, such as 24 or 2402.20.")
    return f"{bare}%"


def _day(field: str, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise Unanswerable(f"{field} is a day such as 2024-05-31.") from None


def _month(field: str, value: str) -> str:
    year, _, month = value.partition("-")
    if not (year.isascii() and year.isdigit() and len(year) == 4 and month in _MONTHS):
        raise Unanswerable(f"{field} is a month such as 2024-05.")
    return value


def _year(field: str, value: str) -> str:
    if not (value.isascii() and value.isdigit() and len(value) == 4):
        raise Unanswerable(f"{field} is a year such as 2024.")
    return value


def _id(field: str, value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise Unanswerable(f"{field} is a record id.") from None


_MONTHS = frozenset(f"{month:02}" for month in range(1, 13))
YEAR = "to_char(record.occurred_on, 'YYYY')"
MONTH = "to_char(record.occurred_on, 'YYYY-MM')"

_SHARED = {
    "id": Field("record.record_id", _id),
    "office": Field("record.office", _upper),
    "country": Field("record.country", _upper),
    "subdivision": Field("record.subdivision", _upper),
    "locode": Field("record.locode", _upper),
    "since": Field("record.occurred_on", _day, "{} >= ALL(%s)"),
    "until": Field("record.occurred_on", _day, "{} <= ALL(%s)"),
    "occurred_on": Field("record.occurred_on", _day),
    "year": Field(YEAR, _year),
    "month": Field(MONTH, _month),
    "source": Field("record.source", _text),
    "node": Field("record.node", _upper),
    "peer": Field("record.peer", _upper),
    "instrument": Field("record.instrument", _upper),
    "handling": Field("record.handling", _upper),
}
SEIZURE = {
    **_SHARED,
    "kind": Field("record.kind", _one_of(SeizureKind)),
    "status": Field("record.status", _one_of(Status)),
    "direction": Field("record.direction", _one_of(Direction)),
    "detection": Field("record.detection", _one_of(Detection)),
    "concealment": Field("record.concealment", _one_of(Concealment)),
    "conveyance": Field("record.conveyance", _one_of(ConveyanceKind)),
    "local_code": Field("record.local_code", _text),
    "route": Field("record.route", _upper, "{} && %s"),
    "flag": Field("record.flags", _text, "{} && %s"),
    "section": Field("line.section", _one_of(Section), is_of_line=True),
    "hs": Field("line.hs", _prefix, "{} LIKE ANY(%s)", is_of_line=True),
    "substance": Field("line.substance", _text, is_of_line=True),
    "description": Field("line.description", _text, is_of_line=True),
    "origin": Field("line.origin", _upper, is_of_line=True),
    "outcome": Field("line.outcome", _one_of(Outcome), is_of_line=True),
    "unit": Field("line.unit", _upper, is_of_line=True),
    "qualifier": Field("line.qualifier", _one_of(Qualifier), is_of_line=True),
    "currency": Field("line.currency", _upper, is_of_line=True),
}
OFFENCE = {
    **_SHARED,
    "type": Field("record.offence_type", _one_of(OffenceType)),
    "status": Field("record.status", _one_of(OffenceStatus)),
    "provision": Field("record.provision", _upper),
    "seizure": Field("record.seizures", _id, "{} && %s"),
}


def conditions(fields: Mapping[str, Field], filters: Filters, *, of_line: bool | None = None) -> list[Condition]:
    """The SQL conditions of these filters, all of which must hold; of lines only, of the record only, or both.

    Raises:
        Unanswerable: there is no such field, or a value does not fit its field.
    """
    found: list[Condition] = []
    for name, given in filters.items():
        field = fields.get(name)
        if field is None:
            raise Unanswerable(f"There is no field {name!r} to ask for: known are {', '.join(sorted(fields))}.")
        values = [given] if isinstance(given, str) else list(given)
        if not values:
            raise Unanswerable(f"{name} is asked for without a value.")
        if not all(value.isprintable() for value in values):
            raise Unanswerable(f"{name} is asked for with characters that nothing on record has.")
        if of_line is None or of_line == field.is_of_line:
            condition = field.compare.format(field.expression)
            found.append((sql.SQL(condition), [[field.read(name, value) for value in values]]))
    return found


def handled(tightest: str | None) -> list[Condition]:
    """The condition that a record is under no tighter handling code than this; none, where any may be shown."""
    return [] if tightest is None else [(sql.SQL("(record.handling IS NULL OR record.handling <= %s)"), [tightest])]
