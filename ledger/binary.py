"""PostgreSQL's binary forms of the few types the ledger writes: parameters, arrays, and rows of COPY.

Packed by hand because that is where the time of a write goes; the forms are those of the types' receive functions.
"""

from collections.abc import Sequence
from struct import Struct

COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"
UNIX_TO_PG_US = 946_684_800_000_000  # PostgreSQL counts from 2000

INT4, INT8, BOOL, TEXT, BYTEA, TIMESTAMPTZ, UUID, XID8 = 23, 20, 16, 25, 17, 1184, 2950, 5069
ARRAY_OF = {INT4: 1007, BOOL: 1000, TEXT: 1009, BYTEA: 1001, TIMESTAMPTZ: 1185, UUID: 2951}

pack_int2 = Struct("!h").pack
pack_int4 = Struct("!i").pack
pack_int8 = Struct("!q").pack
_array_head = Struct("!iiIii").pack
NULL = pack_int4(-1)


def pack_bool(value: bool) -> bytes:
    """Return the binary form of a boolean."""
    return b"\x01" if value else b"\x00"


def timestamp(us: int) -> bytes:
    """Return the binary form of a timestamptz, from microseconds since 1970."""
    return pack_int8(us - UNIX_TO_PG_US)


def field(value: bytes | None) -> bytes:
    """Return a value with its length before it, as in arrays and rows."""
    return NULL if value is None else pack_int4(len(value)) + value


def array(element_type: int, values: Sequence[bytes | None]) -> bytes:
    """Return the binary form of a one-dimensional array of packed values."""
    head = _array_head(1, 1 if None in values else 0, element_type, len(values), 1)
    return head + b"".join(map(field, values))
