"""Rows in the binary form that PostgreSQL's COPY takes, packed here.

The driver packs value by value, which took a third of a projection's time. Of open facts most values are codes and days
that come again and again, so that what each packs to is remembered; bytes never are, and personal words come as bytes
(states) or not at all.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from struct import Struct
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.numeric import DecimalBinaryDumper

from projections.projection import Cursor

Pack = Callable[[Any], bytes]

MOST_REMEMBERED = 10_000
WRITTEN_AT_ONCE = 250
_BEGIN = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_END = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_EPOCH_DAY = date(2000, 1, 1).toordinal()
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TEXT_OID = 25
_UUID_OID = 2950

_length = Struct(">i").pack
_int4 = Struct(">ii").pack
_int8 = Struct(">iq").pack
_array = Struct(">iiIii").pack
_no_array = Struct(">iiI").pack
_decimal = DecimalBinaryDumper(Decimal).dump


class _Remembered(dict[Any, bytes]):
    """What values pack to; a value not met before is packed. None is null."""

    def __init__(self, pack: Pack) -> None:
        super().__init__({None: _NULL})
        self._pack = pack

    def __missing__(self, value: object) -> bytes:
        if len(self) >= MOST_REMEMBERED:
            self.clear()
            self[None] = _NULL
        self[value] = packed = self._pack(value)
        return packed


def _sized(packed: bytes) -> bytes:
    return _length(len(packed)) + packed


def _text(value: str) -> bytes:
    return _sized(value.encode())


def _texts(values: Sequence[str]) -> bytes:
    return _array_of(_TEXT_OID, [_text(value) for value in values])


def _uuids(values: Sequence[UUID] | None) -> bytes:
    return _NULL if values is None else _array_of(_UUID_OID, [_uuid(value) for value in values])


def _array_of(oid: int, packed: Sequence[bytes]) -> bytes:
    if not packed:
        return _sized(_no_array(0, 0, oid))
    return _sized(_array(1, 0, oid, len(packed), 1) + b"".join(packed))


def _boolean(value: bool | None) -> bytes:  # a value to pack, not a switch
    return _NULL if value is None else b"\x00\x00\x00\x01" + (b"\x01" if value else b"\x00")


def _numeric(value: Decimal | None) -> bytes:
    """A number with its places; it is not remembered, since 1 and 1.00 are equal, and look different."""
    return _NULL if value is None else _sized(bytes(_decimal(value) or b""))


def _day(value: date) -> bytes:
    return _int4(4, value.toordinal() - _EPOCH_DAY)


def _moment(value: datetime) -> bytes:
    return _int8(8, (value - _EPOCH) // _MICROSECOND)


def _integer(value: int | None) -> bytes:
    return _NULL if value is None else _int4(4, value)


def _big_integer(value: int | None) -> bytes:
    return _NULL if value is None else _int8(8, value)


def _uuid(value: UUID | None) -> bytes:
    return _NULL if value is None else b"\x00\x00\x00\x10" + value.bytes


def _bytes(value: bytes | None) -> bytes:
    return _NULL if value is None else _sized(value)


_REMEMBERED: dict[int, Pack] = {
    _TEXT_OID: _text,
    1009: _texts,
    1082: _day,
    1184: _moment,
}
_PACKED: dict[int, Pack] = {
    16: _boolean,
    17: _bytes,
    20: _big_integer,
    23: _integer,
    1700: _numeric,
    _UUID_OID: _uuid,
    2951: _uuids,
}
"""By the type of a column (PostgreSQL's OID), how a value of it is packed, remembered where values come again."""


@cache
def _row_packer(types: tuple[int, ...]) -> Callable[[Sequence[Any]], bytes]:
    """Write the function that packs a row of columns of these types; a loop over them would take half as long again.

    Raises:
        KeyError: a column is of a type that is not packed here.
    """
    known: dict[str, Any] = {"begin": len(types).to_bytes(2, "big")}
    parts = []
    for place, oid in enumerate(types):
        if oid in _REMEMBERED:
            known[f"packed_{oid}"] = _remembered(oid)
            parts.append(f"packed_{oid}[v{place}]")
        else:
            known[f"pack_{oid}"] = _PACKED[oid]
            parts.append(f"pack_{oid}(v{place})")
    names = ", ".join(f"v{place}" for place in range(len(types)))
    source = f"def pack(row):\n    {names}, = row\n    return b''.join((begin, {', '.join(parts)}))"
    exec(compile(source, "<a row's packer>", "exec"), known)  # noqa: S102  # it was written just above
    pack: Callable[[Sequence[Any]], bytes] = known["pack"]
    return pack


@cache
def _remembered(oid: int) -> _Remembered:
    return _Remembered(_REMEMBERED[oid])


def copy_packed_rows(cursor: Cursor, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Add rows of open facts, or of states, to a table; arrays are tuples.

    Raises:
        KeyError: a column is of a type that is not packed here.
    """
    named = sql.SQL(", ").join(map(sql.Identifier, columns))
    cursor.execute(sql.SQL("SELECT {} FROM {} LIMIT 0").format(named, sql.Identifier(table)))
    pack = _row_packer(tuple(column.type_code for column in cursor.description or ()))
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(sql.Identifier(table), named)) as copy:
        packed = [_BEGIN]
        for row in rows:
            packed.append(pack(row))
            if len(packed) > WRITTEN_AT_ONCE:
                copy.write(b"".join(packed))
                packed.clear()
        packed.append(_END)
        copy.write(b"".join(packed))
