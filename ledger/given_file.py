"""Files that others gave: read as far as their door takes, and never waited for.

A name may lead to something that is no file: a folder, a device without end, a pipe in which nobody writes. Such a name
is refused before anything is read from it; only what a shell itself hands over (`<(…)`, /dev/stdin) may be a pipe.
"""

import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

STANDARD_INPUT = "-"
_HANDED_OVER = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
_MB = 1024 * 1024


class Unusable(Exception):  # noqa: N818  # an answer, not a fault
    """A file cannot be used; the message is the reason, to be put behind the file's name: "it is no file"."""


def opened(name: str | Path) -> BinaryIO:
    """Open a file for reading.

    Raises:
        Unusable: it is not there, is closed to us, or is something that is no file.
    """
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError:
        raise Unusable("it cannot be read: a name of a file holds no NUL") from None
    except OSError as error:
        raise Unusable(f"it cannot be read: {error.strerror or type(error).__name__}") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode) and not str(name).startswith(_HANDED_OVER):
        os.close(handle)
        raise Unusable("it cannot be read: it is no file")
    try:
        os.set_blocking(handle, True)
        return os.fdopen(handle, "rb")
    except OSError as error:  # a folder that a shell has open
        os.close(handle)
        raise Unusable(f"it cannot be read: {error.strerror}") from None


def read(name: str | Path, most_bytes: int) -> bytes:
    """Return what a file holds, or standard input where the name is `-`.

    Raises:
        Unusable: as `opened`, or it holds more than `most_bytes`.
    """
    content = start(name, most_bytes + 1)
    if len(content) > most_bytes:
        raise Unusable(f"it is larger than {_size(most_bytes)}")
    return content


def start(name: str | Path, most_bytes: int) -> bytes:
    """Return the first bytes of a file, or of standard input where the name is `-`.

    Raises:
        Unusable: as `opened`.
    """
    try:
        if str(name) == STANDARD_INPUT:
            return sys.stdin.buffer.read(most_bytes)
        with opened(name) as file:
            return file.read(most_bytes)
    except OSError as error:
        raise Unusable(f"it cannot be read: {error.strerror or type(error).__name__}") from None


def _size(count: int) -> str:
    return f"{count // _MB} MB" if count >= _MB else f"{count // 1024} KB" if count >= 1024 else f"{count} bytes"
