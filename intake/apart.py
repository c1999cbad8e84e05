"""A process of its own for whatever parses foreign structure at a stretch, with limits that hold whatever the file is.

The process may use so much memory, processor time, room on disk and time, and no more; what outgrows a limit is killed
and the file is refused. What it finds comes back in frames through a file without a name, so that we never hold more
than one of them. It keeps these rules: limits are set before anything is opened; nothing of the file is ever said.
"""

import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import BinaryIO, NamedTuple

import msgspec

from intake.rows import Unreadable

MOST_FRAME_BYTES = 16 * 1024**2
_LENGTH_BYTES = 4


class Limits(NamedTuple):
    """What a process may use: bytes of memory (address space) and of output, seconds of processor and of waiting."""

    memory_bytes: int
    output_bytes: int
    cpu_s: int
    wait_s: float


def run(module: str, words: Sequence[str], file: BinaryIO, kept: BinaryIO, limits: Limits) -> None:
    """Have a module of ours read an open file in a process of its own; `kept` then holds what it wrote, from its start.

    Raises:
        Unreadable: it outgrew a limit; the sentence says what to do.
    """
    file.seek(0)
    told = [str(file.fileno()), *map(str, limits[:3]), *words]
    try:
        ended = subprocess.run(  # noqa: S603  # our own module; the arguments are numbers and words of the mapping
            [sys.executable, "-m", module, *told],
            stdin=subprocess.DEVNULL,
            stdout=kept,
            stderr=subprocess.DEVNULL,
            pass_fds=(file.fileno(),),
            timeout=limits.wait_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unreadable(f"It was not read within {limits.wait_s:g} seconds: split it, or save it as CSV.") from None
    if ended.returncode != 0:
        raise Unreadable("It needs more memory or time than a file of its size may: split it, or save it as CSV.")
    kept.seek(0)


def confined(arguments: Sequence[str]) -> tuple[int, list[str]]:
    """Set the limits of this process, which was begun by `run`; returns the handle of the file, and the words."""
    handle, memory_bytes, output_bytes, cpu_s = map(int, arguments[:4])
    for limit, wanted in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, output_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_CORE, 0),
    ):
        already = resource.getrlimit(limit)[1]
        most = wanted if already == resource.RLIM_INFINITY else min(wanted, already)  # an operator's own limits stay
        resource.setrlimit(limit, (most, most))
    return handle, list(arguments[4:])


def writer() -> Callable[[bytes | msgspec.Raw], None]:
    """A function that writes a frame to standard output."""
    write = sys.stdout.buffer.write

    def put(frame: bytes | msgspec.Raw) -> None:
        write(len(memoryview(frame)).to_bytes(_LENGTH_BYTES, "big"))
        write(frame)

    return put


def next_frame(kept: BinaryIO) -> bytes | None:
    """The next frame, None after the last; a frame that is larger than any may be comes back empty."""
    size = kept.read(_LENGTH_BYTES)
    if len(size) < _LENGTH_BYTES:
        return None
    length = int.from_bytes(size, "big")
    if length > MOST_FRAME_BYTES:
        kept.seek(length, 1)
        return b""
    return kept.read(length)
