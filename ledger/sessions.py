"""How the ledger connects to PostgreSQL: binary, autocommit, with bounds on everything that could wait for ever.

A session that writes commits synchronously whatever the server's default is, and no session may hold a transaction
open for long, since a forgotten writing transaction holds up the sealer. Sessions are never shared between threads at
the same time; one whose connection broke is thrown away.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

T = TypeVar("T")
Session = psycopg.Connection[tuple[Any, ...]]

CONNECT_TIMEOUT_S = 10
WRITE_TIMEOUT_MS = 60_000
READ_TIMEOUT_MS = 300_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
UNACKNOWLEDGED_TIMEOUT_MS = 30_000  # a peer that vanished without a word is noticed after this
KNOWS_TRANSACTION_TIMEOUT = 170_000  # server_version_num


def connect(database_url: str, *, statement_timeout_ms: int = WRITE_TIMEOUT_MS) -> Session:
    """Open a session in autocommit mode whose commits are flushed before they are acknowledged.

    Raises:
        psycopg.OperationalError: the server cannot be reached.
    """
    given = conninfo_to_dict(database_url)
    bounds: dict[str, int | str] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "tcp_user_timeout": UNACKNOWLEDGED_TIMEOUT_MS,
        "application_name": "ncen",
    }
    missing = {name: value for name, value in bounds.items() if name not in given}
    connection = psycopg.connect(make_conninfo(database_url, **missing), autocommit=True)
    try:
        _configure(connection, statement_timeout_ms)
    except BaseException:
        connection.close()
        raise
    return connection


def _configure(connection: Session, statement_timeout_ms: int) -> None:
    settings: dict[str, int | str] = {
        "statement_timeout": statement_timeout_ms,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT_MS,
        "plan_cache_mode": "force_custom_plan",  # the size of a range decides how it is best read
        "client_min_messages": "warning",
        "TimeZone": "UTC",
    }
    if connection.info.server_version >= KNOWS_TRANSACTION_TIMEOUT:
        settings["transaction_timeout"] = statement_timeout_ms
    calls = ", ".join("set_config(%s, %s, false)" for _ in settings)
    # "on" also waits for synchronous standbys; a stronger default of the server is left as it is.
    query = (
        f"SELECT {calls}, set_config('synchronous_commit',"
        " CASE WHEN current_setting('synchronous_commit') = 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)"
    )
    connection.execute(query, [text for pair in settings.items() for text in map(str, pair)])


class Sessions:
    """A bounded stack of sessions for reading; threads wait for one to become free."""

    def __init__(self, database_url: str, most: int) -> None:
        """Connect lazily, to at most `most` sessions."""
        self._database_url = database_url
        self._free: list[Session] = []
        self._places = threading.BoundedSemaphore(most)
        self._is_closed = False

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lend a session; one that has been idle while the server restarted is replaced on the next use."""
        with self._places:
            connection = self._take()
            try:
                yield connection
            finally:
                if self._is_closed or connection.closed:
                    connection.close()
                else:
                    self._free.append(connection)

    def ask(self, question: Callable[[Session], T]) -> T:
        """Read through a session; once more through a new one when it broke, since reading is harmless."""
        for is_last in (False, True):
            with self.session() as session:
                try:
                    return question(session)
                except psycopg.OperationalError:
                    if is_last or not session.closed:
                        raise
                    self._close_free()  # the others broke at the same moment, or will show that they did not
        raise AssertionError("the second try returns or raises")

    def _take(self) -> Session:
        while self._free:
            connection = self._free.pop()
            if not connection.closed:
                return connection
        return connect(self._database_url, statement_timeout_ms=READ_TIMEOUT_MS)

    def close(self) -> None:
        """Close the sessions that are free, and each other one when it is given back."""
        self._is_closed = True
        self._close_free()

    def _close_free(self) -> None:
        while self._free:
            self._free.pop().close()
