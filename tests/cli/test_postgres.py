"""The node's own PostgreSQL: started anywhere, by root or not, found again after every crash, closed to all others."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from cli.output import Unreachable
from cli.postgres import EmbeddedPostgres, wheel_bin
from cli.processes import server_account, until
from tests.cli.another_user import run_as
from tests.conftest import SMALL, START_WAIT_S

ROOT = Path(__file__).parents[2]
IS_ROOT = os.geteuid() == 0
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
only_root = pytest.mark.skipif(not IS_ROOT, reason="only root can be another user")

START = """
import sys
from pathlib import Path
from cli.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), settings={"shared_buffers": "'64MB'"}, wait_s=90)
server.start()
print(server.pid)
"""


def made(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder, settings=SMALL, wait_s=START_WAIT_S)


@pytest.fixture
def server(open_folder: Path) -> Iterator[EmbeddedPostgres]:
    own = made(open_folder / "pg")
    own.start()
    yield own
    own.stop()


def one(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


def test_it_starts_stops_and_keeps_what_was_committed(server: EmbeddedPostgres) -> None:
    server.create_database("kept")
    server.create_database("kept")
    with psycopg.connect(server.dsn("kept")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    server.start()
    server.stop()
    server.stop()
    assert not server.is_running()
    server.start()
    assert one(server.dsn("kept"), "SELECT a FROM t") == 1


def test_its_settings_are_safe(server: EmbeddedPostgres) -> None:
    wanted = {
        "data_checksums": "on",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "listen_addresses": "",
        "password_encryption": "scram-sha-256",
        "server_encoding": "UTF8",
        "transaction_timeout": "5min",
        "idle_in_transaction_session_timeout": "1min",
    }
    found = {name: one(server.dsn(), f"SELECT current_setting('{name}')") for name in wanted}
    assert found == wanted
    methods = one(server.dsn(), "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules")
    assert methods == "peer,scram-sha-256"
    assert server.socket_folder.stat().st_mode & 0o077 == 0
    assert one(server.dsn(), "SELECT lower('ÀÉÎ')") == "àéî"


def test_killed_with_9_it_starts_again_with_all_that_was_acknowledged(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.dsn()) as connection:
        connection.execute("CREATE TABLE t (a int)")
        connection.execute("INSERT INTO t SELECT generate_series(1, 1000)")
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: server.pid is None, wait_s=10)
    server.start()
    assert server.pid != pid
    assert one(server.dsn(), "SELECT count(*) FROM t") == 1000


def test_a_stale_pid_file_that_names_another_program_does_not_stop_it(server: EmbeddedPostgres) -> None:
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: server.pid is None, wait_s=10)
    pid_file = server.folder / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert not server.is_running()
    server.start()
    assert server.is_running()
    assert psutil.pid_exists(os.getpid())


def test_starts_at_the_same_time_end_in_one_server(open_folder: Path) -> None:
    command = [sys.executable, "-c", START, str(open_folder / "pg")]
    starts = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    answers = [start.communicate(timeout=120) for start in starts]
    assert [start.returncode for start in starts] == [0, 0, 0], answers
    assert len({out for out, _ in answers}) == 1


def test_an_interrupted_first_start_leaves_nothing_in_the_way(open_folder: Path) -> None:
    folder = open_folder / "pg"
    command = [sys.executable, "-c", START, str(folder)]
    start = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert until(lambda: any(folder.glob("data.new-*/PG_VERSION")), wait_s=60)
    os.killpg(start.pid, signal.SIGKILL)
    start.wait(20)
    assert not (folder / "data").exists()
    time.sleep(0.2)  # initdb's own child notices that its parent is gone
    own = made(folder)
    own.start()
    assert own.is_running()
    assert not list(folder.glob("data.new-*"))
    own.stop()


def test_a_long_path_gets_a_short_private_socket_folder(open_folder: Path) -> None:
    own = made(open_folder / ("long" * 20) / ("path" * 20) / "pg")
    try:
        own.start()
        first = own.socket_folder
        assert len(str(first)) < 80
        assert first.stat().st_mode & 0o077 == 0
        own.stop()
        own.start()
        assert own.socket_folder == first
        own.stop()
        shutil.rmtree(first)
        own.start()
        assert one(own.dsn(), "SELECT 1") == 1
    finally:
        own.stop()
        shutil.rmtree(own.socket_folder, ignore_errors=True)


def test_another_role_is_refused(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.dsn()) as connection:
        connection.execute("CREATE ROLE other LOGIN SUPERUSER")
    for role in ("other", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="Peer authentication failed"):
            psycopg.connect(server.dsn(role=role))


@only_root
def test_another_user_of_the_machine_is_refused(server: EmbeddedPostgres) -> None:
    ask = "import sys, psycopg\ntry: psycopg.connect(sys.argv[1])\nexcept psycopg.OperationalError as e: print(e)"
    closed = run_as("nobody", Path("/"), "-c", ask, server.dsn())
    assert "Permission denied" in closed.stdout
    server.socket_folder.chmod(0o777)
    (server.socket_folder / ".s.PGSQL.5432").chmod(0o777)
    opened = run_as("nobody", Path("/"), "-c", ask, server.dsn())
    assert "Peer authentication failed" in opened.stdout


def test_no_value_of_a_statement_reaches_the_log(server: EmbeddedPostgres) -> None:
    name = "Zaphod-Beeblebrox"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE person (name text PRIMARY KEY CHECK (length(name) < 20))")
        statements = [
            f"SELECT '{name}'::int",
            f"INSERT INTO person VALUES ('{name}'), ('{name}')",
            f"INSERT INTO person VALUES ('{name}{name}')",
            f"SELECT {name} FROM",
            f"DO $$ BEGIN RAISE WARNING '{name}'; END $$",
        ]
        for statement in statements:
            with contextlib.suppress(psycopg.Error):
                connection.execute(statement)
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT %s::int", [name])
    server.stop()
    logs = list((server.folder / "log").iterdir())
    assert len(logs) >= 2
    assert not [path for path in logs if b"Zaphod" in path.read_bytes()]


def test_data_that_are_written_down_and_gone_are_never_begun_anew(open_folder: Path) -> None:
    folder = open_folder / "pg"
    folder.mkdir()
    (folder / "place").write_text(str(open_folder / "lost"))
    with pytest.raises(Unreachable, match="missing; restore it"):
        made(folder).start()
    (folder / "place").unlink()


def test_folders_without_a_server_are_named(open_folder: Path) -> None:
    own = EmbeddedPostgres(open_folder / "pg", bin_dir=open_folder)
    with pytest.raises(Unreachable, match="version 15 or newer"):
        own.start()
    with pytest.raises(Unreachable, match="start it first"):
        own.dsn()


@pytest.mark.skipif(not DEBIAN_15.is_dir(), reason="no PostgreSQL 15 in /usr/lib/postgresql")
def test_an_older_server_may_stand_in_and_its_data_keep_to_it(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCEN_PG_BIN", str(DEBIAN_15))
    own = made(open_folder / "pg")
    own.start()
    assert str(one(own.dsn(), "SHOW server_version")).startswith("15.")
    assert one(own.dsn(), "SHOW data_checksums") == "on"
    assert one(own.dsn(), "SELECT lower('ÀÉÎ')") == "àéî"
    own.stop()
    monkeypatch.setenv("NCEN_PG_BIN", str(wheel_bin()))
    with pytest.raises(Unreachable, match="version 15, which wrote the data"):
        own.start()
    monkeypatch.delenv("NCEN_PG_BIN")
    own.start()
    assert str(one(own.dsn(), "SHOW server_version")).startswith("15.")
    own.stop()


@only_root
def test_root_runs_it_as_a_system_user(server: EmbeddedPostgres) -> None:
    assert psutil.Process(server.pid).username() == "ncen"
    assert (server.folder / "data").stat().st_uid == server_account().uid


@only_root
def test_folders_closed_to_the_system_user_stay_closed(tmp_path: Path) -> None:
    home = tmp_path / "closed"
    home.mkdir(mode=0o700)
    own = made(home / "pg")
    own.start()
    place = Path((home / "pg" / "place").read_text().strip())
    try:
        assert one(own.dsn(), "SELECT 1") == 1
        assert home.stat().st_mode & 0o777 == 0o700
        own.stop()
        own.start()
        assert Path((home / "pg" / "place").read_text().strip()) == place
        assert not own.socket_folder.is_relative_to(home)
    finally:
        own.stop()
        shutil.rmtree(place)


@only_root
def test_binaries_closed_to_the_system_user_are_copied(open_folder: Path, tmp_path: Path) -> None:
    binaries = wheel_bin()
    assert binaries is not None
    package = binaries.parents[1]
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.with_name(name), tmp_path / name)
    tmp_path.chmod(0o700)
    own = EmbeddedPostgres(open_folder / "pg", bin_dir=tmp_path / package.name / "pginstall" / "bin", settings=SMALL)
    own.start()
    try:
        assert one(own.dsn(), "SELECT 1") == 1
        assert Path(psutil.Process(own.pid).exe()).is_relative_to(open_folder)
    finally:
        own.stop()


@only_root
def test_an_ordinary_user_starts_it_too(open_folder: Path) -> None:
    account = server_account()
    folder = open_folder / "theirs"
    folder.mkdir(mode=0o700)
    account.give(folder)
    ask = "import psycopg\nprint(psycopg.connect(server.dsn()).execute('SELECT 7').fetchone()[0])\nserver.stop()\n"
    done = run_as(account.name, folder, "-c", START + ask, str(folder / "pg"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "7"
    assert not (folder / "pg" / "place").exists()
