"""Reads the ledger in sealed order: what everything downstream follows.

Positions are gapless, count from 1 and never change. Without keys every personal event reads as `Erased`. A damaged
entry is never skipped: what precedes it is answered first, and when it is next, `Damaged` is raised with its position.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar
from uuid import UUID

import psycopg

from domain.entry import Entry
from ledger import frame, line, schema
from ledger.collecting import no_collection
from ledger.keyring import Keyring
from ledger.line import StoredLine
from ledger.sessions import READ_TIMEOUT_MS, Session, connect
from ledger.vault import Vault

_FROM = "FROM ledger.sealed s JOIN ledger.entry e ON e.record_id = s.record_id AND e.version = s.version"
_RANGE = "WHERE s.position > %s AND s.position <= %s ORDER BY s.position"
_READ = f"SELECT {frame.COLUMNS} {_FROM} {_RANGE}"  # our own columns
_READ_ONE = f"SELECT {line.ENTRY_COLUMNS} {_FROM} WHERE s.position = %s"  # the same
_READ_STORED = f"SELECT {line.STORED_COLUMNS} {_FROM} {_RANGE}"  # the same
_RECORD = f"SELECT {line.ENTRY_COLUMNS} {_FROM} WHERE s.record_id = %s ORDER BY s.version"  # the same
_HEAD = "SELECT size FROM ledger.seal_state"
WAKE_AT_LEAST_S = 1.0
WORTH_FETCHING_AHEAD = 250
"""Who reads pages of at least so many entries, and got a full one, is taken to read on."""
MOST_AHEAD = 4_000
"""At most so many lines are fetched at once before they are asked for; each step ahead is twice the one before."""

T = TypeVar("T")


_Row = tuple[Any, ...]


class _Fetched(NamedTuple):
    """Lines that were fetched after a position, those after `place` among them not given out yet."""

    after: int
    limit: int
    rows: list[_Row]
    place: int = 0

    def is_next(self, after: int) -> bool:
        """Whether the lines after this position are those to give out next; positions have no gaps."""
        return after == self.after + self.place and self.place < len(self.rows)


class Reader:
    """Reads sealed entries through a session of its own; threads take turns."""

    def __init__(self, database_url: str, vault: Vault) -> None:
        """Use `open`."""
        self._database_url = database_url
        self.vault = vault
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._waiting_lock = threading.Lock()
        self._listener: Session | None = None
        self._fetching = ThreadPoolExecutor(1, "ncen-reader")
        self._fetched = _Fetched(0, 0, [])
        self._ahead: Future[_Fetched] | None = None

    @classmethod
    def open(cls, database_url: str, *, keys: Path | None) -> Self:
        """Open the ledger for reading; `keys` is the node's keys folder, None to read what names no one.

        Raises:
            psycopg.OperationalError: the server cannot be reached.
            Unsafe: the keys are not those of this ledger.
        """
        keyring = None if keys is None else Keyring.open(keys)
        reader = cls(database_url, Vault(keyring))
        session = reader._session = _connect(database_url)
        try:
            schema.prepare_session(session)
            if keyring is not None:
                schema.bind_keys(session, keyring)
        except BaseException:
            reader.close()
            raise
        return reader

    def head(self) -> int:
        """Return the highest sealed position, 0 when nothing is sealed."""
        with self._lock:
            return self._asking(_head)

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return the entries at positions after + 1 and on, at most `limit`, opened and decoded.

        Lines are fetched in long stretches, each while the one before is used, and decoded page by page: short ones are
        the quickest, since they stay in the processor's cache.

        Raises:
            Damaged: the entry at after + 1 does not fit.
        """
        with self._lock:
            rows = self._page(after, limit)
            keys = self._asking(lambda session: line.held_keys(session, self.vault, rows, place=frame.KEY_ID))
        return frame.entries(rows, keys) or (self._damaged(after + 1) if rows else [])

    def _damaged(self, position: int) -> list[Entry]:
        """Say what is wrong with an entry that did not decode as a whole."""
        with self._lock:
            rows = self._asking(lambda session: line.rows(session, _READ_ONE, (position,)))
            keys = self._asking(lambda session: line.held_keys(session, self.vault, rows))
        return line.entries(rows, keys)

    def read_stored(self, after: int, limit: int) -> list[StoredLine]:
        """Return the lines at positions after + 1 and on, as they are stored, with everything a proof needs."""
        with self._lock:
            rows = self._asking(lambda session: line.rows(session, _READ_STORED, (after, after + limit)))
        with no_collection():
            return [line.stored_line(row) for row in rows]

    def record(self, record_id: UUID) -> list[Entry]:
        """Return the sealed entries of a record, by version.

        Raises:
            Damaged: an entry of it does not fit.
        """
        with self._lock:
            rows = self._asking(lambda session: line.rows(session, _RECORD, (record_id,)))
            keys = self._asking(lambda session: line.held_keys(session, self.vault, rows))
        return line.entries(rows, keys)

    def wait(self, after: int, timeout_seconds: float) -> int:
        """Wait until something is sealed beyond a position, or the time is over; return the head."""
        deadline = monotonic() + timeout_seconds
        with self._waiting_lock:
            listener = self._listening()
            while True:
                try:
                    head = _head(listener)
                    left = deadline - monotonic()
                    if head > after or left <= 0:
                        return head
                    for _ in listener.notifies(timeout=min(left, WAKE_AT_LEAST_S), stop_after=1):
                        pass
                except psycopg.OperationalError:
                    self._listener = None
                    listener.close()
                    raise

    def _listening(self) -> Session:
        if self._listener is None or self._listener.closed:
            self._listener = connect(self._database_url, statement_timeout_ms=READ_TIMEOUT_MS)
            self._listener.execute(f"LISTEN {schema.CHANNEL}".encode())
        return self._listener

    def _page(self, after: int, limit: int) -> list[_Row]:
        """Return the lines after a position: what was fetched already if they come next, each given out once."""
        if not self._fetched.is_next(after):
            self._fetched = self._fetched_ahead(after) or self._asking(lambda session: _fetch(session, after, limit))
            self._fetch_ahead(limit)
        now = self._fetched
        self._fetched = now._replace(place=now.place + limit)
        return now.rows[now.place : now.place + limit]

    def _fetch_ahead(self, limit: int) -> None:
        """Begin to fetch what follows, if there is more: as much as two such stretches, in whole pages."""
        now, session = self._fetched, self._session
        if session is not None and len(now.rows) == now.limit and limit >= WORTH_FETCHING_AHEAD:
            most = max(1, min(2 * now.limit, MOST_AHEAD) // limit) * limit
            self._ahead = self._fetching.submit(_fetch, session, now.after + now.limit, most)

    def _fetched_ahead(self, after: int) -> "_Fetched | None":
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None
        try:
            fetched = ahead.result()
        except psycopg.OperationalError:
            return None
        return fetched if fetched.is_next(after) else None

    def _asking(self, ask: Callable[[Session], T]) -> T:
        """Ask the server; a session the server has closed meanwhile is replaced once: reading is harmless."""
        for is_last in (False, True):
            if self._session is None or self._session.closed:
                self._session = _connect(self._database_url)
            try:
                return ask(self._session)
            except psycopg.OperationalError:
                if is_last or not self._session.closed:
                    raise
        raise AssertionError("the second try returns or raises")

    def close(self) -> None:
        """Close the sessions."""
        self._fetching.shutdown()
        for session in (self._session, self._listener):
            if session is not None:
                session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _fetch(session: Session, after: int, limit: int) -> _Fetched:
    return _Fetched(after, limit, line.rows(session, _READ, (after, after + limit)))


def _connect(database_url: str) -> Session:
    """Open a session that reads a range by its keys, whatever the planner thinks of reading the whole ledger for it."""
    session = connect(database_url, statement_timeout_ms=READ_TIMEOUT_MS)
    names = ("enable_hashjoin", "enable_mergejoin", "enable_seqscan")
    session.execute("SELECT set_config(name, 'off', false) FROM unnest(%s::text[]) AS name", [list(names)])
    return session


def _head(session: Session) -> int:
    row = session.execute(_HEAD, prepare=True).fetchone()
    return 0 if row is None else int(row[0])
