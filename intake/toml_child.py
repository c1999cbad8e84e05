"""The process that reads a mapping's TOML: it runs apart, because a few kilobytes of it can be made to need gigabytes.

It is begun by `intake.apart.run`. It writes two frames: what is wrong (or nothing), and the document as MessagePack.
"""

import os
import sys
import tomllib

import msgspec

from intake.apart import confined, writer


def main(handle: int) -> None:
    """Write the document, or what is wrong with it."""
    put = writer()
    try:
        with os.fdopen(handle, "rb") as file:
            told = msgspec.msgpack.encode(tomllib.loads(file.read().decode("utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem, told = str(error), b""
    except RecursionError:
        problem, told = "it is nested too deeply", b""
    except (ValueError, OverflowError):
        problem, told = "it holds a number that is too large", b""
    else:
        problem = ""
    put(problem.encode())
    put(told)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(confined(sys.argv[1:])[0])
