"""An import that is killed goes on where it stopped: no row is lost, and none is there twice."""

import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from cli.postgres import EmbeddedPostgres
from domain.entry import Entry
from intake.importing import import_seizures
from ledger.ledger import Ledger
from ledger.sessions import connect
from tests.intake.conftest import BY, HEADER, REGISTER

ROWS = 6_000

IMPORT = """
import os, sys
from pathlib import Path
from intake.importing import import_seizures
from ledger.ledger import Ledger
from tests.intake.conftest import BY

url, keys, file, mapping = sys.argv[1:]

def say(done, rows):
    print(done, flush=True)

with Ledger.open(url, node="XA", keys=Path(keys)) as ledger:
    outcome = import_seizures(ledger, file, mapping, BY, on_progress=say)
print("whole", outcome.recorded, outcome.unchanged, flush=True)
"""


def register(path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER + "\n")
        for number in range(ROWS):
            words = "hidden in the lining" if number % 3 == 0 else ""
            file.write(f"{number % 4_000},XAPORT,2024-05-01,in,cocaine,{number + 1}.5,kg,{words}\n")


def content(url: str, keys: Path) -> dict[tuple[UUID, int], object]:
    """Everything on record: the event of each record and version, opened."""
    with Ledger.open(url, node="XA", keys=keys) as ledger, connect(url) as session:
        ids = [row[0] for row in session.execute("SELECT DISTINCT record_id FROM ledger.entry")]
        entries: list[Entry] = [entry for stand in ledger.stands(ids).values() for entry in stand.entries]
    return {(entry.record_id, entry.version): entry.event for entry in entries}


@pytest.mark.timeout(600)
def test_an_import_killed_again_and_again_comes_to_the_same_as_one_that_was_not(
    database_url: str, postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    file, mapping, keys = tmp_path / "file.csv", tmp_path / "mapping.toml", tmp_path / "keys"
    register(file)
    mapping.write_text(REGISTER, encoding="utf-8")
    command = [sys.executable, "-c", IMPORT, database_url, str(keys), str(file), str(mapping)]
    for _ in range(3):
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        assert running.stdout is not None
        with running.stdout as said:
            said.readline()  # a batch is in, and the next is on its way
            said.readline()
            running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=300, check=True
    )
    word, recorded, unchanged = ended.stdout.splitlines()[-1].split()
    assert (word, int(recorded) + int(unchanged)) == ("whole", ROWS)
    assert int(unchanged) >= 2_000, "what was in before is found there"
    with connect(database_url) as session:
        taken = session.execute("SELECT count(*) FROM ledger.entry WHERE name = 'seizure.recorded'").fetchone()
    assert taken == (ROWS,)
    postgres_server.create_database("uninterrupted")
    try:
        whole = postgres_server.dsn("uninterrupted")
        with Ledger.open(whole, node="XA", keys=tmp_path / "keys-2") as ledger:
            ledger.intake_key = (keys / "intake.key").read_bytes()  # the same node's, so that ids can be compared
            assert import_seizures(ledger, file, mapping, BY).recorded == ROWS
        assert content(database_url, keys) == content(whole, tmp_path / "keys-2")
    finally:
        postgres_server.drop_database("uninterrupted")
