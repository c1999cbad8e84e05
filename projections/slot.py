"""A projection's tables in one place, serving (`read`) or fresh (`read_fresh`), and how batches are committed to them.

Each batch is one transaction: the rows, what was parked, and the position, which also moves past entries that do not
concern the projection. The fast way has no savepoints; a batch that fails is cut down and at last told entry by entry,
so that the entry at fault is parked with the later ones of its record, and everything else flows.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import psycopg
from psycopg import sql

from domain.entry import Entry
from domain.event import Erased
from domain.records import EVENTS
from projections.feed import Feed, Read, Unreadable, is_passing
from projections.positions import Connection
from projections.projection import Cursor, Projection
from projections.rows import drop_records

LOCK_CLASS = 0x6E63656E  # "ncen"
AT_ONCE = 100
"""A batch that failed is repeated in parts of this size, each its own transaction, to keep transactions short."""
AFTER_PARKED = "AfterParked"
"""Stands for the error of an entry that waits because an earlier one of its record is parked."""

SETTINGS = (
    "SET synchronous_commit = off",  # what is lost in a crash goes together with its position and is told again
    "SET jit = off",
    "SET enable_seqscan = off",  # fresh tables have no statistics yet: rows are looked up by key, whatever they are
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET statement_timeout = '60s'",
    "SET lock_timeout = '5s'",
    "SET idle_in_transaction_session_timeout = '60s'",
    "SET TimeZone = 'UTC'",
)


class Overtaken(Exception):  # noqa: N818  # an answer, not a fault
    """Another runner has moved this projection's position: this one no longer holds it."""


def connect(database_url: str, name: str) -> Connection:
    """Open a session for the runner of a projection."""
    connection = psycopg.connect(database_url, autocommit=True, application_name=f"ncen project {name}")
    connection.prepare_threshold = None  # a plan made for an empty table would be kept while the table grows
    for setting in SETTINGS:
        connection.execute(setting)
    return connection


def take(connection: Connection, name: str) -> bool:
    """Become the one runner of this projection, for as long as the session lasts; False when there is one."""
    key = zlib.crc32(name.encode()) - 0x8000_0000
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_CLASS, key]).fetchone()
    return row == (True,)


class Slot:
    """The serving or the fresh tables of a projection, and the position they have reached."""

    def __init__(self, connection: Connection, feed: Feed, projection: Projection, *, is_fresh: bool) -> None:
        """Name the tables; `position` is what the database last said, or None when there are none."""
        self._connection = connection
        self._feed = feed
        self._projection = projection
        self._is_fresh = is_fresh
        self._names = projection.NAMES
        self._events = frozenset(EVENTS[name] for name in projection.NAMES)
        self.schema = "read_fresh" if is_fresh else "read"
        self.version: int | None = None
        self.position: int | None = None

    def look(self) -> None:
        """Read from the database which version these tables are of and which position they have reached."""
        row = self._connection.execute(
            "SELECT version, position FROM read.position WHERE name = %s AND is_fresh = %s",
            [self._projection.NAME, self._is_fresh],
        ).fetchone()
        self.version, self.position = row or (None, None)

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A transaction in which table names mean the tables of this slot."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(self.schema)))
            yield cursor

    def advance(self, batch: Sequence[Read]) -> None:
        """Apply a batch that follows the position, commit both, and park what cannot be applied."""
        try:
            with self.transaction() as cursor:
                entries = self._sorted_out(cursor, batch)
                if entries:
                    self._projection.apply(cursor, entries, self.past)
                self._reach(cursor, batch)
        except Exception as error:
            if is_passing(error) or isinstance(error, Overtaken):
                raise
        else:
            self.position = batch[-1].position
            return
        if len(batch) > AT_ONCE:
            for start in range(0, len(batch), AT_ONCE):
                self.advance(batch[start : start + AT_ONCE])
        else:
            self._advance_singly(batch)

    def _advance_singly(self, batch: Sequence[Read]) -> None:
        with self.transaction() as cursor:
            for read in batch:
                for entry in self._sorted_out(cursor, [read]):
                    self._try(cursor, entry)
            self._reach(cursor, batch)
        self.position = batch[-1].position

    def _try(self, cursor: Cursor, entry: Entry) -> None:
        try:
            with self._connection.transaction():
                self._projection.apply(cursor, [entry], self.past)
        except Exception as error:
            if is_passing(error):
                raise
            self._park(cursor, entry.position or 0, entry.record_id, type(error).__name__)

    def _sorted_out(self, cursor: Cursor, batch: Sequence[Read]) -> list[Entry]:
        """The entries of a batch that are to be applied; what cannot be read, or waits for a parked one, is parked."""
        cursor.execute(
            "SELECT DISTINCT record_id FROM read.parked WHERE projection = %s AND is_fresh = %s",
            [self._projection.NAME, self._is_fresh],
        )
        parked: set[UUID] = {record_id for (record_id,) in cursor}
        concerned = [read for read in batch if self._concerns(read)]
        entries = [read for read in concerned if type(read) is Entry and read.record_id not in parked]
        if len(entries) == len(concerned):
            return entries
        entries = []
        for read in concerned:
            if isinstance(read, Unreadable):
                self._park(cursor, read.position, read.record_id, read.error)
                parked.add(read.record_id)
            elif read.record_id in parked:
                self._park(cursor, read.position or 0, read.record_id, AFTER_PARKED)
            else:
                entries.append(read)
        return entries

    def _concerns(self, read: Read) -> bool:
        if isinstance(read, Unreadable):
            return read.name in self._names
        event = read.event
        return type(event) in self._events or (type(event) is Erased and event.name in self._names)

    def _park(self, cursor: Cursor, position: int, record_id: UUID, error: str) -> None:
        cursor.execute(
            "INSERT INTO read.parked (projection, is_fresh, position, record_id, error) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (projection, is_fresh, position) DO UPDATE SET error = excluded.error, at = excluded.at",
            [self._projection.NAME, self._is_fresh, position, record_id, error],
        )

    def _reach(self, cursor: Cursor, batch: Sequence[Read]) -> None:
        cursor.execute(
            "UPDATE read.position SET position = %s WHERE name = %s AND is_fresh = %s AND position = %s",
            [batch[-1].position, self._projection.NAME, self._is_fresh, self.position],
        )
        if cursor.rowcount != 1:
            raise Overtaken(self._projection.NAME)

    def past(self, record_id: UUID, position: int) -> list[Entry]:
        """The entries of a record that concern the projection, sealed up to and including a position, by version."""
        return [
            entry
            for entry in self._feed.record(record_id)
            if entry.position is not None and entry.position <= position and self._concerns(entry)
        ]

    def retell_asked(self) -> bool:
        """Tell again the records that were asked for and whose time has come; False when there are none."""
        asked = self._connection.execute(
            "SELECT record_id FROM read.retelling WHERE projection = %s AND is_fresh = %s AND position <= %s LIMIT %s",
            [self._projection.NAME, self._is_fresh, self.position, AT_ONCE],
        ).fetchall()
        if asked:
            self._feed.forget()
        for (record_id,) in asked:
            self._retell(record_id)
        return bool(asked)

    def _retell(self, record_id: UUID) -> None:
        """Drop what the tables hold of a record and tell all of it again; when that fails, all stays as it was."""
        with self.transaction() as cursor:
            cursor.execute(
                "DELETE FROM read.retelling WHERE projection = %s AND is_fresh = %s AND record_id = %s",
                [self._projection.NAME, self._is_fresh, record_id],
            )
            try:
                with self._connection.transaction():
                    for table in self._projection.TABLES:
                        drop_records(cursor, table.name, [record_id])
                    entries = sorted(self.past(record_id, self.position or 0), key=lambda entry: entry.position or 0)
                    if entries:
                        self._projection.apply(cursor, entries, self.past)
                    cursor.execute(
                        "DELETE FROM read.parked WHERE projection = %s AND is_fresh = %s AND position = ANY(%s)",
                        [self._projection.NAME, self._is_fresh, [entry.position for entry in entries]],
                    )
            except Exception as error:
                if is_passing(error):
                    raise
