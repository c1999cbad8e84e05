"""Writing a file whole: it is there with all its bytes, flushed, or as it was before; never half of it.

A new file is for its owner alone (0600).
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GOING = "gone-"
"""How the file of a secret is called that is being destroyed."""


def write_whole(path: Path, content: bytes, owner: tuple[int, int] | None = None) -> None:
    """Write a file in place of what is there; `owner` are the user and group to whom it is given."""
    with _written_beside(path, content, owner) as fresh:
        fresh.replace(path)
    flush_folder(path.parent)


def make_whole(path: Path, content: bytes) -> bool:
    """Write a file unless it is there; return whether it was made. Of several who make it at once, one does."""
    with _written_beside(path, content) as fresh:
        try:
            os.link(fresh, path)  # fails when another process was first
        except FileExistsError:
            return False
    flush_folder(path.parent)
    return True


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Make a folder and those above it that are missing, so that they last; one that is there is made to last too."""
    missing = []
    above = path
    while not above.exists():
        missing.append(above)
        above = above.parent
    for folder in reversed(missing):
        folder.mkdir(mode=mode, exist_ok=True)
        flush_folder(folder.parent)
    if not missing:  # perhaps another process has made it a moment ago, and has not flushed it yet
        with contextlib.suppress(PermissionError):  # or it was made for us where we may not look
            flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Make what was added to a folder or taken from it last."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def destroy(path: Path, noise: bytes) -> bool:
    """Take the file of a secret away: overwritten with noise, flushed, unlinked; tell whether it was there.

    It is given another name first, so that nobody reads the noise as the secret; what a crash leaves under that name
    `destroy_rest` destroys.
    """
    gone = path if path.name.startswith(GOING) else path.with_name(f"{GOING}{path.name}")
    try:
        if gone is not path:
            path.replace(gone)
            flush_folder(path.parent)
        overwrite(gone, noise)
    except FileNotFoundError:
        return False
    return True


def overwrite(path: Path, noise: bytes) -> None:
    """Overwrite a file that nobody reads any more with noise, flush it, and unlink it so that it lasts.

    Raises:
        FileNotFoundError: it is not there.
    """
    with path.open("r+b") as file:
        file.write(noise)
        file.flush()
        os.fsync(file.fileno())
    path.unlink(missing_ok=True)
    flush_folder(path.parent)


def destroy_rest(folder: Path, noise: bytes) -> None:
    """Destroy the secrets in a folder that a crash has left half destroyed."""
    for path in list(folder.iterdir()):
        if path.name.startswith(GOING):
            destroy(path, noise)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let one process at a time change what lies in a folder; the others wait. A process that is killed lets go."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


@contextmanager
def _written_beside(path: Path, content: bytes, owner: tuple[int, int] | None = None) -> Iterator[Path]:
    """A flushed file of this content beside a path, under a name of its own, which goes away at the end."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # 0600 by mkstemp
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            os.fsync(file.fileno())
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)
