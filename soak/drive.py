"""A drive whose cache forgets: at a cut, what was not flushed was written in any order, in parts, or never.

A process of its own (`soak.drive_process`) shows one file, `disk`, through FUSE, over which a file system is mounted
with a loop device. Each sector written since the last flush comes to rest, or does not, by itself: any of its versions
may be the one that was written. A drive that lies answers to a flush without doing it. Needs Linux, root and FUSE.
"""

import importlib
import os
import random
import subprocess
import sys
from pathlib import Path

from cli.processes import until
from soak.place import ROOT
from soak.report import Skipped

SECTOR = 512
MOST_SECTORS = 1 << 16
"""What the cache holds (32 MiB); a full one is written out, as drives do."""
WAIT_S = 30.0
DISK, CURRENT = "disk", "current"


def is_possible() -> bool:
    """Tell whether this machine has what such a drive needs."""
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        return False
    try:
        importlib.import_module("mfusepy")
    except (ImportError, OSError):
        return False
    return True


class Drive:
    """A drive over an image, as a process, with the switch of its current."""

    def __init__(self, image: Path, shown: Path) -> None:
        """Start it; `shown` is a new folder in which the drive appears as a file."""
        shown.mkdir()
        self._shown = shown
        command = [sys.executable, "-m", "soak.drive_process", str(image), str(shown)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  # ourselves
        if not until(self.disk.exists, wait_s=WAIT_S):
            self._process.kill()
            raise Skipped("A drive could not be shown through FUSE: NOT TESTED on this machine.")

    @property
    def disk(self) -> Path:
        """The file that is the drive."""
        return self._shown / DISK

    def tell(self, word: str) -> None:
        """Throw the switch: `off SEED` lets the current fail, `on` gives it back, `lie` makes its flushes lies."""
        (self._shown / CURRENT).write_text(word)

    def close(self) -> None:
        """Stop it, when nothing is mounted on it any more."""
        umount = ("umount", str(self._shown))
        until(lambda: subprocess.run(umount, check=False, capture_output=True).returncode == 0, wait_s=WAIT_S)  # noqa: S603  # a fixed program
        self._process.wait(WAIT_S)


class Cache:
    """What a drive holds: sectors at rest in the image, and their later versions in its cache."""

    def __init__(self, image: int) -> None:
        """Take the file descriptor of the image."""
        self._image = image
        self._held: dict[int, list[bytes]] = {}
        self.is_on = True
        self.is_honest = True

    def read(self, offset: int, size: int) -> bytes:
        """Read what was written last, wherever it is."""
        data = bytearray(os.pread(self._image, size, offset))
        if self._held:
            for place in range(0, len(data), SECTOR):
                if versions := self._held.get((offset + place) // SECTOR):
                    data[place : place + SECTOR] = versions[-1]
        return bytes(data)

    def write(self, offset: int, data: bytes) -> None:
        """Hold whole sectors in the cache."""
        for place in range(0, len(data), SECTOR):
            self._held.setdefault((offset + place) // SECTOR, []).append(data[place : place + SECTOR])
        if len(self._held) > MOST_SECTORS:
            self._write_out()

    def flush(self) -> None:
        """Bring all to rest; a drive that lies only says so."""
        if self.is_honest:
            self._write_out()

    def _write_out(self) -> None:
        for sector, versions in self._held.items():
            os.pwrite(self._image, versions[-1], sector * SECTOR)
        self._held.clear()

    def fail(self, seed: int) -> None:
        """Let the current fail: of each sector any version comes to rest, or none."""
        dice = random.Random(seed)
        for sector, versions in self._held.items():
            chosen = dice.randrange(-1, len(versions))
            if chosen >= 0:
                os.pwrite(self._image, versions[chosen], sector * SECTOR)
        self._held.clear()
        self.is_on = False
