"""Real servers for every test: one PostgreSQL and one NATS for each test process, a fresh database for each test.

The servers run with the settings of a real node (fsync on), in a short private folder, and are stopped and removed at
the end, also after failures; what a killed test run has left behind is found and removed by the next one.
"""

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import argon2
import psutil
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from access import accounts
from cli.nats_server import EmbeddedNats
from cli.output import Unreachable
from cli.postgres import EmbeddedPostgres

PREFIX = "ncen-test-"
START_WAIT_S = 90
REAL_HASHER, REAL_DECOY = accounts._hasher, accounts.DECOY
SMALL = {"shared_buffers": "'64MB'", "max_wal_size": "'512MB'", "min_wal_size": "'80MB'"}

settings.register_profile("ci", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", deadline=None, max_examples=1_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def _stop_and_remove(folder: Path) -> None:
    """Stop the servers in a folder and remove all of it, also what lies elsewhere for the servers' user."""
    with contextlib.suppress(Unreachable):
        EmbeddedPostgres(folder / "pg", wait_s=START_WAIT_S).stop()
    with contextlib.suppress(Unreachable):
        EmbeddedNats(folder / "nats", wait_s=START_WAIT_S).stop()
    for server in ("pg", "nats"):
        note = folder / server / "place"
        if note.exists():
            shutil.rmtree(note.read_text(encoding="utf-8").strip(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)) and os.access(folder, os.W_OK):
            _stop_and_remove(folder)


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """Give this test process a folder for its servers, with a path short enough for sockets."""
    _remove_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)  # the servers' user passes through
    try:
        yield folder
    finally:
        _stop_and_remove(folder)


@pytest.fixture(scope="session")
def postgres_server(servers_folder: Path) -> EmbeddedPostgres:
    """Start the PostgreSQL of this test process; tests that kill a server start their own instead."""
    server = EmbeddedPostgres(servers_folder / "pg", settings=SMALL, wait_s=START_WAIT_S)
    server.start()
    return server


@pytest.fixture(scope="session", autouse=True)
def _passwords_are_cheap() -> None:
    """Hash passwords with the least work there is, in this process; tests/hostile asserts what a real node spends."""
    accounts._hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    accounts.DECOY = accounts._hasher.hash("nobody")


FREE: dict[Path, list[str]] = {}
"""Emptied databases by their server: to make one and to drop it writes and flushes megabytes, to empty it does not."""
SIMPLE = """
    SELECT NOT EXISTS (SELECT FROM pg_event_trigger) AND NOT EXISTS (SELECT FROM pg_publication)
    AND NOT EXISTS (SELECT FROM pg_default_acl) AND NOT EXISTS (SELECT FROM pg_largeobject_metadata)
    AND NOT EXISTS (SELECT FROM pg_prepared_xacts) AND NOT EXISTS (SELECT FROM pg_replication_slots)
    AND NOT EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
                    WHERE d.datname = current_database())
    AND (SELECT datacl IS NULL FROM pg_database WHERE datname = current_database())
    AND NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public')
    AND (SELECT array_agg(extname) = '{plpgsql}' FROM pg_extension)
"""
MADE = "SELECT nspname FROM pg_namespace WHERE nspname <> ALL ('{public,information_schema}') AND nspname !~ '^pg_'"
SESSIONS = """
    SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def is_emptied(url: str) -> bool:
    """Empty a database, with any session left in it; False where it holds more than schemas that can be dropped."""
    try:
        with psycopg.connect(url) as connection:
            connection.execute("SET client_min_messages = warning")
            connection.execute(SESSIONS)
            made = [row[0] for row in connection.execute(MADE).fetchall()]
            if made:
                names = sql.SQL(", ").join(map(sql.Identifier, made))
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(names))
            return connection.execute(SIMPLE).fetchone() == (True,)
    except psycopg.Error:  # it is damaged, or does not answer: it is not used again
        return False


@contextlib.contextmanager
def fresh_database(server: EmbeddedPostgres) -> Iterator[str]:
    """A database with nothing in it, and of no other at the same time."""
    free = FREE.setdefault(server.folder, [])
    name = free.pop() if free else f"test_{uuid.uuid4().hex}"
    server.create_database(name)
    try:
        yield server.dsn(name)
    finally:
        if is_emptied(server.dsn(name)):
            free.append(name)
        else:
            server.drop_database(name)


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """Give a test a database of its own."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="module")
def module_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """Give the tests of a module one database, for what none of them changes under the others."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def session_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """Give all tests of this process one database, in which none may leave anything."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def nats_server(servers_folder: Path) -> EmbeddedNats:
    """Start the NATS of this test process; tests name their streams for themselves, or start a server of their own."""
    server = EmbeddedNats(servers_folder / "nats", wait_s=START_WAIT_S)
    server.start()
    return server


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a test a new, short folder that the servers' user can pass (pytest's own are closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-own-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)
    try:
        yield folder
    finally:
        _stop_and_remove(folder)
