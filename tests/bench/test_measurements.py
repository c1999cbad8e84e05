"""Every measurement runs in miniature, on a real server: its sides do what they say, and its rows come out whole."""

from collections.abc import Iterator

import psycopg
import pytest

from bench import appending, importing, projecting, reading, rewrapping, sealing, upkeep
from bench.__main__ import MEASUREMENTS
from bench.filling import fill, seal_all
from bench.rounds import Finding
from bench.server import Server, require_safe, running
from bench.writing import Shape, crew
from ledger import verify


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


def whole(findings: Iterator[Finding]) -> dict[str, Finding]:
    found = {one.row.name: one for one in findings}
    assert all(one.row.ours > 0 and one.row.baseline > 0 for one in found.values())
    return found


def test_names_are_given_once() -> None:
    names = [name for names, _ in MEASUREMENTS for name in names]
    assert len(names) == len(set(names))


def test_the_rows_that_were_promised_are_there() -> None:
    names = {name for names, _ in MEASUREMENTS for name in names}
    singles = {"append-1", "append-8", "append-8-vs-library", "replay", "project-vs-library", "import"}
    batches = {"append-batch-100", "append-batch-1000", "append-batch-1000-vs-library"}
    assert singles | batches | {"seal", "seal-delay-p99-ms"} <= names


def test_an_unsafe_server_is_not_measured(server: Server) -> None:
    place = server.place("unsafe")
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off")
        try:
            with pytest.raises(SystemExit, match="synchronous_commit"):
                require_safe(place.url)
        finally:
            connection.execute("ALTER ROLE CURRENT_USER RESET synchronous_commit")
    server.drop(place)


def test_the_baseline_writes_the_very_bytes_that_we_stored(server: Server) -> None:
    place = server.place("bytes")
    with crew("bench.plain:Inserts", place, Shape()) as writers:
        writers.turn(0.2)
    with psycopg.connect(place.url) as connection:
        alien = connection.execute(
            "SELECT count(*) FROM bench.entry b WHERE NOT EXISTS (SELECT FROM ledger.entry e WHERE e.body = b.body"
            " AND e.attribution = b.attribution AND e.attribution_salt = b.attribution_salt AND e.name = b.name)"
        ).fetchone()
        written = connection.execute("SELECT count(*), count(DISTINCT record_id) FROM bench.entry").fetchone()
        indexes = connection.execute(
            "SELECT count(*) FILTER (WHERE schemaname = 'bench'), count(*) FILTER (WHERE schemaname = 'ledger')"
            " FROM pg_indexes WHERE tablename = 'entry'"
        ).fetchone()
    server.drop(place)
    assert alien == (0,)
    assert written is not None
    assert written[0] == written[1] > 20, "every write has its own record"
    assert indexes is not None
    assert indexes[0] == indexes[1] > 0, "the equal table has the same indexes"


def test_a_writer_that_fails_is_heard_of(server: Server) -> None:
    place = server.place("failing")
    with crew("bench.library:Recorder", place, Shape()) as writers:
        with psycopg.connect(place.url, autocommit=True) as connection:
            connection.execute("DROP TABLE bench_events")
        with pytest.raises(RuntimeError, match="bench_events"):
            writers.turn(0.1)
    server.drop(place)


def test_a_ledger_that_was_filled_quickly_verifies(server: Server) -> None:
    place = server.place("filled")
    entries = fill(place, 1_300)
    assert seal_all(place) == entries
    verdict = verify.verify(place.url)
    server.drop(place)
    assert verdict.entries == entries
    assert not verdict.faults


def test_appending(server: Server) -> None:
    wanted = {"append-1", "append-1-vs-libpq", "append-1-vs-library", "append-batch-100", "append-batch-100-vs-insert"}
    found = whole(appending.measure(server, wanted, rounds=1, seconds=0.2))
    assert found.keys() == wanted


def test_sealing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "BACKLOG", 1_500)
    monkeypatch.setattr(sealing, "RATE", 100)
    found = whole(sealing.measure(server, set(sealing.NAMES), rounds=1, seconds=1.0))
    assert found.keys() == set(sealing.NAMES)
    assert found["seal-delay-p50-ms"].row.ours <= found["seal-delay-p99-ms"].row.ours


def test_replay(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ENTRIES", 1_500)
    assert whole(reading.measure(server, {"replay"}, rounds=1)).keys() == {"replay"}


def test_projecting(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projecting, "ENTRIES", 1_500)
    monkeypatch.setattr(projecting, "LIBRARY_EVENTS", 50)
    monkeypatch.setattr(projecting, "REBUILT", 1_500)
    found = whole(projecting.measure(server, set(projecting.NAMES), rounds=1))
    assert found.keys() == set(projecting.NAMES)


def test_importing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "ROWS", 600)
    found = whole(importing.measure(server, set(importing.NAMES), rounds=1))
    assert found.keys() == set(importing.NAMES)


def test_upkeep(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "ENTRIES", 1_500)
    assert whole(upkeep.measure(server, {"maintenance-stall-ms"}, rounds=1, seconds=0.7))


def test_a_rotation_is_measured_with_every_key_wrapped_anew(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrapping, "QUICK", 300)
    found = whole(rewrapping.measure(server, set(rewrapping.NAMES), rounds=2, is_long=False))
    assert "300 keys" in found["rewrap-1m-s"].note
