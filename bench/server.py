"""The PostgreSQL that is measured: our own embedded one, in a temporary folder, with the settings of a real node.

It is shown to be safe (fsync, full_page_writes and synchronous_commit on) before anything is measured, every database
is fresh, and all of it is stopped and removed at the end. It also listens on a loopback address of its own, for the
rivals that cannot use a socket file.
"""

import contextlib
import itertools
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cli.postgres import PORT, ROLE, EmbeddedPostgres

PREFIX = "ncen-bench-"
SAFE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A database to measure in, as a writer process is told of it; `tcp_url` leads to the same database over TCP."""

    url: str
    tcp_url: str
    folder: str


class Server:
    """A running PostgreSQL that makes fresh databases."""

    def __init__(self, embedded: EmbeddedPostgres, folder: Path, address: str) -> None:
        """Take a started server; `address` is the loopback address that it listens on."""
        self._embedded = embedded
        self._address = address
        self._numbers = itertools.count(1)
        self._password = secrets.token_urlsafe(24)
        self.folder = folder
        with psycopg.connect(embedded.dsn(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(ROLE), sql.Literal(self._password))
            )

    def place(self, purpose: str) -> Place:
        """Make a fresh database."""
        name = f"{purpose.replace('-', '_')}_{next(self._numbers)}"
        self._embedded.create_database(name)
        url = self._embedded.dsn(name)
        require_safe(url)
        keys = self.folder / "keys" / name
        keys.mkdir(mode=0o700, parents=True)
        tcp = make_conninfo(host=self._address, port=PORT, user=ROLE, dbname=name, password=self._password)
        return Place(url=url, tcp_url=tcp, folder=str(keys))

    def clone(self, place: Place) -> Place:
        """Make a database that begins as a copy of another, with the same keys."""
        source, name = _database(place.url), f"clone_{next(self._numbers)}"
        with psycopg.connect(self._embedded.dsn(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                    sql.Identifier(name), sql.Identifier(source)
                )
            )
        tcp = make_conninfo(place.tcp_url, dbname=name)
        return Place(url=self._embedded.dsn(name), tcp_url=tcp, folder=place.folder)

    def drop(self, place: Place) -> None:
        """Remove a database when its measurement is done, so that no vacuum of it disturbs the next one."""
        self._embedded.drop_database(_database(place.url))

    def settle(self) -> None:
        """Write out what earlier turns left in memory, so that each turn pays for its own writes only."""
        with psycopg.connect(self._embedded.dsn(), autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def describe(self) -> str:
        """Name the server and tell how long one flush of 8 KiB to its disk takes."""
        with psycopg.connect(self._embedded.dsn()) as connection:
            version = connection.execute("SHOW server_version").fetchone()
            data = connection.execute("SHOW data_directory").fetchone()
        assert version is not None
        assert data is not None
        return (
            f"PostgreSQL {version[0]}, one 8 KiB flush takes {_flush_ms(Path(data[0]).parent):.2f} ms (median of 200)"
        )


def require_safe(database_url: str) -> None:
    """Stop at once when the server would acknowledge what is not yet on disk."""
    with psycopg.connect(database_url) as connection:
        for name, wanted in SAFE.items():
            said = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
            if said is None or said[0] != wanted:
                raise SystemExit(f"{name} is {said and said[0]}: a benchmark with unsafe settings says nothing.")


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """Start a server in a new folder; stop it and remove the folder at the end, also after failures."""
    _remove_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)  # the server's own user passes through
    address = _free_address()
    embedded = EmbeddedPostgres(folder / "pg", settings={"listen_addresses": f"'{address}'"})
    try:
        embedded.start()
        yield Server(embedded, folder, address)
    finally:
        _stop_and_remove(folder)


def _stop_and_remove(folder: Path) -> None:
    EmbeddedPostgres(folder / "pg").stop()
    note = folder / "pg" / "place"
    if note.exists():
        shutil.rmtree(note.read_text(encoding="utf-8").strip(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers() -> None:
    """Stop and remove the server of a run that was killed and could not do it itself."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)) and os.access(folder, os.W_OK):
            _stop_and_remove(folder)


def _database(url: str) -> str:
    return str(conninfo_to_dict(url)["dbname"])


def _free_address() -> str:
    """A loopback address on which nobody else uses PostgreSQL's port."""
    for number in range(1, 250):
        address = f"127.77.{os.getpid() % 250}.{number}"
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((address, PORT))
            return address
    return "127.0.0.1"


def _flush_ms(folder: Path) -> float:
    handle, name = tempfile.mkstemp(dir=folder)
    try:
        times = []
        for number in range(200):
            os.pwrite(handle, os.urandom(8192), number % 50 * 8192)
            began = time.perf_counter()
            os.fdatasync(handle)
            times.append(time.perf_counter() - began)
        return sorted(times)[len(times) // 2] * 1000
    finally:
        os.close(handle)
        Path(name).unlink()
