"""Writers: processes that hold their connections open and write for as long as a turn lasts, all from one moment on.

Every side writes through the same code: so many processes, so many threads in each, one command (or one batch) after
another. A write counts when the store has acknowledged it, and the next one starts only then. Rate is commands a
second, added over the threads, each by its own clock from the common start to its last acknowledgement.
"""

import contextlib
import importlib
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from typing import Any, Protocol

import msgspec

from bench.server import Place

Write = Callable[[], None]
SILENCE_S = 90
"""After so long without an answer a writer is given up: the library hangs for ever on large batches over a socket."""
HEAD_START_S = 0.02


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How it is written: by how many processes and threads, how many commands at once, and of which kind."""

    processes: int = 1
    threads: int = 1
    batch: int = 1
    with_accounts: bool = False


class Store(Protocol):
    """Something that records: ours, or a rival."""

    def prepare(self, place: Place) -> None:
        """Make the tables in a fresh database."""

    def writers(self, place: Place, shape: Shape) -> AbstractContextManager[Callable[[], Write]]:
        """Open the store in a writer process; what comes back makes a `Write` for each thread."""


class Turned(msgspec.Struct, frozen=True, kw_only=True):
    """What one thread did in a turn: how many writes in how many seconds, and how long each took."""

    writes: int
    seconds: float
    took: tuple[float, ...]


def store_named(path: str) -> Store:
    """Make the store that `path` names, such as `bench.plain:Inserts`."""
    module, _, name = path.partition(":")
    store: Store = getattr(importlib.import_module(module), name)()
    return store


class Crew:
    """The writer processes of one side; they sit idle between turns."""

    def __init__(self, store: str, place: Place, shape: Shape) -> None:
        """Start the processes and wait until every writer has written something."""
        context = multiprocessing.get_context("spawn")
        self._shape = shape
        self._name = store
        self.took: list[float] = []
        self._ends: list[tuple[Connection, Any]] = []
        for _ in range(shape.processes):
            here, there = context.Pipe()
            process = context.Process(target=_work, args=(there, store, place, shape), daemon=True)
            process.start()
            there.close()
            self._ends.append((here, process))
        for here, _ in self._ends:
            self._answer(here)

    def turn(self, seconds: float) -> float:
        """Let them all write for so long; commands a second."""
        self.begin(seconds)
        return self.finish()

    def begin(self, seconds: float) -> None:
        """Let them all start to write, for so long."""
        start = time.monotonic() + HEAD_START_S
        for here, _ in self._ends:
            here.send((start, seconds))

    def finish(self) -> float:
        """Wait until they are done; commands a second."""
        rate = 0.0
        for here, _ in self._ends:
            for turned in self._answer(here):
                rate += turned.writes * self._shape.batch / turned.seconds
                self.took += turned.took
        return rate

    def close(self) -> None:
        """Send them home."""
        for here, process in self._ends:
            with contextlib.suppress(BrokenPipeError, OSError):
                here.send(None)
            process.join(10)
            if process.is_alive():
                process.kill()
            here.close()

    def _answer(self, end: Connection) -> list[Turned]:
        if not end.poll(SILENCE_S):
            raise TimeoutError(f"{self._name} has not answered for {SILENCE_S} s: it hangs.")
        answer = end.recv()
        if isinstance(answer, str):
            raise RuntimeError(f"{self._name}: {answer}")  # noqa: TRY004  # the writer's own error, told in words
        return msgspec.convert(answer, list[Turned])


@contextlib.contextmanager
def crew(store: str, place: Place, shape: Shape) -> Iterator[Crew]:
    """Prepare a store in a fresh database and have its writers ready."""
    store_named(store).prepare(place)
    writers = Crew(store, place, shape)
    try:
        yield writers
    finally:
        writers.close()


def _work(pipe: Connection, store: str, place: Place, shape: Shape) -> None:
    """What a writer process does until it is sent home."""
    try:
        with store_named(store).writers(place, shape) as make:
            writes = [make() for _ in range(shape.threads)]
            for write in writes:
                for _ in range(20 if shape.batch == 1 else 2):
                    write()
            pipe.send([])
            while (order := pipe.recv()) is not None:
                pipe.send(msgspec.to_builtins(_turn(writes, *order)))
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001  # whatever it is, the bench must hear of it
        with contextlib.suppress(OSError):
            pipe.send(f"{type(error).__name__}: {error}")


def _turn(writes: list[Write], start: float, seconds: float) -> list[Turned]:
    done: list[Turned] = []
    failed: list[BaseException] = []

    def run(write: Write) -> None:
        try:
            done.append(_write_until(write, start, start + seconds))
        except Exception as error:  # noqa: BLE001  # told to the bench below
            failed.append(error)

    threads = [threading.Thread(target=run, args=(write,)) for write in writes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return done


def _write_until(write: Write, start: float, deadline: float) -> Turned:
    took = []
    time.sleep(max(0.0, start - time.monotonic()))
    last = start
    while last < deadline:
        write()
        moment = time.monotonic()
        took.append(moment - last)
        last = moment
    return Turned(writes=len(took), seconds=last - start, took=tuple(took))
