"""The sealer: numbers what has been committed, without gaps, and extends the Merkle tree in the same transaction.

Writers insert concurrently and take no lock. Behind the snapshot horizon, where every transaction has ended, the order
(transaction, line in it) can no longer change: in this order entries get their positions. Any number of sealers may
compete and any of them may be killed: whoever moves `seal_state` first has sealed, the other has done nothing.
"""

import contextlib
import os
import struct
import threading
from typing import Any

import psycopg

from ledger import binary, leaf, schema
from ledger.merkle import Frontier
from ledger.sessions import Session, connect

MOST_ENTRIES = 5_000
PAUSE_S = 0.04  # so that a batch is worth its flush; none after a full batch
LONGEST_BACK_OFF_S = 5.0
NICENESS = 5

_STATE = """
    SELECT c.system_identifier = t.system_identifier, t.size, t.reached_xid::text::bigint, t.reached_ordinal,
           t.frontier, t.is_restored
    FROM ledger.seal_state t, pg_control_system() c
"""
_LINES = """
    SELECT e.xid, e.ordinal, uuid_send(e.record_id), e.version, timestamptz_send(e.recorded_at), e.node, e.name,
           e.personal, e.body, e.attribution, e.attribution_salt, e.attribution_hash
    FROM ledger.entry e
    WHERE (e.xid, e.ordinal) > (%s::bigint::text::xid8, %s)
"""
_ENDED = " AND e.xid < pg_snapshot_xmin(pg_current_snapshot())"
# A restored row was written by the transaction that restored it, not by the one whose number it bears.
_FROM_ELSEWHERE = " AND e.xmin::text::bigint <> (e.xid::text::bigint & 4294967295)"
_HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_NOT_SEALED = """
    AND NOT EXISTS (SELECT FROM ledger.sealed s WHERE s.record_id = e.record_id AND s.version = e.version)
"""
_IN_ORDER = " ORDER BY e.xid, e.ordinal FETCH FIRST %s ROWS WITH TIES"
_MOVE = """
    UPDATE ledger.seal_state SET size = %s, reached_xid = %s::bigint::text::xid8, reached_ordinal = %s, frontier = %s
    WHERE size = %s AND reached_xid = %s::bigint::text::xid8 AND reached_ordinal = %s
"""
_ADOPT = """
    UPDATE ledger.seal_state t
    SET system_identifier = c.system_identifier, is_restored = true, reached_xid = '0', reached_ordinal = -1
    FROM pg_control_system() c WHERE c.system_identifier <> t.system_identifier
"""
_NUMBERING = """
    INSERT INTO ledger.numbering (first_position, system_identifier)
    SELECT size + 1, system_identifier FROM ledger.seal_state
"""
_COPY = "COPY ledger.sealed (position, xid, ordinal, record_id, version, leaf) FROM STDIN (FORMAT BINARY)"
_SUBTREES = "INSERT INTO ledger.subtree (level, number, hash) SELECT * FROM unnest(%s::int2[], %s::int8[], %s::bytea[])"
_NOTIFY = "SELECT pg_notify(%s, %s)"
_row = struct.Struct("!hiqi8siii16siii32s").pack


def seal_once(connection: Session) -> int:
    """Seal what can be sealed now, at most 5,000 entries (and what shares the last one's place); return how many.

    Answers 0 when there was nothing, or when another sealer was quicker.
    """
    return Sealer(connection).seal()


def run(database_url: str, *, stop: threading.Event) -> None:
    """Seal until told to stop; when the server is gone, come back with growing pauses.

    Raises:
        Unsafe: the server's settings would lose what it acknowledges.
    """
    back_off_s = PAUSE_S
    _give_way()
    while not stop.is_set():
        try:
            with connect(database_url) as connection:
                schema.prepare_session(connection)
                sealer = Sealer(connection)
                while not stop.is_set():
                    stop.wait(0 if sealer.seal() >= MOST_ENTRIES else PAUSE_S)
                    back_off_s = PAUSE_S
        except psycopg.OperationalError:
            stop.wait(back_off_s)
            back_off_s = min(back_off_s * 2, LONGEST_BACK_OFF_S)


def _give_way() -> None:
    """Let writers go before this thread where the processor is short: what is recorded can wait to be numbered."""
    with contextlib.suppress(OSError, AttributeError):  # only Linux gives each thread a priority
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class Sealer:
    """Seals through one session, remembering what it reached."""

    def __init__(self, connection: Session) -> None:
        """Take up where the last sealer stopped, or after a restore make a new beginning."""
        self._connection = connection
        self._cursor = connection.cursor(binary=True)
        self._names: dict[tuple[str, str], bytes] = {}
        self._size = self._xid = self._ordinal = 0
        self._edge = b""
        self._is_restored = False
        self._looked_at = 0, -1
        self._recall()

    def seal(self) -> int:
        """Seal a batch; see `seal_once`."""
        rows = self._unsealed()
        if not rows:
            return 0
        with self._connection.transaction():
            is_first = self._number(rows, _place(rows[-1]))
        if not is_first:
            self._recall()
            return 0
        return len(rows)

    def _unsealed(self) -> list[tuple[Any, ...]]:
        """Return what lies behind the horizon and has no position, in order."""
        reached = self._xid, self._ordinal
        if not self._is_restored:
            return self._lines(_LINES + _ENDED + _IN_ORDER, reached)
        horizon = self._cursor.execute(_HORIZON, prepare=True).fetchone()
        rows = self._lines(_LINES + _ENDED + _NOT_SEALED + _IN_ORDER, max(reached, self._looked_at))
        if not rows and horizon is not None:
            self._looked_at = horizon[0], -1  # all before it has ended and is sealed: it need not be looked at again
        return rows

    def _lines(self, query: str, after: tuple[int, int]) -> list[tuple[Any, ...]]:
        return self._cursor.execute(query.encode(), [*after, MOST_ENTRIES], prepare=True).fetchall()

    def _recall(self) -> None:
        row = self._cursor.execute(_STATE, prepare=True).fetchone()
        assert row is not None  # noqa: S101  # made with the tables
        is_same_system, self._size, self._xid, self._ordinal, self._edge, self._is_restored = row
        if not is_same_system:
            self._begin_anew()
            self._recall()

    def _begin_anew(self) -> None:
        """After a restore into another server, whose transaction numbers start again: find the unsealed by looking.

        What was brought along is sealed first, in its own order. From there on the order is that of the new numbers,
        and what is sealed already is passed over.
        """
        with self._connection.transaction():
            if self._cursor.execute(_ADOPT).rowcount != 1:
                return  # another sealer has done it
            beginning = looked_at = self._xid, self._ordinal = 0, -1
            self._cursor.execute(_NUMBERING)
            while rows := self._lines(_LINES + _FROM_ELSEWHERE + _NOT_SEALED + _IN_ORDER, looked_at):
                looked_at = _place(rows[-1])
                self._number(rows, beginning)
            self._cursor.execute(_NUMBERING)

    def _number(self, rows: list[tuple[Any, ...]], reached: tuple[int, int]) -> bool:
        """Give the next positions to these lines, unless another sealer has moved since we looked."""
        leaves = [self._leaf(row) for row in rows]
        frontier = Frontier.from_bytes(self._size, self._edge)
        subtrees = frontier.extend(leaves)
        size, edge = frontier.size, frontier.to_bytes()
        move = [size, *reached, edge, self._size, self._xid, self._ordinal]
        if self._cursor.execute(_MOVE, move, prepare=True).rowcount != 1:
            return False
        lines = [
            _row(6, 8, position, 8, row[0], 4, row[1], 16, row[2], 4, row[3], 32, leaf_hash)
            for position, (row, leaf_hash) in enumerate(zip(rows, leaves, strict=True), start=self._size + 1)
        ]
        with self._cursor.copy(_COPY) as sink:
            sink.write(b"".join((binary.COPY_HEADER, *lines, binary.COPY_TRAILER)))
        if subtrees:
            self._cursor.execute(_SUBTREES, [list(column) for column in zip(*subtrees, strict=True)], prepare=True)
        self._cursor.execute(_NOTIFY, [schema.CHANNEL, str(size)], prepare=True)
        self._size, self._edge, (self._xid, self._ordinal) = size, edge, reached
        return True

    def _leaf(self, row: tuple[Any, ...]) -> bytes:
        _, _, record_id, version, recorded_at, node, name, personal, body, attribution, salt, withheld = row
        names = self._names.get((node, name))
        if names is None:
            names = self._names[node, name] = leaf.pack_names(node, name)
        at_us = int.from_bytes(recorded_at, "big", signed=True) + binary.UNIX_TO_PG_US
        header = leaf.pack_header(record_id, version, at_us, personal, names)
        part = leaf.attribution_hash(salt, attribution) if withheld is None else withheld
        return leaf.leaf_hash(leaf.leaf_bytes(header, body, part))


def _place(row: tuple[Any, ...]) -> tuple[int, int]:
    """Return the transaction (as a number, never as text) and the line's place in it."""
    return int.from_bytes(row[0], "big"), row[1]
