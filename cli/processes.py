"""The operating system as the servers need it: locks, live processes, and a system user that is not root.

A process is only ever ended after it has proven by what it runs that it is ours: a bare process id is never trusted,
since ids are reused. Every wait has a bound. Nothing that exists already is opened wider than its owner left it.
"""

import contextlib
import errno
import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypedDict

import psutil

from cli.output import Failure, Unreachable
from ledger.whole_file import write_whole

Process: TypeAlias = psutil.Process
SYSTEM_USER = "ncen"
TIMED_OUT = 124
_KEPT: "list[subprocess.Popen[bytes]]" = []
CLEAN_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR")


class Held(Failure):
    """Another process does already what this one was started for."""


@contextlib.contextmanager
def locked(path: Path, *, wait_s: float = 120.0) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`; raise Unreachable when another process keeps it for `wait_s`."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not until(lambda: _take(handle), wait_s=wait_s):
            raise Unreachable(f"Another process has held {path} for {wait_s:.0f} seconds; it seems to be stuck.")
        yield
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the pid file `path` for as long as this process plays its part; raise Held when another does already."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not until(lambda: _take(handle), wait_s=2):  # somebody who only asks holds it for a moment
            raise Held(f"Another process does this already for this node ({path.stem}).")
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def holder(path: Path) -> int | None:
    """Return the id of the process that holds the pid file `path`, 0 when it is not known yet, None when nobody."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _take(handle):
            return None
        text = os.pread(handle, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(handle)


def until(done: Callable[[], bool], *, wait_s: float, step_s: float = 0.02) -> bool:
    """Ask `done` again and again, ever less often, until it says yes (True) or `wait_s` has passed (False)."""
    deadline = time.monotonic() + wait_s
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(step_s)
        step_s = min(step_s * 1.3, 0.25)
    return True


def find(pid: int, *, cwd: Path | None = None, words: Sequence[str] = ()) -> Process | None:
    """Return the live process `pid` if its working folder is `cwd` and its command line holds all `words`."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if cwd is not None and not _same(Path(process.cwd()), cwd):
            return None
        line = process.cmdline()
    except (psutil.Error, OSError):
        return None
    return process if all(word in line for word in words) else None


def living_in(folder: Path) -> list[Process]:
    """List the live processes that have `folder` as their working folder."""
    return [process for process in psutil.process_iter() if find(process.pid, cwd=folder) is not None]


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def keep(child: "subprocess.Popen[bytes]") -> "subprocess.Popen[bytes]":
    """Let a child live longer than the object that started it, without Python's warning that it still runs."""
    _KEPT.append(child)
    return child


def end(process: Process, *, wait_s: float = 20.0) -> None:
    """Ask a process to stop (SIGTERM), wait, and kill it when it has not stopped within `wait_s`."""
    for ask in (process.terminate, process.kill):
        with contextlib.suppress(psutil.NoSuchProcess):
            ask()
        if until(lambda: not _lives(process), wait_s=wait_s):
            return
    raise Unreachable(f"The process {process.pid} cannot be stopped.")


def _lives(process: Process) -> bool:
    """Tell whether a process has not ended; one that ended and waits for its parent to notice has."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


class Identity(TypedDict):
    """The arguments with which subprocess starts a program as another user; all None for ourselves."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system user under whom a server runs; `is_other` when we are root and it is not."""

    name: str
    uid: int
    gid: int
    is_other: bool

    def run(self, command: Sequence[str | Path], log: Path, *, wait_s: float) -> int:
        """Run a program as this user and return its exit code; TIMED_OUT when it was stopped after `wait_s`.

        Its output is appended to `log`, never to a pipe: a daemon that it starts would hold the pipe open.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(log, flags, 0o600), "ab") as output, contextlib.suppress(subprocess.TimeoutExpired):
            if self.is_other:
                os.fchown(output.fileno(), self.uid, self.gid)
            return subprocess.run(  # noqa: S603  # our own binaries, our own arguments
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=clean_environment(),
                timeout=wait_s,
                check=False,
                **self.identity,
            ).returncode
        return TIMED_OUT

    @property
    def identity(self) -> Identity:
        """The arguments with which subprocess starts a program as this user."""
        if self.is_other:
            return {"user": self.uid, "group": self.gid, "extra_groups": []}
        return {"user": None, "group": None, "extra_groups": None}

    def reaches(self, path: Path) -> bool:
        """Tell whether this user can read and enter `path`."""
        if not self.is_other:
            return os.access(path, os.R_OK | os.X_OK)
        probe = 'test -r "$1" && test -x "$1"'
        return self._asks(probe, path)

    def passes(self, folder: Path) -> bool:
        """Tell whether this user can pass through `folder` to something of its own inside."""
        return not self.is_other or self._asks('test -x "$1"', folder)

    def _asks(self, probe: str, path: Path) -> bool:
        done = subprocess.run(  # noqa: S603  # a fixed shell line, the path is an argument
            ["/bin/sh", "-c", probe, "sh", str(path)],
            cwd="/",
            env=clean_environment(),
            check=False,
            timeout=20,
            **self.identity,
        )
        return done.returncode == 0

    def give(self, path: Path) -> None:
        """Make this user the owner of `path`."""
        if self.is_other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def clean_environment() -> dict[str, str]:
    """Return the environment for servers: none of the caller's PG… or NATS settings, and a fixed locale."""
    kept = {name: os.environ[name] for name in CLEAN_VARIABLES if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C", "TZ": "UTC"}


def server_account() -> Account:
    """Return the user who runs the servers: ourselves, or for root the system user `ncen` (made when missing).

    PostgreSQL refuses to run as root, and a server that others talk to should not.
    """
    if os.geteuid() != 0:
        uid = os.geteuid()
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            raise Unreachable(f"The user id {uid} has no name on this machine; PostgreSQL needs one.") from None
        return Account(name, uid, os.getegid(), is_other=False)
    if not until(_has_system_user, wait_s=15):
        raise Unreachable(
            f"The system user {SYSTEM_USER}, under whom the servers run, could not be made; "
            f"make it (useradd --system {SYSTEM_USER}) or run ncen as an ordinary user."
        )
    entry = pwd.getpwnam(SYSTEM_USER)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, is_other=True)


def _has_system_user() -> bool:
    """Make the system user if missing; two processes may try at once, so the answer is whether it is there now."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER).pw_uid != 0
    add = shutil.which("useradd", path=f"{os.defpath}:/usr/sbin:/sbin")
    if add is not None:
        command = [add, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        command += ["--shell", "/usr/sbin/nologin", SYSTEM_USER]
        subprocess.run(command, check=False, capture_output=True, timeout=20)  # noqa: S603  # fixed arguments
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER).pw_uid != 0
    return False


def own_place(folder: Path, account: Account) -> Path:
    """Return the folder that really holds a server's files, which its user can reach.

    That is `folder` itself, unless a parent is closed to the server's user: then it is a new folder elsewhere (in the
    temporary folder if `folder` lies there, else in /var/lib/ncen-servers), written down in `folder/place`, so that
    no parent has to be opened. A place that is written down and gone is an error, never a reason to begin anew.
    """
    _make_folder(folder)
    note = folder / "place"
    if note.exists():
        place = Path(note.read_text(encoding="utf-8").strip())
        if not place.is_dir():
            raise Unreachable(f"The files of {folder} lie in {place}, which is missing; restore it, or the backup.")
        return place
    if account.passes(folder):
        return folder
    place = _elsewhere(folder)
    write_durably(note, f"{place}\n")
    return place


def _make_folder(folder: Path) -> None:
    """Make a folder and its missing parents: root's can be passed by the server's user, but not listed."""
    mode = 0o711 if os.geteuid() == 0 else 0o700
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            path.chmod(mode)


def _elsewhere(folder: Path) -> Path:
    temporary = Path(tempfile.gettempdir())
    root = Path("/var/lib/ncen-servers")
    if folder.resolve().is_relative_to(temporary.resolve()):
        root = temporary
    else:
        _make_folder(root)
    place = Path(tempfile.mkdtemp(prefix="ncen-", dir=root))
    place.chmod(0o711)
    return place


def write_durably(path: Path, text: str, account: Account | None = None) -> None:
    """Write a small file (0600, owned by `account`) so that it is whole or not there at all, also after a power cut."""
    owner = (account.uid, account.gid) if account is not None and account.is_other else None
    write_whole(path, text.encode(), owner)
