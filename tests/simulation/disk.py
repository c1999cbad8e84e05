"""A simulated PostgreSQL server: tables, transactions, row locks, a log that is flushed or not, and crashes.

It keeps PostgreSQL's rules as far as our statements rely on them, at READ COMMITTED: a statement sees what was
committed before it and its own transaction's rows; who wants a row or key that another transaction has written waits
for its end; a commit is written, flushed, visible and answered, in this order, and can be cut off between any two.
After a crash the log is there up to a place drawn between what was flushed and what was written.
"""

from collections.abc import Callable, Iterable
from typing import Any

from psycopg import errors

from tests.simulation.world import World

Key = tuple[Any, ...]
Row = dict[str, Any]
Tables = dict[str, dict[Key, Row]]
Writes = dict[str, dict[Key, Row | None]]


class Transaction:
    """What a session has done since it began."""

    def __init__(self, server: "Server") -> None:
        """Begin, without a number until something is written."""
        self.server = server
        self.xid: int | None = None
        self.began = server.world.turns
        self.writes: Writes = {}
        self.is_over = False
        self.is_committing = False
        self.is_failed = False
        self.waits_for: Transaction | None = None
        self.snapshot: Tables | None = None
        """What a transaction that is repeatable sees, whatever is committed meanwhile."""
        self.path = "read"
        """The schema in which tables are meant that are named without one."""

    def look_once(self) -> None:
        """Be repeatable from now on: REPEATABLE READ, for one that only reads."""
        self.snapshot = {table: dict(rows) for table, rows in self.server.tables.items()}

    def number(self) -> int:
        """Its number, given with the first thing written: `pg_current_xact_id()`."""
        if self.xid is None:
            self.xid = self.server.next_xid
            self.server.next_xid += 1
            self.server.active[self.xid] = self
        return self.xid

    def rows(self, table: str) -> dict[Key, Row]:
        """The rows of a table as this transaction sees them now."""
        committed = (self.snapshot or self.server.tables).setdefault(table, {})
        mine = self.writes.get(table)
        if not mine:
            return committed
        seen = dict(committed)
        for key, row in mine.items():
            if row is None:
                seen.pop(key, None)
            else:
                seen[key] = row
        return seen

    def get(self, table: str, *key: object) -> Row | None:
        """A row, None where there is none."""
        mine = self.writes.get(table)
        if mine is not None and key in mine:
            return mine[key]
        return (self.snapshot or self.server.tables).setdefault(table, {}).get(key)

    def lock(self, table: str, *key: object) -> None:
        """Wait until no other transaction holds this row or key, then hold it.

        Raises:
            DeadlockDetected: two would wait for each other for ever.
        """
        server, place = self.server, (table, key)
        self.require_running()
        while (holder := server.locks.get(place)) is not None and holder is not self:
            self._require_no_circle(holder)
            self.waits_for = holder
            try:
                server.world.wait_until(lambda: server.locks.get(place) is not holder or self.is_over)
            finally:
                self.waits_for = None
            self.require_running()
        self.number()
        server.locks[place] = self

    def require_running(self) -> None:
        """Go on only where the server has not gone meanwhile.

        Raises:
            AdminShutdown: it has.
        """
        if self.is_over:
            raise errors.AdminShutdown("the server is gone")

    def _require_no_circle(self, holder: "Transaction") -> None:
        other: Transaction | None = holder
        while other is not None:
            if other is self:
                raise errors.DeadlockDetected("deadlock detected")
            other = other.waits_for

    def put(self, table: str, key: Key, row: Row) -> None:
        """Write a row, in place of what is there."""
        self.lock(table, *key)
        self.writes.setdefault(table, {})[key] = row

    def insert(self, table: str, key: Key, row: Row) -> None:
        """Write a row that is not there yet.

        Raises:
            UniqueViolation: it is.
        """
        self.lock(table, *key)
        if self.get(table, *key) is not None:
            raise errors.UniqueViolation(f"duplicate key in {table}")
        self.writes.setdefault(table, {})[key] = row

    def update(self, table: str, key: Key, **values: object) -> bool:
        """Change a row as it stands once nobody else holds it; whether it is there."""
        self.lock(table, *key)
        row = self.get(table, *key)
        if row is None:
            return False
        self.writes.setdefault(table, {})[key] = row | values
        return True

    def delete(self, table: str, key: Key) -> bool:
        """Take a row away; whether it was there."""
        self.lock(table, *key)
        if self.get(table, *key) is None:
            return False
        self.writes.setdefault(table, {})[key] = None
        return True

    def savepoint(self) -> Writes:
        """What was written up to now."""
        return {table: dict(rows) for table, rows in self.writes.items()}


class Server:
    """One database of one node."""

    def __init__(self, world: World, name: str, tables: Tables, *, first_xid: int = 3) -> None:
        """Begin with these tables, all of them on disk; shortly before a number of transactions that is longer."""
        self.world = world
        self.name = name
        self.system_identifier = 1
        self.tables: Tables = tables
        self.next_xid = first_xid
        self.active: dict[int, Transaction] = {}
        self.locks: dict[tuple[str, Key], Transaction] = {}
        self.advisory: dict[object, object] = {}
        self.sessions: list[Any] = []
        self.watchers: list[Callable[[Transaction], None]] = []
        self.answers_lost = 0.0
        self._base = {table: dict(rows) for table, rows in tables.items()}
        self._base_xid = first_xid
        self._log: list[tuple[int, Writes]] = []
        self._flushed = 0

    def oldest_running(self) -> int:
        """`pg_snapshot_xmin(pg_current_snapshot())`: all transactions below have ended."""
        return min(self.active, default=self.next_xid)

    # -- commits

    def write(self, transaction: Transaction) -> None:
        """Write what it did into the log."""
        transaction.is_committing = True
        self._log.append((transaction.xid or 0, transaction.writes))

    def flush(self) -> None:
        """Bring the whole log to disk."""
        self._flushed = len(self._log)

    def show(self, transaction: Transaction) -> None:
        """Let all see what it did, and let go of what it held."""
        for table, rows in transaction.writes.items():
            _apply(self.tables.setdefault(table, {}), rows)
        self.let_go(transaction)
        for watcher in self.watchers:
            watcher(transaction)

    def let_go(self, transaction: Transaction) -> None:
        """End a transaction."""
        transaction.is_over = True
        if transaction.xid is not None:
            self.active.pop(transaction.xid, None)
            for place in [place for place, holder in self.locks.items() if holder is transaction]:
                del self.locks[place]

    def keep(self, transaction: Transaction) -> None:
        """Have what it did on disk and show it, beside the log: as if it had always been there."""
        for table, rows in transaction.writes.items():
            _apply(self._base.setdefault(table, {}), rows)
        self._base_xid = self.next_xid
        self.show(transaction)

    # -- disasters

    def crash(self) -> None:
        """Lose power: sessions break, what was not flushed may be gone, what is left of the log is replayed."""
        kept = self._flushed + self.world.below(len(self._log) - self._flushed + 1)
        self.world.note("crash", self.name, kept, len(self._log))
        self._break_sessions()
        self._log = self._log[:kept]
        self._flushed = kept
        self._replay()
        self.next_xid = max([self._base_xid - 1, *(xid for xid, _ in self._log)]) + 1

    def copy_of_disk(self) -> tuple[Tables, int]:
        """What a backup taken now holds: all that is flushed."""
        tables = {table: dict(rows) for table, rows in self._base.items()}
        for _, writes in self._log[: self._flushed]:
            for table, rows in writes.items():
                _apply(tables.setdefault(table, {}), rows)
        return tables, self.next_xid

    def restore(self, backup: tuple[Tables, int]) -> None:
        """Begin again from a backup, however old."""
        self.world.note("restore", self.name)
        self._break_sessions()
        tables, self.next_xid = backup
        self._base_xid = self.next_xid
        self._base = {table: dict(rows) for table, rows in tables.items()}
        self._log, self._flushed = [], 0
        self._replay()

    def empty(self, tables: Iterable[str]) -> None:
        """Begin with these tables empty, as after a crash those begin that no log holds."""
        for table in tables:
            self._base.pop(table, None)
            self.tables.pop(table, None)
            for _, writes in self._log:
                writes.pop(table, None)

    def durable(self) -> Tables:
        """What would be there if the power went now and all that was not flushed were lost."""
        return self.copy_of_disk()[0]

    def _break_sessions(self) -> None:
        for session in self.sessions:
            session.be_broken()
        self.sessions.clear()
        self.advisory.clear()
        for transaction in list(self.active.values()):
            self.let_go(transaction)
        self.locks.clear()
        self.active.clear()

    def _replay(self) -> None:
        self.tables = {table: dict(rows) for table, rows in self._base.items()}
        for _, writes in self._log:
            for table, rows in writes.items():
                _apply(self.tables.setdefault(table, {}), rows)


def _apply(table: dict[Key, Row], rows: dict[Key, Row | None]) -> None:
    for key, row in rows.items():
        if row is None:
            table.pop(key, None)
        else:
            table[key] = row
