"""The sealed entries as all projections of a process read them: once, in order, whatever cannot be read included.

What was read is shared for some seconds, so that projections which keep about the same pace read and decode it once.
An entry that cannot be decoded does not stop those after it: it comes as `Unreadable`, and each projection parks it. A
lost connection is opened again by whoever reads next.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar
from uuid import UUID

import msgspec
import psycopg

from domain.entry import Entry
from ledger.errors import Damaged
from ledger.reader import Reader

BATCH = 2_000
MOST_SHARED = 6
"""How many batches are kept for slower projections."""
SHARED_S = 10.0
"""How long; what was erased since may not be read from here."""
WATCH_S = 1.0
LONGEST_BACK_OFF_S = 5.0

Answer = TypeVar("Answer")


class Unreadable(msgspec.Struct, frozen=True):
    """An entry in its place whose bytes cannot be decoded, and by which type of error."""

    position: int
    record_id: UUID
    name: str
    error: str


Read = Entry | Unreadable


class _Shared(NamedTuple):
    read_at: float
    batch: Sequence[Read]


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
        self._lock = threading.Lock()
        self._shared: deque[_Shared] = deque(maxlen=MOST_SHARED)
        self._more = threading.Condition()
        self._head = 0

    def read(self, after: int, limit: int = BATCH) -> Sequence[Read]:
        """The next entries after a position, at most `limit`; none when all are read."""
        with self._lock:
            found = self._remembered(after)
            if not found:
                found = self._with_reader(lambda reader: _read(reader, after, limit))
                if found:
                    self._shared.append(_Shared(time.monotonic(), found))
            return found[:limit]

    def _remembered(self, after: int) -> Sequence[Read]:
        """What is left after a position of a batch that was read a moment ago; positions have no gaps."""
        while self._shared and time.monotonic() - self._shared[0].read_at > SHARED_S:
            self._shared.popleft()
        for shared in self._shared:
            offset = after + 1 - (shared.batch[0].position or 0)
            if 0 <= offset < len(shared.batch):
                return shared.batch[offset:]
        return ()

    def forget(self) -> None:
        """Read everything anew from now on."""
        with self._lock:
            self._shared.clear()

    def record(self, record_id: UUID) -> Sequence[Entry]:
        """The sealed entries of one record, by version."""
        with self._lock:
            return self._with_reader(lambda reader: reader.record(record_id))

    def _with_reader(self, ask: Callable[[Reader], Answer]) -> Answer:
        if self._reader is None:
            self._reader = Reader.open(self._database_url, keys=self._keys)
        try:
            return ask(self._reader)
        except psycopg.Error:
            self._drop_reader()
            raise

    def _drop_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._drop_reader()

    def watch(self, stop: threading.Event) -> None:
        """Wait for the sealer's word until told to stop, and wake whoever waits for more."""
        back_off_s = 0.1
        while not stop.is_set():
            try:
                with Reader.open(self._database_url, keys=None) as reader:
                    while not stop.is_set():
                        self._tell(reader.wait(self._head, WATCH_S))
                        back_off_s = 0.1
            except psycopg.Error:
                stop.wait(back_off_s)
                back_off_s = min(back_off_s * 2, LONGEST_BACK_OFF_S)
        self._tell(self._head)

    def _tell(self, head: int) -> None:
        with self._lock:
            self._remembered(head)  # lets go of what is too old to be shared
        with self._more:
            if head != self._head:
                self._head = head
                self._more.notify_all()

    def await_more(self, after: int, timeout_s: float) -> None:
        """Wait until something is sealed after a position, or until time runs out."""
        with self._more:
            self._more.wait_for(lambda: self._head > after, timeout_s)


def _read(reader: Reader, after: int, limit: int) -> Sequence[Read]:
    """Read a batch; the reader stops before an entry that cannot be read, which is then next and comes by itself."""
    try:
        return reader.read(after, limit)
    except Damaged as damaged:
        error = type(damaged).__name__
        return [Unreadable(line.position, line.record_id, line.name, error) for line in reader.read_stored(after, 1)]
