"""Writing a file whole: it is there with all its bytes, flushed, or as it was before; never half of it.

A new file is for its owner alone (0600).
"""

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in place of what is there."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # 0600 by mkstemp
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
