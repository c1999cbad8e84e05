"""The process of a drive: shows its cache as the file `disk`, and takes the words of its switch in the file `current`.

`python -m soak.drive_process IMAGE FOLDER` serves until the folder is unmounted. While the current is off every read,
write and flush fails, as with a drive that is gone.
"""

import errno
import os
import stat
import sys

from mfusepy import FUSE, FuseOSError, Operations

from soak.drive import CURRENT, DISK, Cache


class Shown(Operations):  # type: ignore[misc]  # the library says nothing of types
    """The calls that FUSE makes."""

    use_ns = True

    def __init__(self, cache: Cache, size: int) -> None:
        """Show a drive of so many bytes."""
        self._cache = cache
        self._files = {f"/{DISK}": size, f"/{CURRENT}": 0}

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:  # noqa: ARG002  # FUSE gives it
        """Tell of the two files and their folder."""
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
        if path not in self._files:
            raise FuseOSError(errno.ENOENT)
        return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": self._files[path]}

    def readdir(self, path: str, fh: int) -> list[str]:  # noqa: ARG002  # FUSE gives it
        """List both files."""
        return [".", "..", DISK, CURRENT]

    def open(self, path: str, flags: int) -> int:  # noqa: ARG002  # FUSE gives it
        """Open either; nothing is kept of it."""
        return 0

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:  # noqa: ARG002  # FUSE gives it
        """Keep the size: a drive has one, and the switch none."""
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002  # FUSE gives it
        """Read sectors."""
        if path != f"/{DISK}":
            return b""
        self._need_current()
        return self._cache.read(offset, size)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:  # noqa: ARG002  # FUSE gives it
        """Write sectors, or throw the switch."""
        if path == f"/{DISK}":
            self._need_current()
            self._cache.write(offset, data)
        else:
            self._switch(*data.decode().split())
        return len(data)

    def fsync(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002  # FUSE gives it
        """Flush the cache."""
        if path == f"/{DISK}":
            self._need_current()
            self._cache.flush()
        return 0

    def _need_current(self) -> None:
        if not self._cache.is_on:
            raise FuseOSError(errno.EIO)

    def _switch(self, word: str, seed: str = "0") -> None:
        if word == "off":
            self._cache.fail(int(seed))
        elif word == "on":
            self._cache.is_on = True
        else:
            self._cache.is_honest = word == "honest"


def main(image: str, folder: str) -> None:
    """Serve until the folder is unmounted."""
    held = os.open(image, os.O_RDWR)
    shown = Shown(Cache(held), os.fstat(held).st_size)
    FUSE(shown, folder, foreground=True, nothreads=True, direct_io=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
