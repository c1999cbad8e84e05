"""How much memory and time a piece of work takes, the processes that it starts included."""

import contextlib
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

MB = 1024 * 1024


class Used:
    """What was used: the peak of memory beyond what was there before, in bytes, and seconds."""

    def __init__(self) -> None:
        self.bytes = 0
        self.seconds = 0.0


@contextlib.contextmanager
def used() -> Iterator[Used]:
    """Measure what happens inside: our own peak, as the kernel counts it, and that of a child larger than any before.

    The kernel keeps the peak of children for as long as we live: a child counts where it grew beyond all before it,
    so that the negative controls, whose children are large on purpose, are not held against what follows them. It also
    has a child begin with what we hold ourselves: a child counts where it grew beyond that.
    """
    found, largest = Used(), _largest_child()
    before, began = psutil.Process().memory_info().rss, time.monotonic()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the kernel begins its count of our peak anew
    try:
        yield found
    finally:
        found.seconds = time.monotonic() - began
        now = _largest_child()
        own = _own_peak()
        found.bytes = max(own - before, 0) + (now if now > max(largest, own) else 0)


def _largest_child() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def _own_peak() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
