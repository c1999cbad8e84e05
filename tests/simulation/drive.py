"""A simulated drive for files outside PostgreSQL: what was not fsynced may be gone, torn, or there before the rest.

POSIX and no more: an fsync of a file keeps its bytes and not its name; names are kept by an fsync of their folder;
what was kept by neither comes back in any order after a power cut, each rename whole. Each operation is a seam.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from stat import S_IFDIR, S_IFREG
from types import SimpleNamespace
from typing import Any, Self

from tests.simulation.world import EPOCH, Killed, World

TORN = 0.3
SECTOR = 16


class File:
    """The bytes of a file, as programs see them, and as they lie on the platter."""

    def __init__(self, mode: int) -> None:
        """Begin empty."""
        self.mode = mode
        self.seen = b""
        self.kept = b""
        self.pending: list[tuple[int, bytes]] = []
        self.changed_ns = 0

    def write(self, at: int, data: bytes) -> None:
        """Write into the cache."""
        self.seen = _written(self.seen, at, data)
        self.pending.append((at, data))

    def flush(self) -> None:
        """Bring it to the platter."""
        self.kept, self.pending = self.seen, []

    def lose(self, world: World) -> None:
        """Keep of what was not flushed some writes, whole or torn."""
        for at, data in self.pending:
            if world.chance(0.5):
                is_torn = world.chance(TORN)
                self.kept = _written(self.kept, at, data[: world.below(len(data) + 1)] if is_torn else data)
        self.seen, self.pending = self.kept, []


def _written(before: bytes, at: int, data: bytes) -> bytes:
    return before[:at].ljust(at, b"\0") + data + before[at + len(data) :]


Change = tuple[dict[str, Any], tuple[str, ...]]
"""What names mean from now on, and which names are gone: an operation on a folder, done whole or not at all."""


class Folder:
    """The names in a folder, as programs see them, and as they lie on the platter."""

    def __init__(self) -> None:
        """Begin empty."""
        self.mode = 0o700
        self.seen: dict[str, Any] = {}
        self.kept: dict[str, Any] = {}
        self.pending: list[Change] = []
        self.changed_ns = 0

    def change(self, made: dict[str, Any], *gone: str) -> None:
        """Do an operation, in the cache."""
        _apply(self.seen, made, gone)
        self.pending.append((made, gone))

    def flush(self) -> None:
        """Bring the names to the platter, and not what is in the files."""
        self.kept, self.pending = dict(self.seen), []

    def lose(self, world: World) -> None:
        """Keep some of the operations that were not flushed; none that builds upon one that is lost."""
        lost: set[str] = set()
        for made, gone in self.pending:
            names = {*made, *gone}
            if names & lost or world.chance(0.5):
                lost |= names
            else:
                _apply(self.kept, made, gone)
        self.seen, self.pending = dict(self.kept), []
        for one in self.seen.values():
            one.lose(world)


def _apply(names: dict[str, Any], made: dict[str, Any], gone: tuple[str, ...]) -> None:
    names.update(made)
    for name in gone:
        names.pop(name, None)


class Drive:
    """A drive with its cache, and the operating system's calls upon it."""

    def __init__(self, world: World) -> None:
        """Begin with an empty root, which needs no name."""
        self.world = world
        self.root = Folder()
        self.files: list[File] = []
        self._names = 0
        self._alone: dict[int, Any] = {}

    def path(self, *parts: str) -> "Path":
        """A path on this drive."""
        return Path(self, parts)

    def crash(self) -> None:
        """Lose power."""
        self.world.note("power cut")
        self.root.lose(self.world)

    def secrets(self, size: int) -> set[bytes]:
        """What files of this size hold, or may hold after a power cut, be their names gone or not."""
        found = {file.kept for file in self.files} | {data for file in self.files for _, data in file.pending}
        return {one for one in found if len(one) == size}

    def seam(self) -> None:
        """Give way, before an operation."""
        self.world.pause()

    # -- operations

    def find(self, parts: tuple[str, ...]) -> Any:  # noqa: ANN401  # a file or a folder
        """What lies there, None where nothing does."""
        found: Any = self.root
        for name in parts:
            found = found.seen.get(name) if isinstance(found, Folder) else None
        return found

    def folder(self, path: "Path") -> Folder:
        """The folder in which a path lies.

        Raises:
            FileNotFoundError: there is none.
        """
        found = self.find(path.parts[:-1])
        if not isinstance(found, Folder):
            raise FileNotFoundError(errno.ENOENT, "no such folder", str(path))
        return found

    def change(self, path: "Path", made: dict[str, Any], *gone: str) -> None:
        """Change names in the folder in which a path lies."""
        folder = self.folder(path)
        folder.change(made, *gone)
        folder.changed_ns = self.now_ns()

    def now_ns(self) -> int:
        """The time by the file system's clock, which is right."""
        return int((EPOCH.timestamp() + self.world.now_s) * 1e9)

    def new_file(self, path: "Path", mode: int) -> File:
        """Make an empty file."""
        file = File(mode)
        file.changed_ns = self.now_ns()
        self.files.append(file)
        self.change(path, {path.name: file})
        return file

    def found(self, path: "Path") -> Any:  # noqa: ANN401  # a file or a folder
        """What lies there.

        Raises:
            FileNotFoundError: nothing does.
        """
        one = self.find(path.parts)
        if one is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        return one

    # -- what stands for modules

    def os(self) -> SimpleNamespace:
        """What stands for `os`."""
        flags = {name: getattr(os, name) for name in ("O_RDONLY", "O_WRONLY", "O_APPEND", "O_CREAT")}

        def open_(path: "Path", how: int, mode: int = 0o777) -> Any:  # noqa: ANN401  # a file or a folder
            if how & os.O_CREAT and not path.exists():
                self.seam()
                if not path.exists():
                    return path.drive.new_file(path, mode)
            return path.drive.found(path)

        def fsync(one: Any) -> None:  # noqa: ANN401  # a file or a folder
            self.seam()
            one.flush()

        def link(old: "Path", new: "Path") -> None:
            self.seam()
            if new.exists():
                raise FileExistsError(errno.EEXIST, "it is there", str(new))
            new.drive.change(new, {new.name: old.drive.found(old)})

        return SimpleNamespace(
            **flags,
            open=open_,
            fdopen=lambda file, how: Open(file, how, self.world),
            fsync=fsync,
            link=link,
            close=lambda _: None,
            getpid=lambda: 1,
        )

    def fcntl(self) -> SimpleNamespace:
        """What stands for `fcntl`: a lock on a folder, which ends with the process that holds it."""

        def flock(folder: Folder, how: int) -> None:
            place, task = id(folder), self.world.current
            if how == fcntl.LOCK_UN:
                if self._alone.get(place) is task:
                    del self._alone[place]
                return
            self.world.wait_until(lambda: place not in self._alone or self._alone[place].is_done)
            self._alone[place] = task

        return SimpleNamespace(flock=flock, LOCK_EX=fcntl.LOCK_EX, LOCK_UN=fcntl.LOCK_UN)

    def tempfile(self) -> SimpleNamespace:
        """What stands for `tempfile`."""

        def mkstemp(*, dir: "Path", prefix: str) -> tuple[File, Path]:  # noqa: A002  # as tempfile has it
            self._names += 1
            path = dir / f"{prefix}{self._names}"
            self.seam()
            return dir.drive.new_file(path, 0o600), path

        return SimpleNamespace(mkstemp=mkstemp)


class Open:
    """An open file; what is written lies in the program until it is flushed or closed."""

    def __init__(self, file: File, how: str, world: World | None = None) -> None:
        """Open at its beginning, or at its end."""
        self._file = file
        self._world = world
        self._at: int | None = None if "a" in how else 0
        self._written: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Write."""
        self._written.append(data)

    def read(self, most: int) -> bytes:
        """Read from its beginning."""
        return self._file.seen[:most]

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        data, self._written = b"".join(self._written), []
        if data:
            if self._world is not None:
                self._world.pause()
            at = len(self._file.seen) if self._at is None else self._at
            self._file.write(at, data)
            self._at = None if self._at is None else self._at + len(data)

    def fileno(self) -> File:
        """What `os.fsync` is given."""
        return self._file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, Killed):
            self.flush()


class Path:
    """A path, in the shape of pathlib's as far as our code uses it."""

    def __init__(self, drive: Drive, parts: tuple[str, ...]) -> None:
        """Name a place on a drive."""
        self.drive = drive
        self.parts = parts

    def __truediv__(self, name: str) -> "Path":
        return Path(self.drive, (*self.parts, *name.split("/")))

    def __str__(self) -> str:
        return "/" + "/".join(self.parts)

    def __lt__(self, other: "Path") -> bool:
        return self.parts < other.parts

    @property
    def name(self) -> str:
        """Its last name."""
        return self.parts[-1]

    @property
    def suffix(self) -> str:
        """What follows the last point of its name."""
        return os.path.splitext(self.name)[1]  # noqa: PTH122  # a name without a place

    @property
    def parent(self) -> "Path":
        """The folder in which it lies."""
        return Path(self.drive, self.parts[:-1])

    def with_name(self, name: str) -> "Path":
        """Another place in the same folder."""
        return self.parent / name

    def absolute(self) -> "Path":
        """Itself: all paths here are."""
        return self

    # -- looking

    def exists(self) -> bool:
        """Whether something lies there."""
        return self.drive.find(self.parts) is not None

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return isinstance(self.drive.find(self.parts), Folder)

    def is_file(self) -> bool:
        """Whether it is a file."""
        return isinstance(self.drive.find(self.parts), File)

    def iterdir(self) -> Iterator["Path"]:
        """What lies in the folder."""
        return iter([self / name for name in self.drive.found(self).seen])

    def glob(self, pattern: str) -> Iterator["Path"]:
        """What lies in the folder and ends so."""
        return (path for path in self.iterdir() if path.name.endswith(pattern.removeprefix("*")))

    def stat(self) -> SimpleNamespace:
        """Mode, size, and when it was changed."""
        one = self.drive.found(self)
        kind = S_IFDIR if isinstance(one, Folder) else S_IFREG
        size = 0 if isinstance(one, Folder) else len(one.seen)
        mtime_ns: int = one.changed_ns
        return SimpleNamespace(st_mode=kind | one.mode, st_size=size, st_mtime_ns=mtime_ns, st_mtime=mtime_ns / 1e9)

    def read_bytes(self) -> bytes:
        """What is in it."""
        content: bytes = self.drive.found(self).seen
        return content

    def read_text(self, encoding: str) -> str:
        """The same as text."""
        return self.read_bytes().decode(encoding)

    # -- changing

    def open(self, how: str) -> Open:
        """Open it, and make it where it is to be written anew."""
        self.drive.seam()
        if "w" in how:
            return Open(self.drive.new_file(self, 0o644), how, self.drive.world)
        return Open(self.drive.found(self), how, self.drive.world)

    def mkdir(self, mode: int = 0o777, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Make a folder."""
        if self.exists() and exist_ok:
            return
        if parents and not self.parent.exists():
            self.parent.mkdir(mode, parents=True, exist_ok=True)
        self.drive.seam()
        if not self.exists():
            self.drive.change(self, {self.name: Folder()})

    def chmod(self, _mode: int) -> None:
        """Give it to its owner alone, to whom all belongs here."""

    def replace(self, new: "Path") -> None:
        """Rename it, in place of what is there."""
        self.drive.seam()
        self.drive.change(new, {new.name: self.drive.found(self)}, self.name)

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Take its name away."""
        self.drive.seam()
        if self.exists() or not missing_ok:
            self.drive.found(self)
            self.drive.change(self, {}, self.name)
