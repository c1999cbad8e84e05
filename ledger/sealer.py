"""The sealer: numbers what has been committed, without gaps, and extends the Merkle tree in the same transaction.

Writers insert concurrently and take no lock. Behind the snapshot horizon, where every transaction has ended, the order
(transaction, line in it) can no longer change: in this order entries get their positions. Any number of sealers may
compete and any of them may be killed: whoever moves `seal_state` first has sealed, the other has done nothing.
"""

import struct
import threading
from typing import Any

import psycopg

from ledger import binary, leaf, schema
from ledger.merkle import Frontier
from ledger.sessions import Session, connect

MOST_ENTRIES = 5_000
IDLE_PAUSE_S = 0.04
BUSY_PAUSE_S = 0.015  # so that a batch is worth its flush
LONGEST_BACK_OFF_S = 5.0

_STATE = "SELECT size, reached_xid::text::bigint, reached_ordinal, frontier, is_restored FROM ledger.seal_state"
_LINES = """
    SELECT e.xid, e.ordinal, uuid_send(e.record_id), e.version, timestamptz_send(e.recorded_at), e.node, e.name,
           e.personal, e.body, e.attribution, e.attribution_salt, e.attribution_hash
    FROM ledger.entry e
    WHERE (e.xid, e.ordinal) > (%s::bigint::text::xid8, %s) AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
"""
_NOT_SEALED = """
    AND NOT EXISTS (SELECT FROM ledger.sealed s WHERE s.record_id = e.record_id AND s.version = e.version)
"""
_IN_ORDER = " ORDER BY e.xid, e.ordinal FETCH FIRST %s ROWS WITH TIES"
_MOVE = """
    UPDATE ledger.seal_state SET size = %s, reached_xid = %s::bigint::text::xid8, reached_ordinal = %s, frontier = %s
    WHERE size = %s AND reached_xid = %s::bigint::text::xid8 AND reached_ordinal = %s
"""
_COPY = "COPY ledger.sealed (position, xid, ordinal, record_id, version, leaf) FROM STDIN (FORMAT BINARY)"
_SUBTREES = "INSERT INTO ledger.subtree (level, number, hash) SELECT * FROM unnest(%s::int2[], %s::int8[], %s::bytea[])"
_row = struct.Struct("!hiqi8sii i16s ii i32s".replace(" ", "")).pack


def seal_once(connection: Session) -> int:
    """Seal what can be sealed now, at most 5,000 entries (and the rest of their last line's place); return how many.

    Answers 0 when there was nothing, or when another sealer was quicker.
    """
    return Sealer(connection).seal()


def run(database_url: str, *, stop: threading.Event) -> None:
    """Seal until told to stop; when the server is gone, come back with growing pauses."""
    back_off_s = IDLE_PAUSE_S
    while not stop.is_set():
        try:
            with connect(database_url) as connection:
                schema.prepare_session(connection)
                sealer = Sealer(connection)
                back_off_s = IDLE_PAUSE_S
                while not stop.is_set():
                    stop.wait(BUSY_PAUSE_S if sealer.seal() else IDLE_PAUSE_S)
        except psycopg.OperationalError:
            stop.wait(back_off_s)
            back_off_s = min(back_off_s * 2, LONGEST_BACK_OFF_S)


class Sealer:
    """Seals through one session, remembering what it reached."""

    def __init__(self, connection: Session) -> None:
        """Take up where the last sealer stopped, or after a restore make a new beginning."""
        self._connection = connection
        self._cursor = connection.cursor(binary=True)
        self._names: dict[tuple[str, str], bytes] = {}
        self._size = self._xid = self._ordinal = 0
        self._frontier = b""
        self._is_restored = False
        self._recall()

    def seal(self) -> int:
        """Seal a batch; see `seal_once`."""
        query = (_LINES + _NOT_SEALED if self._is_restored else _LINES) + _IN_ORDER
        parameters = [self._xid, self._ordinal, MOST_ENTRIES]
        rows = self._cursor.execute(query.encode(), parameters, prepare=True).fetchall()
        if not rows:
            return 0
        leaves = [self._leaf(row) for row in rows]
        reached = int.from_bytes(rows[-1][0], "big"), rows[-1][1]
        with self._connection.transaction():
            frontier = Frontier.from_bytes(self._size, self._frontier)
            subtrees = frontier.extend(leaves)
            if not self._move(frontier, reached):
                self._recall()
                return 0
            self._number(rows, leaves)
            if subtrees:
                self._cursor.execute(_SUBTREES, list(map(list, zip(*subtrees, strict=True))), prepare=True)
            self._cursor.execute("SELECT pg_notify(%s, %s)", [schema.CHANNEL, str(frontier.size)], prepare=True)
        self._size, self._frontier, (self._xid, self._ordinal) = frontier.size, frontier.to_bytes(), reached
        return len(rows)

    def _recall(self) -> None:
        row = self._cursor.execute(_STATE, prepare=True).fetchone()
        assert row is not None  # noqa: S101  # made with the tables
        self._size, self._xid, self._ordinal, self._frontier, self._is_restored = row

    def _move(self, frontier: Frontier, reached: tuple[int, int]) -> bool:
        """Claim the next positions: only if nobody else did since we looked."""
        new = [frontier.size, *reached, frontier.to_bytes()]
        known = [self._size, self._xid, self._ordinal]
        return self._cursor.execute(_MOVE, [*new, *known], prepare=True).rowcount == 1

    def _number(self, rows: list[tuple[Any, ...]], leaves: list[bytes]) -> None:
        lines = [
            _row(6, 8, position, 8, row[0], 4, row[1], 16, row[2], 4, row[3], 32, leaf_hash)
            for position, (row, leaf_hash) in enumerate(zip(rows, leaves, strict=True), start=self._size + 1)
        ]
        with self._cursor.copy(_COPY) as sink:
            sink.write(b"".join((binary.COPY_HEADER, *lines, binary.COPY_TRAILER)))

    def _leaf(self, row: tuple[Any, ...]) -> bytes:
        _, _, record_id, version, recorded_at, node, name, personal, body, attribution, salt, withheld = row
        names = self._names.get((node, name))
        if names is None:
            names = self._names[node, name] = leaf.pack_names(node, name)
        at_us = int.from_bytes(recorded_at, "big", signed=True) + binary.UNIX_TO_PG_US
        header = leaf.pack_header(record_id, version, at_us, personal, names)
        part = leaf.attribution_hash(salt, attribution) if withheld is None else withheld
        return leaf.leaf_hash(leaf.leaf_bytes(header, body, part))
