"""Servers and sealers killed with -9 while they write: nothing acknowledged is lost, done twice or moved.

A few rounds by default; `NCEN_SOAK=1` runs twenty. The negative control shows that the test can fail: the same server
loses what was acknowledged without waiting for the disk.
"""

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psutil
import psycopg
import pytest

from cli.postgres import EmbeddedPostgres
from ledger.ledger import Asked, Ledger, Reader, Recorded
from ledger.sessions import connect
from ledger.verify import verify
from tests.ledger.samples import OFFICER, more_goods, seizure

ROUNDS = 20 if os.environ.get("NCEN_SOAK") else 3
SETTINGS = {"shared_buffers": "'32MB'", "wal_writer_delay": "'10s'"}
SEALING = "import sys, threading; from ledger import sealer; sealer.run(sys.argv[1], stop=threading.Event())"


@pytest.fixture
def server(open_folder: Path) -> Iterator[EmbeddedPostgres]:
    """Start a server of its own, that can be killed."""
    own = EmbeddedPostgres(open_folder / "pg", settings=SETTINGS)
    own.start()
    own.create_database("ledger")
    yield own
    own.stop()


def _kill(server: EmbeddedPostgres) -> None:
    """Kill the server and all its children at one moment."""
    postmaster = psutil.Process(server.pid)
    for process in (postmaster, *postmaster.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


class _Writers:
    """Threads that write, remember what was acknowledged, and go on when the server comes back."""

    def __init__(self, ledger: Ledger) -> None:
        self.acknowledged: dict[tuple[UUID, int], UUID] = {}
        self.faults: list[BaseException] = []
        self._ledger = ledger
        self._stop = threading.Event()
        work = [self._single] * 4 + [self._batch, self._again]
        self._threads = [threading.Thread(target=self._run, args=(number, one)) for number, one in enumerate(work)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int, work: object) -> None:
        dice = random.Random(number)
        while not self._stop.is_set():
            try:
                work(dice)  # type: ignore[operator]  # one of those below
            except psycopg.OperationalError:
                time.sleep(0.02)
            except BaseException as fault:  # noqa: BLE001  # told to the test
                self.faults.append(fault)
                return

    def _note(self, answer: Recorded) -> None:
        for entry in answer.entries:
            assert entry.command_id is not None
            self.acknowledged[entry.record_id, entry.version] = entry.command_id

    def _single(self, dice: random.Random) -> None:
        command = seizure(narrative="told") if dice.random() < 0.5 else seizure()
        answer = self._ledger.execute(self._ledger.new_id(), command, OFFICER)
        self._note(answer)
        self._note(self._ledger.execute(answer.record_id, more_goods(), OFFICER))

    def _batch(self, dice: random.Random) -> None:
        asked = [
            Asked(record_id=Ledger.new_id(), command=seizure(), command_id=Ledger.new_id())
            for _ in range(dice.choice((5, 100)))
        ]
        for answer in self._ledger.execute_all(asked, OFFICER):
            assert isinstance(answer, Recorded)
            self._note(answer)

    def _again(self, _: random.Random) -> None:
        """Ask until it is answered, always with the same command id, as a caller does who got no answer."""
        record_id, command_id = self._ledger.new_id(), self._ledger.new_id()
        while not self._stop.is_set():
            try:
                answer = self._ledger.execute(record_id, seizure(), OFFICER, command_id=command_id)
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                self._note(answer)
                return


class _Tail:
    """Follows the sealed order and remembers what it saw."""

    def __init__(self, database_url: str, keys: Path) -> None:
        self.seen: dict[int, tuple[UUID, int]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(database_url, keys))
        self._thread.start()

    def _run(self, database_url: str, keys: Path) -> None:
        with Reader.open(database_url, keys=keys) as reader:
            while not self._stop.is_set():
                try:
                    reader.wait(len(self.seen), 0.2)
                    for entry in reader.read(len(self.seen), 1000):
                        assert entry.position == len(self.seen) + 1
                        self.seen[entry.position] = entry.record_id, entry.version
                except psycopg.OperationalError:
                    time.sleep(0.02)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.timeout(3_600 if ROUNDS > 5 else 300)
def test_nothing_acknowledged_is_lost(server: EmbeddedPostgres, keys: Path) -> None:
    url, dice = server.dsn("ledger"), random.Random(7)
    with Ledger.open(url, node="NL", keys=keys) as ledger:
        sealer = subprocess.Popen([sys.executable, "-c", SEALING, url])
        writers, tail = _Writers(ledger), _Tail(url, keys)
        for number in range(ROUNDS):
            time.sleep(0.5 + dice.random())
            if number % 3 != 1:
                _kill(server)
            if number % 3 != 0:
                sealer.kill()
                sealer.wait()
                time.sleep(dice.random() * 0.2)
                sealer = subprocess.Popen([sys.executable, "-c", SEALING, url])
            server.start()
        time.sleep(0.5)
        writers.stop()
        last = ledger.execute(ledger.new_id(), seizure(), OFFICER)
        ledger.wait_sealed(last.record_id, 1, 60)
        tail.stop()
        sealer.kill()
        sealer.wait()
    assert writers.faults == []
    with connect(url) as session:
        rows = session.execute("SELECT position, record_id, version FROM ledger.sealed ORDER BY position").fetchall()
    verdict = verify(url, keys=keys)
    assert verdict.faults == ()
    assert verdict.unsealed == 0
    sealed = {position: (record_id, version) for position, record_id, version in rows}
    assert len(writers.acknowledged) > 50 * ROUNDS
    assert writers.acknowledged.keys() - set(sealed.values()) == set()
    assert len(set(sealed.values())) == len(sealed) == verdict.entries
    assert tail.seen.items() <= sealed.items()  # no position ever changed its entry
    _assert_once(url, keys, writers.acknowledged)


def _assert_once(url: str, keys: Path, acknowledged: dict[tuple[UUID, int], UUID]) -> None:
    """Each command made its entries in one piece and once."""
    with Reader.open(url, keys=keys) as reader:
        made: dict[UUID, list[tuple[UUID, int]]] = {}
        after = 0
        while entries := reader.read(after, 5_000):
            for entry in entries:
                assert entry.command_id is not None
                made.setdefault(entry.command_id, []).append((entry.record_id, entry.version))
            after = entries[-1].position or 0
    for (record_id, version), command_id in acknowledged.items():
        assert (record_id, version) in made[command_id]
        assert len(made[command_id]) <= 2
        assert {record for record, _ in made[command_id]} == {record_id}


def test_control_that_does_not_wait_for_the_disk_loses(server: EmbeddedPostgres, keys: Path) -> None:
    url = server.dsn("ledger")
    Ledger.open(url, node="NL", keys=keys).close()
    acknowledged = set()
    with connect(url) as session:
        session.execute("SET synchronous_commit = off")
        for _ in range(200):
            record_id = Ledger.new_id()
            session.execute(
                """INSERT INTO ledger.entry (ordinal, record_id, version, recorded_at, node, name, personal, body)
                   VALUES (0, %s, 1, now(), 'NL', 'seizure.recorded', false, '')""",
                [record_id],
            )
            acknowledged.add(record_id)
        _kill(server)
    server.start()
    with connect(url) as session:
        kept = {row[0] for row in session.execute("SELECT record_id FROM ledger.entry")}
    assert acknowledged - kept
