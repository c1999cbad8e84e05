"""The process that takes a JSON array apart: it runs apart, because an array of small values outgrows its file.

It is begun by `intake.apart.run` with one word, where in the file the rows lie (none is the file itself). It writes in
frames: first what is wrong (or nothing), then each element as it stands in the file; what is longer than any row may
be is written as an empty frame. Nothing within an element is looked at here.
"""

import codecs
import mmap
import sys
from typing import Any

import msgspec

from intake.apart import MOST_FRAME_BYTES, confined, writer

_array = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def elements(held: Any, rows_at: str) -> list[msgspec.Raw] | None:  # noqa: ANN401  # whatever holds bytes
    """The elements of the array, None where the file has nothing of the name `rows_at`."""
    if held[:3] == codecs.BOM_UTF8:
        held = memoryview(held)[3:]
    for step in rows_at.split("."):
        if step:
            held = _object.decode(held).get(step)
            if held is None:
                return None
    return _array.decode(held)


def found_in(handle: int, rows_at: str) -> tuple[str, list[msgspec.Raw]]:
    """What is wrong with the file, or its elements."""
    try:
        found = elements(mmap.mmap(handle, 0, access=mmap.ACCESS_READ), rows_at)
    except RecursionError:
        return "deep", []
    except msgspec.ValidationError:
        return "array", []
    except ValueError:
        return "json", []
    return ("rows_at", []) if found is None else ("", found)


def main(handle: int, rows_at: str) -> None:
    """Write what was found."""
    put = writer()
    problem, found = found_in(handle, rows_at)
    put(problem.encode())
    for element in found:
        put(element if len(memoryview(element)) <= MOST_FRAME_BYTES else b"")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    _handle, _words = confined(sys.argv[1:])
    main(_handle, _words[0])
