"""Ours: whole commands through the public door of the ledger, as an officer or an import gives them.

A command is decided by the domain, encoded, checked that it can be read back, attributed, given its command id and
recorded; a personal event is sealed under its subject's key. The sealer runs as a process of its own all the while,
and what it has not numbered when a turn ends is waited for before the next side begins, so that nobody else pays.
"""

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg

from bench.facts import BY, NODE, new_id, seizures
from bench.server import Place
from bench.writing import Shape, Write
from ledger import sealer
from ledger.ledger import Asked, Ledger, Recorded
from ledger.schema import prepare

DRAIN_S = 60.0


class Commands:
    """`Ledger.execute` a command; `Ledger.execute_all` a batch."""

    def prepare(self, place: Place) -> None:
        """Make the ledger's schema."""
        prepare(place.url, node=NODE)

    @contextlib.contextmanager
    def writers(self, place: Place, shape: Shape) -> Iterator[Callable[[], Write]]:
        """One ledger a process, shared by its threads."""
        told = seizures(with_accounts=shape.with_accounts)
        with Ledger.open(place.url, node=NODE, keys=Path(place.folder)) as ledger:

            def make() -> Write:
                number = 0

                def write() -> None:
                    nonlocal number
                    command = told[number % len(told)]
                    number += 1
                    ledger.execute(new_id(), command, BY)

                def write_batch() -> None:
                    nonlocal number
                    asked = []
                    for _ in range(shape.batch):
                        asked.append(Asked(record_id=new_id(), command=told[number % len(told)], command_id=new_id()))
                        number += 1
                    answers = ledger.execute_all(asked, BY)
                    if not all(isinstance(answer, Recorded) for answer in answers):
                        raise RuntimeError("a command of a batch was refused")

                return write if shape.batch == 1 else write_batch

            yield make


@contextlib.contextmanager
def sealing(place: Place) -> Iterator[Callable[[], float]]:
    """Run the sealer as a process; what comes back waits until all is sealed and tells how long that took."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_seal, args=(there, place.url), daemon=True)
    process.start()
    there.close()
    with psycopg.connect(place.url, autocommit=True) as connection:
        try:
            yield lambda: drained(connection)
        finally:
            here.close()
            process.join(10)
            if process.is_alive():
                process.kill()


def drained(connection: "psycopg.Connection[tuple[int, ...]]") -> float:
    """Wait until every entry is sealed; seconds."""
    began = time.monotonic()
    while True:
        counted = connection.execute(
            "SELECT (SELECT count(*) FROM ledger.entry) - (SELECT count(*) FROM ledger.sealed)"
        ).fetchone()
        if counted is not None and counted[0] == 0:
            return time.monotonic() - began
        if time.monotonic() - began > DRAIN_S:
            raise TimeoutError(f"{counted and counted[0]} entries are not sealed after {DRAIN_S:.0f} s")
        time.sleep(0.005)


def _seal(parent: Connection, database_url: str) -> None:
    stop = threading.Event()

    def watch() -> None:
        with contextlib.suppress(EOFError, OSError):
            parent.recv()
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    sealer.run(database_url, stop=stop)
