"""What keeping tables in step costs: our projector catching up from nothing, beside the library's ProjectionRunner.

Both read and decode the same events and leave the very same rows behind: those of the seizures projection. Ours folds
them in batches; for the library they lie ready. The rebuild is the projector's own, into fresh tables beside those that
serve, with their indexes and the swap.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresFactory
from eventsourcing.utils import Environment
from psycopg import sql

from bench import library, library_view
from bench.filling import fill, seal_all
from bench.rounds import Finding, alternate, finding
from bench.server import Place, Server
from projections import positions, projector
from projections.catalogue import PROJECTIONS

NAMES = ("project-vs-library", "rebuild")
LONG_NAMES = ("rebuild-million-s",)
NAME = "seizures"
ENTRIES = 20_000
LIBRARY_EVENTS = 1_500
REBUILT = 60_000
MILLION = 1_000_000
REBUILD_TARGET_S = 60.0
WAIT_S = 600.0


def measure(server: Server, wanted: set[str], *, rounds: int) -> Iterator[Finding]:
    """Catch up again and again; then rebuild once."""
    if "project-vs-library" in wanted:
        yield _catching_up(server, rounds)
    if "rebuild" in wanted:
        took = _rebuilt(server, REBUILT)
        yield finding(
            "rebuild",
            [REBUILT / took],
            [MILLION / REBUILD_TARGET_S],
            baseline_name="target: a million in 60 s",
            unit="entries/s",
            target="≥ 1",
            note=f"{REBUILT:,} entries into fresh tables, with their indexes and the swap",
        )


def measure_rebuild(server: Server, wanted: set[str]) -> Iterator[Finding]:
    """Rebuild the seizures projection from a million entries."""
    if "rebuild-million-s" in wanted:
        yield finding(
            "rebuild-million-s",
            [_rebuilt(server, MILLION)],
            [REBUILD_TARGET_S],
            baseline_name="target 60 s",
            unit="s",
            target="≤ 1",
        )


def _catching_up(server: Server, rounds: int) -> Finding:
    place = server.place("project")
    entries = fill(place, ENTRIES)
    seal_all(place)
    _catch_up(place, entries)
    settings, last = _give_library(place)

    def ours() -> float:
        with psycopg.connect(place.url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA read, read_fresh CASCADE")
        server.settle()
        return entries / _catch_up(place, entries)

    def theirs() -> float:
        with psycopg.connect(place.url, autocommit=True) as connection:
            connection.execute("TRUNCATE theirs.seizure, theirs.seizure_line, theirs.seizure_state")
            connection.execute("DROP TABLE IF EXISTS bench_view_tracking")
        server.settle()
        return (last - 1) / library_view.catch_up(settings, last)

    measured = alternate({"ours": ours, "theirs": theirs}, rounds)
    server.drop(place)
    return finding(
        "project-vs-library",
        measured["ours"],
        measured["theirs"],
        baseline_name="eventsourcing's ProjectionRunner, rows ready",
        unit="entries/s",
        target="≥ 20",
        note=f"{entries:,} entries ours, {LIBRARY_EVENTS:,} theirs",
    )


@contextlib.contextmanager
def _projecting(place: Place) -> Iterator[None]:
    stop = threading.Event()
    arguments: dict[str, Any] = {
        "keys": Path(place.folder),
        "stop": stop,
        "projections": [PROJECTIONS[NAME]],
    }
    thread = threading.Thread(target=projector.run, args=[place.url], kwargs=arguments)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _catch_up(place: Place, entries: int) -> float:
    began = time.perf_counter()
    with _projecting(place):
        if not positions.wait_for(place.url, entries, WAIT_S, [NAME]):
            raise TimeoutError(f"the projector did not reach {entries} in {WAIT_S:.0f} s")
        return time.perf_counter() - began


def _rebuilt(server: Server, wanted: int) -> float:
    """Fill, seal, project, and then rebuild; seconds from asking for it until the fresh tables serve."""
    place = server.place("rebuild")
    entries = fill(place, wanted)
    seal_all(place)
    with _projecting(place), psycopg.connect(place.url, autocommit=True) as connection:
        if not positions.wait_for(place.url, entries, WAIT_S, [NAME]):
            raise TimeoutError(f"the projector did not reach {entries} in {WAIT_S:.0f} s")
        server.settle()
        positions.rebuild(place.url, NAME)
        began = time.perf_counter()
        while _is_rebuilding(connection):
            if time.perf_counter() - began > WAIT_S:
                raise TimeoutError(f"the rebuild took more than {WAIT_S:.0f} s")
            time.sleep(0.02)
        took = time.perf_counter() - began
    server.drop(place)
    return took


def _is_rebuilding(connection: psycopg.Connection[Any]) -> bool:
    query = "SELECT count(*) FROM read.position WHERE name = %s AND is_fresh"
    return connection.execute(query, (NAME,), prepare=True).fetchone() != (0,)


def _give_library(place: Place) -> tuple[dict[str, str], int]:
    """Put the first events into the library's own recorder, and their rows where its view finds them."""
    settings = library.environment(place, over_tcp=True, connections=2)
    with psycopg.connect(place.url, autocommit=True) as connection:
        query = """
            SELECT s.record_id, s.version, e.name, e.body
            FROM ledger.sealed s JOIN ledger.entry e USING (record_id, version)
            ORDER BY s.position LIMIT %s
        """
        events = [StoredEvent(*row) for row in connection.execute(query, (LIBRARY_EVENTS + 1,), binary=True)]
        connection.execute("CREATE SCHEMA theirs")
        for table in PROJECTIONS[NAME].TABLES:
            _make_ready(connection, table.name, [event.originator_id for event in events])
    with PostgresFactory(Environment(library.NAME, settings)) as factory:
        numbers = factory.application_recorder().insert_events(events) or ()
    return settings, max(numbers)


def _make_ready(connection: psycopg.Connection[Any], table: str, record_ids: list[Any]) -> None:
    """Make an equal table, unlogged as ours, and read the rows that our projector wrote for these records."""
    ours, theirs = sql.Identifier("read", table), sql.Identifier("theirs", table)
    connection.execute(sql.SQL("CREATE UNLOGGED TABLE {} (LIKE {} INCLUDING ALL)").format(theirs, ours))
    rows = connection.execute(
        sql.SQL("SELECT record_id, told.* FROM {} AS told WHERE record_id = ANY(%s)").format(ours), [record_ids]
    ).fetchall()
    values = sql.SQL(", ").join([sql.Placeholder()] * (len(rows[0]) - 1))
    statement = sql.SQL("INSERT INTO {} VALUES ({})").format(theirs, values).as_bytes(connection)
    for record_id, *row in rows:
        library_view.READY.setdefault(record_id, []).append((statement, row))
