"""A session with a simulated server, in the shape of psycopg's connection as far as our code uses it.

Each statement is a seam at which others may go on, the process be killed or the power go. A statement is known by its
exact text: the simulation refuses what it was not told, so that our SQL and what stands for it here cannot drift apart
unseen.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from struct import unpack_from
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import psycopg
from psycopg import errors, pq, sql

from ledger.binary import COPY_HEADER
from tests.simulation.disk import Server, Transaction, Writes
from tests.simulation.world import Killed, Unknown

Rows = list[tuple[Any, ...]]
Answer = tuple[Rows, int]
Handler = Callable[["Session", Transaction, Sequence[Any]], Answer]
CopyHandler = Callable[[Transaction, Rows], None]

STATEMENTS: dict[str, Handler] = {}
COPIES: dict[str, CopyHandler] = {}
EMPTY: set[str] = set()
"""Tables that hold nothing here: what is asked of them, and of them alone, has no answer."""
_texts: dict[object, str] = {}


def as_text(query: object) -> str:
    """A statement in one line."""
    known = _texts.get(query) if isinstance(query, str | bytes) else None
    if known is not None:
        return known
    raw = query
    if isinstance(query, sql.Composable):
        raw = query.as_string(None)
    text = " ".join((raw.decode() if isinstance(raw, bytes) else str(raw)).split())
    if isinstance(query, str | bytes):
        _texts[query] = text
    return text


def statement(query: object) -> Callable[[Handler], Handler]:
    """What stands for a statement: it answers rows and how many were touched."""

    def told(handler: Handler) -> Handler:
        STATEMENTS[as_text(query)] = handler
        return handler

    return told


def copy_into(query: object) -> Callable[[CopyHandler], CopyHandler]:
    """What stands for a COPY: it takes rows, of values as written or of binary fields."""

    def told(handler: CopyHandler) -> CopyHandler:
        COPIES[as_text(query)] = handler
        return handler

    return told


class Session:
    """A connection in autocommit mode."""

    def __init__(self, server: Server, *, is_synchronous: bool = True) -> None:
        """Connect; `is_synchronous` is the setting `synchronous_commit`."""
        self.server = server
        self.world = server.world
        self.is_synchronous = is_synchronous
        self.closed = False
        self.prepare_threshold: int | None = 5
        self._transaction: Transaction | None = None
        self._depth = 0
        server.sessions.append(self)
        self.pgconn = Wire(self)
        if self.world.current is not None:
            self.world.current.on_kill.append(self.be_abandoned)

    # -- ends

    def be_broken(self) -> None:
        """The server is gone."""
        self.closed = True
        if self._transaction is not None:
            self._transaction.is_over = True

    def be_abandoned(self) -> None:
        """The client is gone: what it has sent to be committed is committed, the rest is rolled back."""
        self._end_abandoned()
        self.close()

    def _end_abandoned(self) -> None:
        transaction = self._transaction
        if transaction is not None and not transaction.is_over:
            if transaction.is_committing:
                if self.is_synchronous:
                    self.server.flush()
                self.server.show(transaction)
            else:
                self.server.let_go(transaction)

    def close(self) -> None:
        """Close it; what was not committed is rolled back."""
        if self._transaction is not None and not self._transaction.is_over:
            self.server.let_go(self._transaction)
        self._transaction = None
        self.closed = True
        if self in self.server.sessions:
            self.server.sessions.remove(self)
        for lock in [lock for lock, holder in self.server.advisory.items() if holder is self]:
            del self.server.advisory[lock]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _require_open(self) -> None:
        if self.closed:
            raise psycopg.OperationalError("the connection is lost")

    def _seam(self) -> None:
        self.world.pause()
        self._require_open()

    # -- transactions

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction, or a savepoint within one."""
        self._require_open()
        is_outer = self._transaction is None
        if self._transaction is None:
            self._transaction = Transaction(self.server)
        transaction = self._transaction
        before: Writes = {} if is_outer else transaction.savepoint()
        try:
            yield
        except Killed:
            raise
        except BaseException:
            if is_outer:
                self._transaction = None
                if not transaction.is_over:
                    self.server.let_go(transaction)
            else:
                transaction.writes, transaction.is_failed = before, False
            raise
        if is_outer:
            self._commit(transaction)

    def _commit(self, transaction: Transaction) -> None:
        """Write, flush, show and answer, with a seam between each two."""
        self._require_open()
        server = self.server
        if transaction.is_failed:
            self._transaction = None
            server.let_go(transaction)
            raise errors.InFailedSqlTransaction("the transaction has failed")
        if not transaction.writes:
            self._transaction = None
            server.let_go(transaction)
            return
        self._seam()
        server.write(transaction)
        self._seam()
        if self.is_synchronous:
            server.flush()
            self._seam()
        self._transaction = None
        server.show(transaction)
        if self.world.chance(server.answers_lost):
            self.close()
        self._seam()

    def within(self, work: Callable[[Transaction], Answer]) -> Answer:
        """Do something in the transaction that is open, or in one of its own."""
        self._require_open()
        transaction = self._transaction
        if transaction is not None:
            if transaction.is_failed:
                raise errors.InFailedSqlTransaction("the transaction has failed")
            self._seam()
            try:
                return work(transaction)
            except psycopg.Error:
                transaction.is_failed = True
                raise
        with self.transaction():
            assert self._transaction is not None
            self._seam()
            return work(self._transaction)

    # -- statements

    def execute(self, query: object, parameters: Sequence[Any] = (), **_: object) -> "Cursor":
        """Execute a statement."""
        return Cursor(self).execute(query, parameters)

    def cursor(self, **_: object) -> "Cursor":
        """A cursor of this session."""
        return Cursor(self)


class Cursor:
    """What a statement answered."""

    DESCRIPTIONS: ClassVar[dict[str, Sequence[Any]]] = {}
    """The columns of those few answers that are asked for their columns."""

    def __init__(self, session: Session) -> None:
        """Nothing was asked yet."""
        self._session = session
        self._rows: Rows = []
        self._place = 0
        self.rowcount = -1
        self.description: Sequence[Any] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows = []

    def execute(self, query: object, parameters: Sequence[Any] = (), **_: object) -> Self:
        """Execute a statement."""
        text = as_text(query)
        handler = STATEMENTS.get(text) or _of_an_empty_table(text)
        if handler is None:
            raise Unknown(f"the simulation does not know this statement: {text}")
        session = self._session
        self._rows, self.rowcount = session.within(lambda transaction: handler(session, transaction, parameters))
        self._place = 0
        self.description = self.DESCRIPTIONS.get(text, ())
        return self

    def executemany(self, query: object, many: Sequence[Sequence[Any]]) -> None:
        """Execute a statement for each of many."""
        for parameters in many:
            self.execute(query, parameters)

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row."""
        if self._place >= len(self._rows):
            return None
        self._place += 1
        return self._rows[self._place - 1]

    def fetchall(self) -> Rows:
        """The rows that are left."""
        rows, self._place = self._rows[self._place :], len(self._rows)
        return rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.fetchall())

    @contextmanager
    def copy(self, query: object) -> Iterator["Copy"]:
        """Take rows in; they are there when the context ends."""
        handler = COPIES.get(as_text(query))
        if handler is None:
            raise Unknown(f"the simulation does not know this statement: {as_text(query)}")
        sink = Copy()
        yield sink

        def work(transaction: Transaction) -> Answer:
            handler(transaction, sink.rows())
            return [], -1

        self._session.within(work)


def _of_an_empty_table(text: str) -> Handler | None:
    """What stands for plain columns from a table that is empty, or a change of its rows: nothing is there."""
    wanted, _, rest = text.partition(" FROM ")
    is_read = wanted.startswith("SELECT ") and "(" not in wanted and rest.split(" ")[0] in EMPTY
    is_changed = text.startswith("UPDATE ") and text.split(" ")[1] in EMPTY
    if not is_read and not is_changed:
        return None
    STATEMENTS[text] = _nothing
    return _nothing


def _nothing(_: Session, __: Transaction, ___: Sequence[Any]) -> Answer:
    return [], 0


class Copy:
    """Rows on their way into a table."""

    def __init__(self) -> None:
        """None yet."""
        self._written: Rows = []
        self._raw: list[bytes] = []

    def set_types(self, types: Sequence[str]) -> None:
        """Say what the columns are; nothing depends on it here."""

    def write_row(self, row: Sequence[Any]) -> None:
        """Take a row of values."""
        self._written.append(tuple(row))

    def write(self, data: bytes) -> None:
        """Take bytes of PostgreSQL's binary form."""
        self._raw.append(data)

    def rows(self) -> Rows:
        """The rows, of values or of binary fields, as they were written."""
        return self._written or list(_binary_rows(b"".join(self._raw)))


def _binary_rows(raw: bytes) -> Iterator[tuple[Any, ...]]:
    at = len(COPY_HEADER)
    while (count := unpack_from("!h", raw, at)[0]) >= 0:
        at += 2
        fields: list[bytes | None] = []
        for _ in range(count):
            field, at = _field(raw, at)
            fields.append(field)
        yield tuple(fields)


def _field(raw: bytes, at: int) -> tuple[bytes | None, int]:
    (length,) = unpack_from("!i", raw, at)
    at += 4
    return (None, at) if length < 0 else (raw[at : at + length], at + length)


def array_elements(raw: bytes) -> list[bytes | None]:
    """The elements of an array of one dimension in PostgreSQL's binary form."""
    (count,) = unpack_from("!i", raw, 12)
    at, found = 20, []
    for _ in range(count):
        element, at = _field(raw, at)
        found.append(element)
    return found


class Wire:
    """The session as libpq shows it: what `ledger.insertion` speaks to."""

    def __init__(self, session: Session) -> None:
        """Speak through this session."""
        self._session = session
        self.prepared: dict[bytes, str] = {}

    @property
    def status(self) -> int:
        """Whether the connection holds."""
        return pq.ConnStatus.BAD if self._session.closed else pq.ConnStatus.OK

    def prepare(self, name: bytes, query: bytes, _types: Sequence[int]) -> SimpleNamespace:
        """Remember a statement by name."""
        self.prepared[name] = as_text(query)
        return SimpleNamespace(status=pq.ExecStatus.COMMAND_OK)

    def exec_prepared(self, name: bytes, values: Sequence[bytes | None], *_: object) -> object:
        """Execute a statement by name, in a transaction of its own."""
        handler, session = STATEMENTS[self.prepared[name]], self._session
        try:
            session.within(lambda transaction: handler(session, transaction, values))
        except psycopg.OperationalError as error:
            if session.closed:
                raise
            return Fault(error)
        except psycopg.Error as error:
            return Fault(error)
        return SimpleNamespace(status=pq.ExecStatus.COMMAND_OK)

    def exec_params(self, query: bytes, values: Sequence[bytes | None], *_: object) -> object:
        """Execute a statement that nobody has prepared."""
        self.prepared[query] = as_text(query)
        return self.exec_prepared(query, values)


class Fault:
    """What the server answered to what it would not do."""

    status = pq.ExecStatus.FATAL_ERROR

    def __init__(self, error: psycopg.Error) -> None:
        """Answer with this error."""
        self._error = error

    def error_field(self, field: int) -> bytes:
        """Its SQLSTATE, or the constraint that it broke."""
        if field == pq.DiagnosticField.CONSTRAINT_NAME:
            return (self._error.diag.constraint_name or "").encode()
        return (self._error.sqlstate or "XX000").encode()

    def get_error_message(self, _encoding: str = "utf-8") -> str:
        """Its words."""
        return str(self._error)
