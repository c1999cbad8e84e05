"""Leaves made anew from what is stored, in the order in which they were sealed, fast where nothing is wrong.

Positions and lines are fetched apart, since both lie on disk in sealed order, and compared stretch by stretch; only a
stretch in which something does not fit is gone through line by line, joined by record and version. The places of lines
are compared as bytes: transaction, place in it, record, version, each big-endian.
"""

import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import pairwise
from operator import itemgetter
from typing import Any
from uuid import UUID

import msgspec

from ledger import binary, leaf
from ledger.collecting import no_collection
from ledger.sessions import Session
from ledger.verdict import Fault

CHUNK = 10_000
ORDER_BYTES = 12
"""Of a place: the transaction and the line's place in it, by which lines are ordered."""

_WALK = ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_sort")
_PLACE = "xid8send({0}.xid) || int4send({0}.ordinal) || uuid_send({0}.record_id) || int4send({0}.version)"
_LINE = f"""{_PLACE.format("e")}, timestamptz_send(e.recorded_at), e.personal, e.node, e.name, e.body,
    CASE WHEN e.attribution_hash IS NULL THEN e.attribution_salt || e.attribution END,
    CASE WHEN e.attribution IS NULL AND e.attribution_salt IS NULL THEN e.attribution_hash END"""
_SEALED = f"""
    SELECT s.position, {_PLACE.format("s")}, s.leaf FROM ledger.sealed s
    WHERE s.position > %s ORDER BY s.position LIMIT %s
"""  # noqa: S608  # our own columns
_LINES = f"""
    SELECT {_LINE} FROM ledger.entry e
    WHERE (e.xid, e.ordinal) >= (%s::bigint::text::xid8, %s) AND (e.xid, e.ordinal) <= (%s::bigint::text::xid8, %s)
    ORDER BY e.xid, e.ordinal LIMIT %s
"""  # noqa: S608  # the same
_JOINED = f"""
    SELECT s.position, {_PLACE.format("s")}, s.leaf, {_LINE}
    FROM ledger.sealed s LEFT JOIN ledger.entry e ON e.record_id = s.record_id AND e.version = s.version
    WHERE s.position >= %s AND s.position <= %s ORDER BY s.position
"""  # noqa: S608  # the same
_BEFORE = f"SELECT {_PLACE.format('s')} FROM ledger.sealed s WHERE s.position = %s"  # noqa: S608  # the same

_head = struct.Struct("!BBq").pack
_int8 = struct.Struct("!q").unpack
_order = struct.Struct("!qi").unpack
_position, _place, _leaf = itemgetter(0), itemgetter(1), itemgetter(2)
_entry_place = itemgetter(0)

Row = tuple[Any, ...]


class Stretch(msgspec.Struct, frozen=True):
    """A stretch of the ledger: its last position, the leaves that were sealed, and what does not fit in its lines."""

    first: int
    last: int
    leaves: list[bytes]
    faults: list[Fault]


class Recomputing:
    """One pass over the lines of a ledger, from behind a position to the end, within the caller's transaction."""

    def __init__(self, connection: Session, after: int, beginnings: set[int]) -> None:
        """Begin behind a position; `beginnings` are positions at which transactions were counted anew."""
        self._connection = connection
        self._position = after
        self._beginnings = beginnings
        self._names: dict[tuple[str, str], bytes] = {}
        row = connection.cursor(binary=True).execute(_BEFORE, [after]).fetchone() if after else None
        self._last: bytes = row[0] if row is not None else b""

    def stretches(self) -> Iterator[Stretch]:
        """Go through the ledger; each stretch is fetched while the one before is looked at."""
        position = self._position
        plan = [list(_WALK)]
        self._connection.execute("SELECT set_config(name, 'off', true) FROM unnest(%s::text[]) AS name", plan)
        with ThreadPoolExecutor(1, "ncen-verify") as fetching:
            ahead = fetching.submit(self._fetch, position)
            while (fetched := ahead.result())[0]:
                sealed, lines = fetched
                position = sealed[-1][0]
                ahead = fetching.submit(self._fetch, position)
                yield self._stretch(sealed, lines)
        self._connection.execute("SELECT set_config(name, 'on', true) FROM unnest(%s::text[]) AS name", plan)

    def _fetch(self, after: int) -> tuple[list[Row], list[Row]]:
        cursor = self._connection.cursor(binary=True)
        sealed = cursor.execute(_SEALED, [after, CHUNK], prepare=True).fetchall()
        if not sealed:
            return [], []
        first, last = (_order(row[1][:ORDER_BYTES]) for row in (sealed[0], sealed[-1]))
        if first > last:
            return sealed, []  # transactions were counted anew in between
        return sealed, cursor.execute(_LINES, [*first, *last, len(sealed) + 1], prepare=True).fetchall()

    def _stretch(self, sealed: list[Row], lines: list[Row]) -> Stretch:
        first, last = sealed[0][0], sealed[-1][0]
        with no_collection():
            leaves = list(map(_leaf, sealed))
            faults = [] if self._is_right(sealed, lines, leaves) else list(self._one_by_one(first, last))
        self._position, self._last = last, sealed[-1][1]
        return Stretch(first, last, leaves, faults)

    def _is_right(self, sealed: list[Row], lines: list[Row], leaves: list[bytes]) -> bool:
        """Tell whether positions, order, places and leaves all fit; what does not is looked for elsewhere."""
        if (sealed[0][0], sealed[-1][0]) != (self._position + 1, self._position + len(sealed)):
            return False
        places = list(map(_place, sealed))
        if places != list(map(_entry_place, lines)):
            return False
        order = [self._last[:ORDER_BYTES], *(place[:ORDER_BYTES] for place in places)]
        return all(one < other for one, other in pairwise(order)) and self._leaves(lines) == leaves

    def _leaves(self, lines: list[Row]) -> list[bytes] | None:
        """Make the leaves anew; None where of some line none can be made."""
        names, prefix, made = self._names, b"\x00", []
        try:
            for place, at, personal, node, name, body, told, withheld in lines:
                packed = names.get((node, name)) or self._packed(node, name)
                head = _head(leaf.FORMAT_VERSION, personal, _int8(at)[0] + binary.UNIX_TO_PG_US)
                part = withheld if told is None else sha256(told).digest()
                made.append(
                    sha256(prefix + head + place[ORDER_BYTES:] + packed + sha256(body).digest() + part).digest()
                )
        except (TypeError, ValueError, struct.error):
            return None  # no writer of ours has stored such a name, time or attribution
        return made

    def _packed(self, node: str, name: str) -> bytes:
        names = self._names[node, name] = leaf.pack_names(node, name)
        return names

    # -- where something does not fit

    def _one_by_one(self, first: int, last: int) -> Iterator[Fault]:
        position, place = self._position, self._last
        cursor = self._connection.cursor(binary=True)
        for row in cursor.execute(_JOINED, [first, last]).fetchall():
            yield from self._of_line(row, position, place)
            position, place = row[0], row[1]

    def _of_line(self, row: Row, before: int, place: bytes) -> Iterator[Fault]:
        position, entry = row[0], row[3:]
        if position != before + 1:
            yield Fault(before + 1, None, None, f"there is no such position, the next one is {position}.")
        if entry[0] is None:
            yield _fault(row, "it was sealed here, and is gone.")
        elif self._leaves([entry]) != [row[2]]:
            yield _fault(row, "what is stored is not what was sealed (event, time, names or attribution).")
        elif entry[0] != row[1]:
            yield _fault(row, "its place in its transaction is not the one under which it was sealed.")
        if row[1][:ORDER_BYTES] <= place[:ORDER_BYTES] and position not in self._beginnings:
            yield _fault(row, "it does not lie in the order in which entries were sealed.")


def _fault(row: Row, what: str) -> Fault:
    place = row[1]
    version = int.from_bytes(place[28:], "big", signed=True)
    return Fault(row[0], UUID(bytes=place[ORDER_BYTES:28]), version, what)
