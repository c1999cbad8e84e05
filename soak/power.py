"""Profile `power`: the current fails under the server's file system, and under the cache of its drive.

An ext4 is mounted over a loop device on a drive whose cache forgets, reorders and tears what was not flushed
(`soak.drive`). Where there is no FUSE, the file system alone is shut down (EXT4_IOC_SHUTDOWN without flushing its log),
and the report says nothing of lying drives. Needs Linux, root and loop devices.
"""

import contextlib
import fcntl
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.postgres import EmbeddedPostgres
from cli.processes import living_in, until
from ledger.ledger import Ledger
from soak import careless, counting, drive
from soak.drive import Drive
from soak.invented import NODE
from soak.place import DATABASE, SMALL, Processes, folder, grows, kill, processes, server, variables_of
from soak.report import Control, Plan, Report, Skipped, report

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN: _IOR('X', 125, __u32)
WITHOUT_FLUSH = (2).to_bytes(4, "little")  # EXT4_GOING_FLAGS_NOLOGFLUSH
IMAGE_BYTES = 3 << 30
WRITERS = 3
AFTER_BYTES = 600
PROGRESS_WITHIN_S = 90.0
CONTROLS = {"synchronous_commit=off loses at a power cut": {}, "fsync=off loses at a power cut": {"fsync": "off"}}


class Disk:
    """A file system that is mounted, and whose current can fail; `drive` is what it lies on, where that is possible."""

    def __init__(self, image: Path, mounted: Path) -> None:
        """Make and mount it."""
        self.mounted = mounted
        with image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        _call("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", str(image))
        self.drive = Drive(image, image.with_suffix(".drive")) if drive.is_possible() else None
        self._device = image if self.drive is None else self.drive.disk
        mounted.mkdir()
        self._mount()
        mounted.chmod(0o711)

    def _mount(self) -> None:
        _call("mount", "-o", "loop", str(self._device), str(self.mounted))

    def cut(self, running: EmbeddedPostgres, seed: int = 0) -> None:
        """Let the current fail, and come back without the server; `seed` says what the drive's cache forgets.

        Raises:
            subprocess.CalledProcessError: the file system cannot be mounted any more.
        """
        if self.drive is not None:
            self.drive.tell(f"off {seed}")
        self._shut_down()
        data = self.mounted / "postgres" / "data"
        kill(running)
        for process in living_in(data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, 9)
        self._unmount()
        if self.drive is not None:
            self.drive.tell("on")
        self._mount()

    def _shut_down(self) -> None:
        """Let the file system forget its pages: after this it writes nothing, whatever lies under it."""
        handle = os.open(self.mounted, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, WITHOUT_FLUSH)
        finally:
            os.close(handle)

    def _unmount(self) -> None:
        until(lambda: _call("umount", str(self.mounted), check=False) == 0, wait_s=30)

    def close(self) -> None:
        """Unmount it, as soon as nobody uses it."""
        if self.mounted.is_mount():
            self._unmount()
        if self.drive is not None:
            self.drive.close()


def _call(*command: str, check: bool = True) -> int:
    return subprocess.run(command, check=check, capture_output=True, timeout=60).returncode  # noqa: S603  # fixed programs


def require() -> None:
    """Raise Skipped where power cannot be cut."""
    programs = ("mkfs.ext4", "mount", "umount")
    wanting = [name for name in programs if shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin") is None]
    if os.geteuid() != 0 or wanting or not Path("/dev/loop-control").exists():
        raise Skipped("A power cut needs Linux, root, loop devices and mkfs.ext4: NOT TESTED on this machine.")


@contextmanager
def disk(home: Path, name: str = "disk") -> Iterator[Disk]:
    """Give a disk, unmounted at the end."""
    made = Disk(home / f"{name}.img", home / name)
    try:
        yield made
    finally:
        made.close()


def run(plan: Plan) -> Report:
    """Cut the power for as long as the plan says, then count."""
    require()
    dice = random.Random(plan.seed)
    with folder() as home:
        with disk(home) as under, server(under.mounted) as running:
            url, keys = running.dsn(DATABASE), home / "keys"
            Ledger.open(url, node=NODE, keys=keys).close()
            with processes(home) as children:
                children.worker("seal", "seal", variables_of(home, url))
                notes = [children.writer(f"writer-{n}", url, keys, dice.getrandbits(32)) for n in range(WRITERS)]
                rounds = _rounds(plan, dice, (under, running), children, notes)
                children.end(*(f"writer-{n}" for n in range(WRITERS)))
                children.revive()
                wanted = counting.acknowledged(notes)
                missing, wrong = counting.lost(url, keys, wanted)
            controls = [Control(name, 1, _control(under, settings)) for name, settings in CONTROLS.items()]
            controls += _lying(under, plan)
        for sentence in wrong:
            plan.tell(sentence)
    return report("power", plan, rounds, (len(wanted), missing + len(wrong)), controls)


def _rounds(
    plan: Plan, dice: random.Random, on: tuple[Disk, EmbeddedPostgres], children: Processes, notes: list[Path]
) -> int:
    done, (under, running) = 0, on
    plan.begin()
    while plan.goes_on(done):
        if not grows(notes, AFTER_BYTES, PROGRESS_WITHIN_S):
            plan.tell("Nothing was acknowledged for a long time: the soak ends here.")
            break
        if dice.random() < 0.5:
            grows(notes, 1, 5.0)  # the moment after an answer
        else:
            time.sleep(dice.uniform(0, 0.3))
        under.cut(running, dice.getrandbits(32))
        running.start()
        children.revive()
        done += 1
        if done % 10 == 0:
            plan.tell(f"{done} power cuts")
    return done


def _control(under: Disk, settings: dict[str, str]) -> int:
    """Count what the server loses at a power cut when a safeguard is taken away."""
    careful = EmbeddedPostgres(under.mounted / "postgres", settings=SMALL)
    careful.stop()
    running = EmbeddedPostgres(under.mounted / "postgres", settings={**SMALL, **settings})
    running.start()
    acknowledged = careless.write(running, synchronous_commit="on" if settings else "off")
    return careless.lost(running, acknowledged, lambda: under.cut(running))


def _lying(under: Disk, plan: Plan) -> list[Control]:
    """Count what is lost on a drive that answers to a flush without doing it; all of it, if nothing can be mounted."""
    if under.drive is None:
        plan.tell("NOT TESTED: a drive whose cache reorders and forgets needs FUSE, libfuse and mfusepy.")
        return []
    running = EmbeddedPostgres(under.mounted / "postgres", settings=SMALL)
    running.stop()
    running.start()
    under.drive.tell("lie")
    acknowledged = careless.write(running)

    def interrupt() -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            under.cut(running, plan.seed)

    return [
        Control("a drive that does not flush loses at a power cut", 1, careless.lost(running, acknowledged, interrupt))
    ]
