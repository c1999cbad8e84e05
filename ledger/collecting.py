"""Python's garbage collector, held back while many small things are made that hold no cycles.

It would look through all of them again and again for cycles there are none of: that was 40% of the time of a replay.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Hold the collector back; of threads that do so at once, the first to begin lets it go on."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
