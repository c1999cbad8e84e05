"""The sealed entries as all projections of a process read them: once, in order, whatever cannot be read included.

A short window of batches is kept, so that projections which are near each other read and decode each entry once: the
quick wait a little for the slow, so that all stay within the window, and the next batch is read while the last is
applied. Whoever follows live never waits.
An entry that cannot be decoded does not stop those after it: it comes as `Unreadable`, and each projection parks it. A
lost connection is opened again by whoever reads next.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec
import psycopg

from domain.entry import Entry
from ledger.errors import Damaged
from ledger.reader import Reader

BATCH = 2_000
WINDOW = 6
"""How many batches are kept for slower projections."""
KEPT_S = 10.0
"""How long; what was erased since may not be read from here."""
SPREAD = (WINDOW - 2) * BATCH
"""How far, in entries, projections that are near each other may be apart before the quick ones wait."""
NEAR = 100 * BATCH
"""Whoever is further behind than this goes alone."""
PATIENCE_S = 3.0
"""How long a quick projection waits for a slow one before it reads on."""
ACTIVE_S = 10.0
WATCH_S = 1.0
LONGEST_BACK_OFF_S = 5.0
log = logging.getLogger(__name__)


class Unreadable(msgspec.Struct, frozen=True):
    """An entry in its place whose bytes cannot be decoded, and by which type of error."""

    position: int
    record_id: UUID
    name: str
    error: str


Read = Entry | Unreadable


class _Kept(NamedTuple):
    read_at: float
    first: int
    batch: Sequence[Read]

    @property
    def last(self) -> int:
        return self.first + len(self.batch) - 1


def is_passing(error: BaseException) -> bool:
    """Whether an error is of the server, the connection or our own SQL, and not of the entry that met it."""
    return isinstance(
        error,
        psycopg.OperationalError
        | psycopg.InterfaceError
        | psycopg.ProgrammingError
        | psycopg.InternalError
        | psycopg.NotSupportedError
        | OSError
        | MemoryError,
    )


class Feed:
    """Reads sealed entries for several threads over one connection."""

    def __init__(self, database_url: str, keys: Path | None) -> None:
        """Read with these keys; without any, personal events come as erased."""
        self._database_url = database_url
        self._keys = keys
        self._reader: Reader | None = None
        self._reader_lock = threading.Lock()
        self._changed = threading.Condition()
        self._window: deque[_Kept] = deque()
        self._is_reading = False
        self._readers: dict[str, tuple[int, float]] = {}
        self.head = 0
        """The highest sealed position that `watch` has heard of."""

    def read(self, after: int, limit: int = BATCH, *, who: str = "", since: float = 0.0) -> Sequence[Read]:
        """The next entries after a position, at most `limit`; none when all are read.

        `who` tells readers apart. Nothing is given that was read before the moment `since` (of the monotonic clock).
        """
        with self._changed:
            patient_until = time.monotonic() + PATIENCE_S
            while True:
                now = time.monotonic()
                self._readers[who] = (after, now)
                if found := self._remembered(after, now, since):
                    self._changed.notify_all()
                    return found[:limit]
                if not self._is_reading and (self._may_read(after, now) or now >= patient_until):
                    break
                self._changed.wait(0.1)
            self._is_reading = True
        return self._fill(after, limit)

    def _fill(self, after: int, limit: int) -> Sequence[Read]:
        """Read a batch into the window; only for whoever has said so by `_is_reading`."""
        batch: Sequence[Read] = ()
        read_at = time.monotonic()
        try:
            batch = self._read(after, limit)
        finally:
            with self._changed:
                if batch:
                    while len(self._window) >= WINDOW:
                        self._window.popleft()
                    self._window.append(_Kept(read_at, after + 1, batch))
                self._is_reading = False
                self._changed.notify_all()
        return batch

    def _remembered(self, after: int, now: float, since: float = 0.0) -> Sequence[Read]:
        """What is left after a position of a batch in the window; positions have no gaps."""
        while self._window and now - self._window[0].read_at > KEPT_S:
            self._window.popleft()
        for kept in self._window:
            if kept.read_at >= since and kept.first <= after + 1 <= kept.last:
                return kept.batch[after + 1 - kept.first :] if after + 1 > kept.first else kept.batch
        return ()

    def _may_read(self, after: int, now: float) -> bool:
        """Whether to read on from a position at once: not while others are near, but too far behind to share it."""
        if self.head - after <= BATCH:
            return True
        return not any(SPREAD < after - behind <= NEAR for behind, at in self._readers.values() if now - at < ACTIVE_S)

    def read_ahead(self, stop: threading.Event) -> None:
        """Read the batch that follows the window while projections apply what they have, until told to stop."""
        while not stop.is_set():
            with self._changed:
                after = self._is_worth_reading_ahead()
                if after is None:
                    self._changed.wait(0.25)
                    continue
                self._is_reading = True
            try:
                self._fill(after, BATCH)
            except Exception:  # noqa: BLE001  # whoever needs the batch meets the same error and says so
                stop.wait(LONGEST_BACK_OFF_S)

    def _is_worth_reading_ahead(self) -> int | None:
        """The position to read on from: only after full batches, where there is more, and one batch ahead."""
        now = time.monotonic()
        if self._is_reading or not self._window:
            return None
        latest = self._window[-1]
        if not self._may_read(latest.last, now):
            return None
        furthest = max((after for after, at in self._readers.values() if now - at < ACTIVE_S), default=-1)
        has_more = len(latest.batch) == BATCH and self.head > latest.last
        return latest.last if has_more and furthest + 1 >= latest.first else None

    def forget(self) -> None:
        """Read everything anew from now on, with keys as they are now: what was erased meanwhile is gone."""
        with self._reader_lock:
            if self._reader is not None:
                self._reader.vault.forget()
        with self._changed:
            self._window.clear()

    def record(self, record_id: UUID) -> Sequence[Entry]:
        """The sealed entries of one record, by version."""
        with self._reader_lock:
            return self._open().record(record_id)

    def _read(self, after: int, limit: int) -> Sequence[Read]:
        """Read a batch; the reader stops before an entry that it cannot read, and that then comes by itself."""
        with self._reader_lock:
            reader = self._open()
            try:
                return reader.read(after, limit)
            except Damaged as damaged:
                error = type(damaged).__name__
                lines = reader.read_stored(after, 1)
                return [Unreadable(line.position, line.record_id, line.name, error) for line in lines]

    def require_keys(self) -> None:
        """Refuse to begin with keys that are not this ledger's; a server that is not there yet is waited for later.

        Raises:
            Unsafe: the keys or the server's settings are not those of this ledger.
        """
        with contextlib.suppress(psycopg.OperationalError), self._reader_lock:
            self._open()

    def _open(self) -> Reader:
        if self._reader is None:
            self._reader = Reader.open(self._database_url, keys=self._keys)
        return self._reader

    def close(self) -> None:
        """Let go of the connection."""
        with self._reader_lock:
            reader, self._reader = self._reader, None
            if reader is not None:
                reader.close()

    def watch(self, stop: threading.Event) -> None:
        """Wait for the sealer's word until told to stop, and wake whoever waits for more."""
        back_off_s = 0.1
        while not stop.is_set():
            try:
                with Reader.open(self._database_url, keys=None) as reader:
                    while not stop.is_set():
                        self._tell(reader.wait(self.head, WATCH_S))
                        back_off_s = 0.1
            except Exception as error:  # noqa: BLE001  # without it nobody would ever be woken again
                log.warning("the watch over the ledger waits after %s", type(error).__name__)
                stop.wait(back_off_s)
                back_off_s = min(back_off_s * 2, LONGEST_BACK_OFF_S)

    def _tell(self, head: int) -> None:
        with self._changed:
            self._remembered(head, time.monotonic())  # lets go of what was kept too long
            if head != self.head:
                self.head = head
                self._changed.notify_all()

    def await_more(self, after: int, timeout_s: float) -> None:
        """Wait until something is sealed after a position, or until time runs out."""
        with self._changed:
            self._changed.wait_for(lambda: self.head > after, timeout_s)
