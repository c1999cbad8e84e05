"""How what is on record reads: a word or line for each value, for people; plain values, for programs.

An amount is shown as it was written, with its unit in words people use; a code is shown as itself. An exact decimal
stays exact: programs get it as text. Nothing here decides what may be seen; that is done where data are read.
"""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from cli.typed import DESCRIPTIONS, HS_EDITION, LOCAL_PLACES, SUBSTANCES, UNIT_WORDS
from domain.assertion import Asserted, Grading, Merge
from domain.codes import Coded, HsCode, Qualifier
from domain.difference import ABSENT, BOOKKEEPING
from domain.goods import Goods, GoodsLine
from domain.identity import Said
from domain.offence import PenaltyLine
from domain.party import Party
from domain.quantity import Money, Quantity
from domain.seizure import Document, Place, Plate

UNTOLD = BOOKKEEPING | {"is_registered", "is_recorded"}
OWN_LISTS = frozenset({SUBSTANCES[0], DESCRIPTIONS[0], LOCAL_PLACES[0]})


def said(value: object) -> str:  # noqa: C901, PLR0911, PLR0912  # one arm for each kind of value
    """A value in a word or a line."""
    match value:
        case None | () | frozenset() if not value:
            return ABSENT
        case bool():
            return "yes" if value else "no"
        case Enum():
            return str(value.value)
        case datetime():
            return when(value)
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case Quantity():
            return _quantity(value)
        case Money():
            return f"{value.written} {value.currency}"
        case HsCode():
            return value.digits if value.edition == HS_EDITION else f"{value.digits} (HS {value.edition})"
        case Coded():
            return value.code if value.list in OWN_LISTS else f"{value.code} ({value.list} {value.edition})"
        case Place():
            return _place(value)
        case GoodsLine():
            return f"{value.line}: {said(value.goods)}"
        case Goods():
            return _goods(value)
        case Party():
            return _party(value)
        case Plate() | Document():
            return _numbered(value)
        case Asserted():
            return _asserted(value)
        case Grading():
            return f"{value.source.value}{value.information.value} ({value.scheme.value})"
        case Merge():
            return f"{value.other}" + (f" ({value.basis})" if value.basis else "")
        case PenaltyLine():
            return f"{value.number}: {said(value.penalty)}" + (f", lifted ({value.lifted})" if value.lifted else "")
        case Said():
            return " ".join(said(inner) for _, inner in _told(value))
        case msgspec.Struct():
            return ", ".join(f"{_label(name)} {said(inner)}" for name, inner in _told(value))
        case tuple() | list():
            return ", ".join(said(one) for one in value)
        case frozenset() | set():
            return ", ".join(sorted(said(one) for one in value))
    return str(value)


def when(moment: datetime) -> str:
    """A time to the second, in UTC, as in 2024-05-31 12:00:00Z."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _quantity(quantity: Quantity) -> str:
    unit = UNIT_WORDS.get(quantity.unit, quantity.unit)
    how = "" if quantity.qualifier is Qualifier.NOT_STATED else f" ({quantity.qualifier.value})"
    return f"{quantity.written} {unit}{how}"


def _place(place: Place) -> str:
    closer = [code for code in (place.locode, place.subdivision) if code]
    local = [said(place.local)] if place.local else []
    return ", ".join([*(closer or [place.country]), *local])


def _goods(goods: Goods) -> str:
    what = goods.substance or goods.description
    parts = [goods.section.value + (f": {said(what)}" if what else "")]
    if goods.quantity:
        parts.append(said(goods.quantity))
    if goods.origin:
        parts.append(f"from {goods.origin}")
    if goods.hs:
        parts.append(f"HS {said(goods.hs)}")
    if goods.value:
        parts.append(f"worth {said(goods.value)}")
    if goods.outcome:
        parts.append(goods.outcome.value)
    return ", ".join(parts)


def _party(party: Party) -> str:
    kind = "business" if party.is_business else "person"
    category = f", {party.category.value}" if party.category else ""
    return f"{party.role.value}{category}: {kind} {party.party}"


def _numbered(noted: Plate | Document) -> str:
    kind = f"{noted.kind.value} " if isinstance(noted, Document) else ""
    return f"{kind}{noted.number}" + (f" ({noted.country})" if noted.country else "")


def _asserted(asserted: Asserted[Any]) -> str:
    told = asserted.statement
    what = (
        str(type(told.said).__struct_config__.tag).replace("-", " ").removeprefix("person ").removeprefix("business ")
    )
    source = [told.source] if told.source else []
    source += [f"record {told.source_record}"] if told.source_record else []
    known = [f"{told.kind.value} from {' and '.join(source)}" if source else told.kind.value]
    known += [f"graded {said(told.grading)}"] if told.grading else []
    known += [f"by {asserted.author}"] if asserted.author else []
    known += [f"basis: {told.basis}"] if told.basis else []
    known += [f"from {told.valid_from}"] if told.valid_from else []
    known += [f"until {told.valid_until}"] if told.valid_until else []
    known += [f"TAKEN BACK ({asserted.retracted.value})"] if asserted.retracted else []
    return f"{asserted.number}: {what} {said(told.said)} ({'; '.join(known)})"


def _label(name: str) -> str:
    return name.removeprefix("is_").replace("_", " ")


def _told(struct: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if name not in UNTOLD and value is not None and value is not UNSET and value not in ((), frozenset(), False):
            yield name, value


def facts(state: msgspec.Struct) -> list[tuple[str, str]]:
    """A record as it stands, as labels and lines for a person; what is not told is left out."""
    lines: list[tuple[str, str]] = []
    for name, value in _told(state):
        if isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            label = _label(name)
            for one in value:
                lines.append((label, said(one)))
                label = ""
        else:
            lines.append((_label(name), said(value)))
    return lines


def laid_out(pairs: list[tuple[str, str]], indent: int = 0) -> str:
    """Labels and lines in two columns; where somebody looks, a long line goes on under itself."""
    width = max((len(label) for label, _ in pairs), default=0) + 2
    room = max(30, shutil.get_terminal_size().columns - width - indent) if sys.stdout.isatty() else None
    lines = []
    for label, told in pairs:
        parts = [part for line in told.splitlines() for part in _wrapped(line, room)] or [""]
        lines.append(f"{label:<{width}}{parts[0]}")
        lines += [f"{'':<{width}}{part}" for part in parts[1:]]
    return textwrap.indent("\n".join(lines), " " * indent)


def _wrapped(line: str, room: int | None) -> list[str]:
    return [line] if room is None else textwrap.wrap(line, room, break_on_hyphens=False) or [""]


def plain(value: object) -> Any:  # noqa: ANN401, PLR0911  # whatever JSON can hold; one arm for each kind
    """A value as JSON can hold it: codes and decimals as text, times in UTC, nothing that only the rules need."""
    match value:
        case msgspec.Struct():
            return {name: plain(inner) for name, inner in _all(value)}
        case Mapping():
            return {str(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case set() | frozenset():
            return sorted(plain(one) for one in value)
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case Enum():
            return value.value
        case UUID():
            return str(value)
    return value


def _all(struct: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if name not in BOOKKEEPING and value is not UNSET:
            yield name, value
