"""Writers take no lock that holds up maintenance, and maintenance none that holds up writers."""

import threading
import time
from collections.abc import Callable

import pytest

from ledger.ledger import Asked, Ledger
from ledger.sealer import seal_once
from ledger.sessions import Session, connect
from tests.ledger.conftest import sealing
from tests.ledger.samples import OFFICER, seizure
from tests.ledger.test_sealer import RAW

MAINTENANCE = (
    "VACUUM ledger.entry",
    "VACUUM (FREEZE) ledger.sealed",
    "ANALYZE ledger.entry",
    "CREATE INDEX CONCURRENTLY by_time ON ledger.entry (recorded_at)",
    "REINDEX INDEX CONCURRENTLY ledger.entry_xid_ordinal",
    "DROP INDEX CONCURRENTLY ledger.by_time",
)


@pytest.mark.parametrize("statement", ["VACUUM ledger.entry", "ANALYZE ledger.entry", "VACUUM ledger.sealed"])
def test_maintenance_runs_beside_an_open_write(
    ledger: Ledger, session: Session, database_url: str, statement: str
) -> None:
    ledger.execute(ledger.new_id(), seizure(), OFFICER)
    seal_once(session)
    with connect(database_url) as writer, writer.transaction():
        writer.execute(RAW, [0, ledger.new_id()])
        modes = writer.execute("""SELECT DISTINCT mode FROM pg_locks WHERE pid = pg_backend_pid()
            AND relation = 'ledger.entry'::regclass ORDER BY mode""").fetchall()
        assert set(modes) <= {("RowExclusiveLock",), ("AccessShareLock",)}
        session.execute("SET lock_timeout = '2s'")
        session.execute(statement.encode())


def test_nobody_waits_for_a_lock_while_tables_are_tended(ledger: Ledger, session: Session, database_url: str) -> None:
    for _ in range(4):
        batch = [Asked(record_id=ledger.new_id(), command=seizure(), command_id=ledger.new_id()) for _ in range(1_000)]
        ledger.execute_all(batch, OFFICER)
    waits: list[tuple[str, str]] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            ledger.execute(ledger.new_id(), seizure(narrative="told"), OFFICER)

    def watch() -> None:
        with connect(database_url) as watcher:
            while not stop.is_set():
                waits.extend(
                    watcher.execute("""SELECT wait_event, query FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'
                      AND query ILIKE '%INSERT%'""").fetchall()
                )
                time.sleep(0.005)

    with sealing(database_url):
        threads = [threading.Thread(target=target) for target in (write, write, watch)]
        _during(threads, lambda: [session.execute(statement.encode()) for statement in MAINTENANCE])
        stop.set()
        for thread in threads:
            thread.join()
    assert waits == []


def _during(threads: list[threading.Thread], work: Callable[[], object]) -> None:
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    work()
