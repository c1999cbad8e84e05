"""Backup and restore, rehearsed: what was acknowledged comes back, to any position, and a damaged copy is refused."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from cli import archiving, backed_up, backup, restoring
from cli.backed_up import Note
from cli.output import ExitCode, Failure, Misused, NotFound, VerificationFailed
from cli.postgres import EmbeddedPostgres
from cli.processes import until
from cli.restore import aim, bring_back
from cli.restoring import MARK, Restored, Wish
from cli.settings import Settings, load
from domain.rights import ErasureGrounds
from ledger import node_keys
from ledger.erasure import Eraser
from ledger.errors import Unsafe
from ledger.keyring import Keyring
from ledger.ledger import Ledger
from ledger.node_keys import Why
from ledger.prover import Prover
from ledger.sealer import seal_once
from ledger.sessions import connect
from ledger.verify import verify
from projections import positions
from projections.asking import NotReady
from projections.positions import wait_for
from projections.search import search
from soak.place import folder
from soak.sealing import seal_all
from tests.ledger.samples import OFFICER, seizure
from tests.ledger.test_erasure import CUSTODIAN, person, readable
from tests.projections.conftest import Node as ReadSide

SMALL = {"shared_buffers": "'32MB'", "max_wal_size": "'128MB'", "min_wal_size": "'32MB'"}
NODE = "XA"

pytestmark = pytest.mark.xdist_group("backup")  # they share one backup


@dataclass
class Kept:
    """A node that was backed up twice, and what it had acknowledged by when."""

    settings: Settings
    server: EmbeddedPostgres
    folder: Path
    keys: Path
    before: set[UUID] = field(default_factory=set)
    """Acknowledged before the first copy was begun."""
    positions: list[int] = field(default_factory=list)
    """How far the ledger was sealed after each batch that followed it."""
    batches: list[set[UUID]] = field(default_factory=list)
    moments: list[datetime] = field(default_factory=list)
    after: set[UUID] = field(default_factory=set)
    """Acknowledged after the last copy."""
    person: UUID | None = None
    """On record before the first copy, and erased after the last."""
    homes: Path = Path()

    @property
    def new_home(self) -> Settings:
        """A home that does not exist yet."""
        return load(home=self.homes / uuid4().hex[:8])

    def restore(self, settings: Settings | None = None, **wishes: object) -> tuple[Settings, Restored]:
        """Restore into a new home."""
        home = settings or self.new_home
        wish = Wish(self.folder, keys=self.keys, **wishes)  # type: ignore[arg-type]  # by name
        return home, bring_back(home, wish)


def record(ledger: Ledger, count: int) -> set[UUID]:
    return {ledger.execute(ledger.new_id(), seizure(narrative="told"), OFFICER).record_id for _ in range(count)}


@contextmanager
def running(settings: Settings) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(settings.home / "postgres", settings=SMALL)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def reading(url: str, settings: Settings) -> Iterator[ReadSide]:
    """The node's read side."""
    made = ReadSide(url, settings.keys, NODE)
    try:
        yield made
    finally:
        made.ledger.close()


def recorded(settings: Settings) -> set[UUID]:
    with running(settings) as server, connect(server.dsn("ncen")) as session:
        return {row[0] for row in session.execute("SELECT DISTINCT record_id FROM ledger.entry")}


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    """A node that is backed up while it is written to, goes on in three batches, and is backed up again."""
    with folder(in_memory=True) as homes:
        yield from backed_up_twice(homes)


def backed_up_twice(homes: Path) -> Iterator[Kept]:
    settings = load(home=homes / "backed-up", node=NODE)
    settings.make_folders()
    server = EmbeddedPostgres(settings.home / "postgres", settings=SMALL)
    server.start()
    server.create_database("ncen")
    url = server.dsn("ncen")
    made = Kept(settings, server, homes / "backup", homes / "keys.tar", homes=homes)
    with Ledger.open(url, node=NODE, keys=settings.keys) as ledger, connect(url) as session:
        made.before = record(ledger, 30)
        made.person = ledger.execute(ledger.new_id(), person("Xaverius Quackenbosch"), OFFICER).record_id
        made.before.add(made.person)
        seal_once(session)
        assert Prover.open(settings.keys, node=NODE, folder=settings.checkpoints).look(session).is_sound
        with reading(url, settings) as read_side:
            read_side.project()
        stop = threading.Event()
        meanwhile: list[UUID] = []

        def write() -> None:
            while not stop.is_set():
                meanwhile.extend(record(ledger, 1))

        writer = threading.Thread(target=write)
        writer.start()
        _, is_new = backup.take(settings, made.folder)
        stop.set()
        writer.join()
        assert is_new
        assert meanwhile
        for _ in range(3):
            made.batches.append(record(ledger, 10))
            seal_all(session)
            made.positions.append(session.execute("SELECT size FROM ledger.seal_state").fetchone()[0])  # type: ignore[index]  # it has one row
            time.sleep(0.02)
            made.moments.append(datetime.now(UTC))
            time.sleep(0.02)
        made.batches[0] |= set(meanwhile)
        _, is_new = backup.take(settings, made.folder)
        assert not is_new
        backup.keep_keys(settings.keys, made.keys)
        made.after = record(ledger, 5)
        seal_all(session)
        assert Prover.open(settings.keys, node=NODE, folder=settings.checkpoints).look(session).is_sound
    yield made
    server.stop()


def test_everything_acknowledged_before_a_backup_comes_back_and_goes_on(kept: Kept) -> None:
    home, done = kept.restore()
    assert (done.node, done.position) == (NODE, kept.positions[-1])
    assert done.opened > 40
    with running(home) as server:
        url = server.dsn("ncen")
        with Ledger.open(url, node=NODE, keys=home.keys) as ledger, connect(url) as session:
            here = {row[0] for row in session.execute("SELECT DISTINCT record_id FROM ledger.entry")}
            assert kept.before | set.union(*kept.batches) == here
            record(ledger, 7)
            seal_all(session)
        verdict = verify(url, keys=home.keys)
        assert (verdict.faults, verdict.entries) == ((), done.entries + 14)
    assert not (home.home / MARK).exists()
    assert home.file.read_text().splitlines()[0] == f'node = "{NODE}"'


def test_the_read_side_does_not_come_back_with_a_restore_and_is_built_from_the_ledger(kept: Kept) -> None:
    """No copy of the data files or the log holds its rows; until it is built nobody is told that nothing was found."""
    home, _ = kept.restore()
    with running(home) as server, reading(server.dsn("ncen"), home) as node:
        assert positions.positions(node.database_url) == []
        assert not any(node.dump().values())
        with connect(node.database_url) as session, pytest.raises(NotReady):
            search(session, kind="person", name="Xaverius Quackenbosch")
        with node.projector():
            assert wait_for(node.database_url, node.seal(), 60.0)
        with connect(node.database_url) as session:
            [hit] = search(session, kind="person", name="Xaverius Quackenbosch").hits
        assert hit.record_id == kept.person
        told = node.dump()
        node.rebuild()
        assert node.dump() == told


def test_a_restore_stops_at_the_position_and_at_the_moment_it_is_asked_for(kept: Kept) -> None:
    home, done = kept.restore(goal=kept.positions[0])
    assert done.position == kept.positions[0]
    assert recorded(home) == kept.before | kept.batches[0]
    home, done = kept.restore(goal=kept.moments[1])
    assert done.position == kept.positions[1]
    assert recorded(home) == kept.before | kept.batches[0] | kept.batches[1]


def test_the_old_homes_archive_brings_what_came_after_the_last_backup(kept: Kept) -> None:
    archive = kept.server.place / archiving.ARCHIVE
    with connect(kept.server.dsn("ncen")) as session:
        backup._close_segment(session, archive, archive)
    home, _ = kept.restore(archive=archive)
    assert kept.after <= recorded(home)


def test_what_lies_outside_the_backup_is_refused_with_a_sentence(kept: Kept) -> None:
    with pytest.raises(Failure, match="reaches position"):
        kept.restore(goal=10_000)
    with pytest.raises(Failure, match="take an older one"):
        kept.restore(goal=1)
    with pytest.raises(Failure, match="take an older one"):
        kept.restore(goal=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(Failure, match="ends before that"):
        kept.restore(goal=datetime(2999, 1, 1, tzinfo=UTC))
    with pytest.raises(NotFound, match="There is no backup"):
        bring_back(kept.new_home, Wish(kept.homes / "nowhere"))


def test_a_home_or_folder_that_holds_something_is_never_written_over(kept: Kept, tmp_path: Path) -> None:
    with pytest.raises(Misused, match="is not empty"):
        kept.restore(kept.settings)
    home = kept.new_home
    home.home.mkdir()
    (home.home / "somebody's").touch()
    with pytest.raises(Misused, match="is not empty"):
        kept.restore(home)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(Misused, match="holds something else"):
        backup.take(kept.settings, tmp_path)
    with pytest.raises(Misused, match="lost with it"):
        backup.take(kept.settings, kept.settings.home / "copy")
    with pytest.raises(Misused, match="kept apart"):
        backup._refuse_near(kept.folder / "keys.tar", kept.folder, kept.settings)
    note = backed_up.read_note(kept.folder)
    other = tmp_path / "other"
    other.mkdir()
    backed_up.write_note(other, msgspec.structs.replace(note, system="1"))
    with pytest.raises(Misused, match="another ledger"):
        backup.take(kept.settings, other)


@contextmanager
def flipped(path: Path) -> Iterator[None]:
    """A file with one bit changed in its middle."""
    before = path.read_bytes()
    middle = len(before) // 2
    path.write_bytes(before[:middle] + bytes([before[middle] ^ 1]) + before[middle + 1 :])
    try:
        yield
    finally:
        path.write_bytes(before)


def test_a_damaged_backup_is_refused(kept: Kept) -> None:
    base = kept.folder / "base"
    biggest = max((base / "base").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    for path in (biggest, base / "global" / "pg_control", base / "backup_manifest"):
        with flipped(path), pytest.raises(VerificationFailed, match="take another copy"):
            kept.restore()
    segment = max((kept.folder / "wal").glob("*.gz"))
    hidden = segment.rename(kept.folder / "hidden")
    with pytest.raises(VerificationFailed, match="segment"):
        kept.restore()
    hidden.rename(segment)
    with flipped(segment), pytest.raises(VerificationFailed, match="is damaged"):
        kept.restore()


@contextmanager
def noted(kept: Kept, note: Note) -> Iterator[None]:
    before = backed_up.read_note(kept.folder)
    backed_up.write_note(kept.folder, note)
    try:
        yield
    finally:
        backed_up.write_note(kept.folder, before)


def test_a_backup_that_comes_to_another_ledger_than_was_copied_is_refused(kept: Kept) -> None:
    note = backed_up.read_note(kept.folder)
    other = msgspec.structs.replace(note.reached, root="0" * 64)
    with (
        noted(kept, msgspec.structs.replace(note, reached=other)),
        pytest.raises(VerificationFailed, match="not those of which"),
    ):
        kept.restore()


def put_in(home: Settings, kept: Kept) -> None:
    """Put the old home's keys and signed checkpoints into a new one, as one would from their own copies."""
    home.make_folders()
    for name in ("keys", "checkpoints"):
        shutil.copytree(kept.settings.home / name, home.home / name, dirs_exist_ok=True)


def test_erasures_that_came_after_the_backup_are_carried_out_again_before_the_node_opens(kept: Kept) -> None:
    assert kept.person is not None
    home, before = kept.restore()
    assert before.erased_again == 0
    with running(home) as server, Ledger.open(server.dsn("ncen"), node=NODE, keys=home.keys) as ledger:
        assert all(readable(ledger, kept.person)), "the keys of then open it"
    with Eraser.open(kept.server.dsn("ncen"), node=NODE, keys=kept.settings.keys) as eraser:
        eraser.erase(kept.person, "person", ErasureGrounds.RETENTION_EXPIRED, CUSTODIAN)
    home = kept.new_home
    put_in(home, kept)
    done = bring_back(home, Wish(kept.folder))
    assert done.erased_again == 1
    assert done.beyond > 0, "the newest signed checkpoint speaks of what is not in the backup"
    with running(home) as server, Ledger.open(server.dsn("ncen"), node=NODE, keys=home.keys) as ledger:
        assert readable(ledger, kept.person) == [True, False, True], "what was said of the person is gone again"


def test_what_a_later_rotation_has_made_unreadable_is_said(kept: Kept) -> None:
    home = kept.new_home
    put_in(home, kept)
    (home.keys / "epoch-1.key").rename(home.keys / "epoch-2.key")
    (home.keys / "epoch-2.key").write_bytes(bytes(range(32)))
    done = bring_back(home, Wish(kept.folder))
    assert done.unreadable > 0
    assert done.opened == 0
    assert kept.restore()[1].unreadable == 0


def test_a_restore_goes_by_the_signed_checkpoints(kept: Kept) -> None:
    home = kept.new_home
    put_in(home, kept)
    (note,) = home.checkpoints.glob("newest.note")
    with flipped(note), pytest.raises(VerificationFailed, match="does not hold"):
        bring_back(home, Wish(kept.folder))
    assert (home.home / MARK).exists(), "the node stays closed"


def ncen(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NCEN_")}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "--home", str(home), *words],
        capture_output=True,
        text=True,
        env=kept,
        timeout=120,
        check=False,
    )


def test_an_interrupted_restore_keeps_the_node_closed_and_is_said_again(kept: Kept) -> None:
    home = kept.new_home
    line = [sys.executable, "-m", "cli.main", "--home", str(home.home), "restore", str(kept.folder)]
    child = subprocess.Popen([*line, "--keys", str(kept.keys)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert until((home.home / "postgres" / "data" / "postmaster.pid").exists, wait_s=30)
    child.kill()
    child.wait()
    closed = ncen(home.home, "up")
    assert closed.returncode == ExitCode.UNREACHABLE
    assert "A restore into this home has not ended" in closed.stderr
    again = ncen(home.home, "restore", str(kept.folder), "--keys", str(kept.keys), "--json")
    assert again.returncode == ExitCode.DONE, again.stderr
    assert msgspec.json.decode(again.stdout)["position"] == kept.positions[-1]
    assert kept.before <= recorded(home)


def test_what_is_not_archived_any_more_asks_for_a_new_backup(kept: Kept) -> None:
    aside, folder_ = kept.homes / "aside", kept.homes / "another-copy"
    aside.mkdir()
    shutil.copytree(kept.folder, folder_)
    archive = kept.server.place / archiving.ARCHIVE
    wal = folder_ / "wal"
    newest = max(archive.glob("*.gz"))
    moved = [path.rename(aside / f"{path.parent.name}-{path.name}") for path in (newest,)]
    in_wal = wal / newest.name
    if in_wal.exists():
        moved.append(in_wal.rename(aside / f"wal-{newest.name}"))
    with Ledger.open(kept.server.dsn("ncen"), node=NODE, keys=kept.settings.keys) as ledger:
        record(ledger, 1)
    with pytest.raises(Failure, match="make a new backup"):
        backup.take(kept.settings, folder_)
    moved[0].rename(newest)
    backup.take(kept.settings, folder_)


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED HERE: only root can make a small disk")
def test_a_full_disk_is_told_and_leaves_nothing_that_looks_like_a_backup(kept: Kept) -> None:
    small = kept.homes / "small"  # where the server's user can pass
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=711", "tmpfs", str(small)], check=True)
    try:
        with pytest.raises(Failure, match="No space left"):
            backup.take(kept.settings, small / "copy")
        assert not (small / "copy" / "backup.json").exists()
        assert not (small / "copy" / "base").exists()
        with pytest.raises(Failure, match="MB free"):
            kept.restore(load(home=small / "home"))
        assert (small / "home" / MARK).exists(), "it is not taken for whole"
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert kept.server.is_running()


@pytest.mark.parametrize("until_", ["yesterday", "-1", "12:61", "2026-13-01"])
def test_a_goal_that_is_neither_position_nor_moment_is_refused(until_: str) -> None:
    with pytest.raises(Misused, match="ledger position"):
        aim(until_)


def test_a_goal_is_read_as_a_person_means_it() -> None:
    assert aim("4711") == 4711
    assert aim("2026-05-01T12:00") == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert aim(None) is None


def test_keys_that_were_replaced_come_back_with_their_successions(tmp_path: Path) -> None:
    """All of the folder is kept: without a succession, or the key that it leads to, nothing could be signed again."""
    keys = tmp_path / "keys"
    keyring = Keyring.open(keys)
    known = node_keys.known(keys, NODE, keyring.signing_key.public_key())
    replaced = node_keys.replace(keys, known, keyring.signing_key, size=7, why=Why.ROTATED)
    backup.keep_keys(keys, tmp_path / "keys.tar")
    restoring._unpack(tmp_path / "keys.tar", tmp_path / "back")
    assert Prover.open(tmp_path / "back", node=NODE, folder=None).keys == replaced
    (tmp_path / "back" / "ledger-1.key").unlink()
    with pytest.raises(Unsafe):
        Prover.open(tmp_path / "back", node=NODE, folder=None)
