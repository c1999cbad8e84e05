"""Faults of disk, memory and clock under a ledger that is written to: nothing acknowledged is lost, nobody hangs.

What this machine cannot do is skipped with a reason that says so.
"""

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Self
from uuid import UUID, uuid4

import psycopg
import pytest

from cli.output import ExitCode, code_of, sentence_of
from cli.postgres import EmbeddedPostgres
from ledger import checkpoints
from ledger.ledger import Ledger
from ledger.prover import Prover
from ledger.sealer import seal_once
from ledger.sessions import Session, connect
from ledger.verify import verify
from soak.place import DATABASE, folder, kill, server
from tests.ledger.samples import OFFICER, more_goods, seizure

NODE = "NL"
SEGMENT_BYTES = 16 << 20

pytestmark = pytest.mark.xdist_group("faults")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED HERE: only root can make a small disk")


def traces() -> str | None:
    """Return why nothing can be injected into a server, None when it can."""
    program = shutil.which("strace")
    if os.geteuid() != 0 or program is None:
        return "NOT TESTED HERE: it needs root and strace"
    done = subprocess.run([program, "-e", "trace=none", "true"], capture_output=True, check=False, timeout=20)
    return None if done.returncode == 0 else "NOT TESTED HERE: this machine does not let strace look"


needs_strace = pytest.mark.skipif(traces() is not None, reason=str(traces()))


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedPostgres]:
    """A server of these tests alone: they kill and damage it."""
    with folder(in_memory=True) as home, server(home) as made:
        yield made


@pytest.fixture
def url(running: EmbeddedPostgres) -> Iterator[str]:
    running.start()
    name = f"faults_{uuid4().hex}"
    running.create_database(name)
    yield running.dsn(name)
    running.start()
    running.drop_database(name)


def record(ledger: Ledger, count: int = 1) -> set[UUID]:
    return {ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id for _ in range(count)}


def recorded(url: str) -> set[UUID]:
    with connect(url) as session:
        return {row[0] for row in session.execute("SELECT DISTINCT record_id FROM ledger.entry")}


def seal(session: Session) -> None:
    while seal_once(session):
        pass


class Writer:
    """Writes in a thread until stopped, and remembers what was acknowledged, refused and how long answers took."""

    def __init__(self, ledger: Ledger) -> None:
        self.acknowledged: set[UUID] = set()
        self.refused: list[BaseException] = []
        self.seconds: list[float] = []
        self._ledger = ledger
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "it hangs"

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self.acknowledged |= record(self._ledger)
            except psycopg.Error as refused:
                self.refused.append(refused)
                time.sleep(0.05)
            self.seconds.append(time.monotonic() - began)


def waits(is_so: Callable[[], bool], wait_s: float = 40.0) -> bool:
    deadline = time.monotonic() + wait_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# ---------------------------------------------------------------- disk


@needs_root
def test_a_full_disk_refuses_with_a_sentence_and_writing_goes_on_when_there_is_room(
    open_folder: Path, tmp_path: Path
) -> None:
    small = open_folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=711", "tmpfs", str(small)], check=True)
    try:
        with server(small, max_wal_size="'48MB'", min_wal_size="'32MB'") as running:
            url = running.dsn(DATABASE)
            with Ledger.open(url, node=NODE, keys=tmp_path / "keys") as ledger, Writer(ledger) as writer:
                assert waits(lambda: len(writer.acknowledged) > 20)
                ballast = small / "ballast"
                with contextlib.suppress(OSError), ballast.open("wb") as file:  # closing it writes what is left
                    while True:
                        file.write(bytes(1 << 16))
                        file.flush()
                assert waits(lambda: len(writer.refused) > 3), "a full disk refuses"
                before = len(writer.acknowledged)
                ballast.unlink()
                running.start()  # nothing happens when it runs; a full WAL disk may have stopped it
                assert waits(lambda: len(writer.acknowledged) > before + 20), "it goes on when there is room"
            assert writer.acknowledged <= recorded(url)
            full = [error for error in writer.refused if isinstance(error, psycopg.errors.DiskFull)]
            for error in full[:1]:
                assert "no room left on its disk" in sentence_of(error, code_of(error))
            with connect(url) as session:
                seal(session)
            assert verify(url, keys=tmp_path / "keys").is_sound
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


@contextlib.contextmanager
def injected(running: EmbeddedPostgres, fault: str) -> Iterator[None]:
    """Inject a fault into every fdatasync of the server's new processes."""
    command = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fdatasync", "-e", f"inject=fdatasync:{fault}"]
    tracer = subprocess.Popen([*command, "-p", str(running.pid)], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    try:
        yield
    finally:
        tracer.terminate()
        tracer.wait(20)


def panics(running: EmbeddedPostgres) -> int:
    return sum(path.read_text(errors="replace").count("PANIC") for path in (running.place / "log").glob("*.log"))


@needs_strace
def test_a_failing_fsync_stops_the_server_and_loses_nothing(
    running: EmbeddedPostgres, url: str, tmp_path: Path
) -> None:
    Ledger.open(url, node=NODE, keys=tmp_path / "keys").close()
    with (
        injected(running, "error=EIO:when=25+25"),
        Ledger.open(url, node=NODE, keys=tmp_path / "keys") as ledger,
        Writer(ledger) as writer,
    ):
        assert waits(lambda: panics(running) >= 1), "fsync was made to fail"
    kill(running)
    running.start()
    assert len(writer.acknowledged) > 3
    assert writer.acknowledged <= recorded(url)


@needs_strace
def test_a_slow_fsync_makes_answers_slow_and_loses_nothing(running: EmbeddedPostgres, url: str, tmp_path: Path) -> None:
    Ledger.open(url, node=NODE, keys=tmp_path / "keys").close()
    with (
        injected(running, "delay_enter=50000"),
        Ledger.open(url, node=NODE, keys=tmp_path / "keys") as ledger,
        Writer(ledger) as writer,
    ):
        assert waits(lambda: len(writer.seconds) > 9)
    assert sorted(writer.seconds)[len(writer.seconds) // 2] > 0.05, "an answer waits for the disk"
    assert writer.refused == []
    kill(running)
    running.start()
    assert writer.acknowledged <= recorded(url)


# ---------------------------------------------------------------- what lies on disk


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x10]))


def test_a_changed_page_is_refused_by_its_checksum(running: EmbeddedPostgres, url: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    with Ledger.open(url, node=NODE, keys=keys) as ledger, connect(url) as session:
        record(ledger, 50)
        seal(session)
        session.execute("CHECKPOINT")
        path = session.execute("SELECT pg_relation_filepath('ledger.entry')").fetchone()
    assert path is not None
    running.stop()
    flip(running.place / "data" / path[0], 8192 - 300)
    running.start()
    with pytest.raises(psycopg.errors.DataCorrupted) as raised:
        verify(url, keys=keys)
    assert code_of(raised.value) is ExitCode.NOT_VERIFIED
    assert "damaged on disk" in sentence_of(raised.value, code_of(raised.value))


@pytest.mark.parametrize("is_damaged", [True, False], ids=["damaged", "undamaged"])
def test_a_server_that_starts_some_entries_short_is_caught_by_the_checkpoint_kept_outside(
    running: EmbeddedPostgres, url: str, tmp_path: Path, is_damaged: bool
) -> None:
    keys, outside = tmp_path / "keys", tmp_path / "checkpoints"
    prover = Prover.open(keys, node=NODE, folder=outside)
    with Ledger.open(url, node=NODE, keys=keys) as ledger, connect(url) as session:
        record(ledger, 40)
        seal(session)
        session.execute("CHECKPOINT")
        record(ledger, 5)
        seal(session)
        place = session.execute("SELECT lsn - '0/0'::pg_lsn, pg_walfile_name(lsn) FROM pg_current_wal_lsn() lsn")
        lsn, segment = place.fetchone() or (0, "")
        acknowledged = record(ledger, 40)
        seal(session)
        assert prover.look(session).is_sound
    kill(running)
    if is_damaged:
        flip(running.place / "data" / "pg_wal" / segment, int(lsn) % SEGMENT_BYTES + 40)
    running.start()  # without a word
    with connect(url) as session:
        found = checkpoints.find(session, prover.keys, outside)
    verdict = verify(url, keys=keys, signed=found.signed)
    if not is_damaged:
        assert verdict.is_sound
        assert acknowledged <= recorded(url)
        return
    assert acknowledged - recorded(url), "it is short"
    assert verify(url, keys=keys).is_sound, "and nothing inside tells"
    assert not verdict.is_sound


# ---------------------------------------------------------------- clock, connections


def test_a_clock_that_is_set_back_never_makes_the_ledgers_run_backwards(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_ns, raw = time.time_ns, []
    jumps = iter([0, 3_600, -7_200, 0, -1, 86_400, -86_400, 5] * 5)

    def jumping() -> int:
        raw.append(true_ns() + next(jumps, 0) * 1_000_000_000)
        return raw[-1]

    with Ledger.open(url, node=NODE, keys=tmp_path / "keys") as ledger:
        monkeypatch.setattr("ledger.clock.time.time_ns", jumping)
        record_id = ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id
        for _ in range(12):
            ledger.execute(record_id, more_goods(), OFFICER)
        monkeypatch.undo()
        times = [entry.recorded_at for entry in ledger.entries(record_id)]
    assert any(after < before for before, after in pairwise(raw)), "the computer's clock did"
    assert times == sorted(times)
    assert times[-1] - times[0] >= timedelta(hours=1)


def test_when_connections_run_out_everybody_is_answered_and_nobody_hangs(open_folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    with server(open_folder, max_connections="12", superuser_reserved_connections="2") as running:
        url = running.dsn(DATABASE)
        Ledger.open(url, node=NODE, keys=keys).close()
        role = "ncen"  # superuser: the reserved places are its own, so all twelve are taken
        held = [psycopg.connect(running.dsn(DATABASE, role=role)) for _ in range(12)]
        began = time.monotonic()
        for _ in range(5):
            with pytest.raises(psycopg.OperationalError) as refused:
                Ledger.open(url, node=NODE, keys=keys)
            assert code_of(refused.value) is ExitCode.UNREACHABLE
            assert "has no connection free" in sentence_of(refused.value, code_of(refused.value))
        assert time.monotonic() - began < 5, "nobody waits for a place that does not come"
        for connection in held:
            connection.close()
        answered: list[set[UUID]] = []
        with Ledger.open(url, node=NODE, keys=keys, connections=2) as ledger:
            many = [threading.Thread(target=lambda: answered.append(record(ledger, 2))) for _ in range(40)]
            for thread in many:
                thread.start()
            for thread in many:
                thread.join(60)
        assert len(answered) == 40, "forty ask through few sessions, and all are answered"
        assert set.union(*answered) <= recorded(url)
