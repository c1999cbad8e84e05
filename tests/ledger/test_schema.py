"""Preparing: any number of times, by any number at once, and never on a server that would lose what it was given."""

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cli.postgres import EmbeddedPostgres
from ledger import schema, sealer
from ledger.errors import Unsafe
from ledger.ledger import Ledger
from ledger.schema import Durability
from ledger.sessions import connect
from tests.ledger.samples import OFFICER, seizure

SAFE = {
    "server_version": 180_006,
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "data_checksums": "on",
}


def test_prepared_by_many_at_once(database_url: str) -> None:
    faults: list[BaseException] = []

    def prepare() -> None:
        try:
            schema.prepare(database_url, node="NL")
        except BaseException as fault:  # noqa: BLE001  # told to the test
            faults.append(fault)

    threads = [threading.Thread(target=prepare) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    schema.prepare(database_url)
    with connect(database_url) as session:
        assert session.execute("SELECT name, schema_version FROM ledger.node").fetchall() == [("NL", 1)]
        assert session.execute("SELECT size FROM ledger.seal_state").fetchall() == [(0,)]


def test_ledger_of_another_program_is_left_alone(database_url: str) -> None:
    schema.prepare(database_url)
    with connect(database_url) as session:
        session.execute("UPDATE ledger.node SET schema_version = 99")
    with pytest.raises(Unsafe, match="version 99"):
        schema.prepare(database_url)


@pytest.mark.parametrize(
    ("setting", "value", "what"),
    [
        ("fsync", "off", "fsync is off"),
        ("full_page_writes", "off", "full_page_writes is off"),
        ("synchronous_commit", "off", "synchronous_commit is off"),
        ("server_version", 140_012, "PostgreSQL 14 is too old"),
    ],
)
def test_each_unsafe_setting_is_named(setting: str, value: object, what: str) -> None:
    with pytest.raises(Unsafe, match=what):
        Durability(**{**SAFE, setting: value}).require_safe()  # type: ignore[arg-type]  # by name
    Durability(**SAFE).require_safe()  # type: ignore[arg-type]  # by name


@pytest.fixture
def careless(open_folder: Path) -> Iterator[EmbeddedPostgres]:
    """Start a server that an operator has made quick and unsafe."""
    server = EmbeddedPostgres(open_folder / "pg", settings={"shared_buffers": "'32MB'", "fsync": "off"})
    server.start()
    server.create_database("careless")
    yield server
    server.stop()


def test_node_refuses_a_server_without_fsync(careless: EmbeddedPostgres, keys: Path) -> None:
    url = careless.dsn("careless")
    for refused in (
        lambda: schema.prepare(url, node="NL"),
        lambda: Ledger.open(url, node="NL", keys=keys),
        lambda: sealer.run(url, stop=threading.Event()),
    ):
        with pytest.raises(Unsafe, match="Set fsync = on"):
            refused()
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute("SELECT to_regnamespace('ledger')").fetchone() == (None,)


def test_database_that_does_not_wait_for_its_disk_is_refused(database_url: str, keys: Path) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off'.encode())
    with pytest.raises(Unsafe, match="synchronous_commit is off"):
        Ledger.open(database_url, node="NL", keys=keys)


@pytest.mark.parametrize(("given", "kept"), [("local", "on"), ("remote_write", "on"), ("remote_apply", "remote_apply")])
def test_sessions_wait_for_the_disk_whatever_the_default(database_url: str, given: str, kept: str) -> None:
    with connect(f"{database_url} options='-c synchronous_commit={given}'") as session:
        assert session.execute("SHOW synchronous_commit").fetchone() == (kept,)
        assert session.execute("SHOW statement_timeout").fetchone() == ("1min",)
        assert session.execute("SHOW idle_in_transaction_session_timeout").fetchone() == ("1min",)
        if session.info.server_version >= 170_000:
            assert session.execute("SHOW transaction_timeout").fetchone() == ("1min",)


def test_checksums_are_reported(database_url: str) -> None:
    with connect(database_url) as session:
        found = schema.durability(session)
    assert (found.data_checksums, found.fsync) == ("on", "on")


def test_refused_refuses_also_through_an_open_ledger(ledger: Ledger) -> None:
    """An error of the server that is not a conflict is told as it is, and the next command works."""
    with connect(ledger._database_url) as session:
        session.execute("ALTER TABLE ledger.entry ADD CONSTRAINT never CHECK (version < 2) NOT VALID")
    record_id = ledger.new_id()
    with pytest.raises(psycopg.errors.CheckViolation):
        ledger.execute(record_id, seizure(narrative="told"), OFFICER)
    assert ledger.entries(record_id) == []
    assert ledger.execute(record_id, seizure(), OFFICER).version == 1
