"""Where a soak runs: a short folder of its own, a server that can be killed, workers and writers as processes.

All that was started is stopped, and the folder removed, however the soak ends.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from cli.output import Unreachable
from cli.postgres import EmbeddedPostgres
from cli.processes import until
from soak.invented import NODE

SMALL = {"shared_buffers": "'64MB'", "wal_writer_delay": "'10s'", "max_wal_size": "'512MB'", "min_wal_size": "'80MB'"}
"""A slow WAL writer, so that what is not flushed at the commit is not flushed by chance."""
DATABASE = "soak"
MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of our own is made in it
ROOM_BYTES = 4 << 30
LOWEST = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
ROOT = Path(__file__).parents[1]


@contextmanager
def folder(*, in_memory: bool = False) -> Iterator[Path]:
    """Give a new, short folder that the servers' user can pass, and remove it.

    `in_memory`, where there is room, is for trials that ask nothing of a disk.
    """
    is_fast = in_memory and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    above = MEMORY if is_fast else Path("/tmp")  # noqa: S108  # new, private and short
    made = Path(tempfile.mkdtemp(prefix="ncen-soak-", dir=above))
    if os.geteuid() == 0:
        made.chmod(0o711)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def server(home: Path, **settings: str) -> Iterator[EmbeddedPostgres]:
    """Run a PostgreSQL in a folder, with an empty database for the soak."""
    made = EmbeddedPostgres(home / "postgres", settings={**SMALL, **settings})
    made.start()
    made.create_database(DATABASE)
    try:
        yield made
    finally:
        with contextlib.suppress(Unreachable):
            made.stop()


def kill(running: EmbeddedPostgres) -> None:
    """Kill a server and all its children at one moment (SIGKILL); nothing happens when it does not run."""
    pid = running.pid
    if pid is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        postmaster = psutil.Process(pid)
        processes = (postmaster, *postmaster.children(recursive=True))
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=10)


class Processes:
    """Programs of ours in processes of their own, killed and started again by name."""

    def __init__(self, home: Path) -> None:
        """Keep what they print in files of this folder."""
        self._home = home
        self._commands: dict[str, tuple[list[str], dict[str, str]]] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def worker(self, name: str, kind: str, variables: dict[str, str]) -> None:
        """Start `ncen work KIND` of the node that the variables describe."""
        self._begin(name, [sys.executable, "-m", "cli.main", "work", kind], variables)

    def writer(self, name: str, database_url: str, keys: Path, seed: int) -> Path:
        """Start a writer, and return the file of what is acknowledged to it."""
        notes = self._home / f"{name}.acknowledged"
        self._begin(name, [sys.executable, "-m", "soak.writing", database_url, str(keys), str(notes), str(seed)], {})
        return notes

    def _begin(self, name: str, command: list[str], variables: dict[str, str]) -> None:
        kept = {each: os.environ[each] for each in LOWEST if each in os.environ}
        self._commands[name] = command, {**kept, **variables}
        self.start(name)

    def start(self, name: str) -> None:
        """Start what was killed."""
        command, variables = self._commands[name]
        with (self._home / f"{name}.output").open("ab") as output:
            self._children[name] = subprocess.Popen(  # noqa: S603  # our own programs
                command, env=variables, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def kill(self, *names: str) -> None:
        """Kill processes (SIGKILL); all when none is named."""
        for name in names or tuple(self._children):
            child = self._children[name]
            child.kill()
            child.wait()

    def end(self, *names: str) -> None:
        """Kill processes for good."""
        self.kill(*names)
        for name in names:
            del self._children[name]

    def revive(self) -> None:
        """Start again what has ended by itself."""
        for name, child in list(self._children.items()):
            if child.poll() is not None:
                self.start(name)


@contextmanager
def processes(home: Path) -> Iterator[Processes]:
    """Give a set of processes, killed at the end."""
    made = Processes(home)
    try:
        yield made
    finally:
        made.kill()


def variables_of(home: Path, database_url: str, *, node: str = NODE, **more: str) -> dict[str, str]:
    """Return the environment of a node's workers."""
    return {"NCEN_HOME": str(home), "NCEN_DATABASE_URL": database_url, "NCEN_NODE": node, "NCEN_NATS": "never", **more}


def grows(notes: list[Path], by: int, wait_s: float) -> bool:
    """Wait until so many bytes more are noted; tell whether they were in time."""
    before = sizes(notes)
    return until(lambda: sizes(notes) - before >= by, wait_s=wait_s, step_s=0.002)


def sizes(notes: list[Path]) -> int:
    """Return how many bytes were noted."""
    return sum(path.stat().st_size for path in notes if path.exists())
