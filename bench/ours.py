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

import msgspec
import psycopg

from bench.facts import BY, NODE, new_id, now, seizures
from bench.server import Place
from bench.writing import Shape, Write
from domain import seizure
from domain.attribution import Occasion
from ledger import sealer
from ledger.append import Appender, Plan
from ledger.clock import to_us
from ledger.drafting import Drafting
from ledger.ledger import Asked, Ledger, Recorded, Stand
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


class Lines:
    """Lines that lie ready, through the ledger's own appender: what recording costs without deciding and encoding."""

    def prepare(self, place: Place) -> None:
        """Make the ledger's schema."""
        prepare(place.url, node=NODE)

    @contextlib.contextmanager
    def writers(self, place: Place, shape: Shape) -> Iterator[Callable[[], Write]]:
        """One appender a process, shared by its threads; only record ids are made while it is timed."""
        with Ledger.open(place.url, node=NODE, keys=Path(place.folder)) as ledger:
            drafting = Drafting(NODE, ledger.vault, BY, to_us(now()))
        occasion = Occasion(by=BY, at=now())
        told = [
            drafting.draft(Stand(new_id()), seizure.decide(None, command, occasion), new_id())[0].drafts[0]
            for command in seizures()
        ]
        appender = Appender(place.url)

        def make() -> Write:
            number = 0

            def plans() -> Iterator[Plan]:
                nonlocal number
                for _ in range(shape.batch):
                    draft = told[number % len(told)]
                    number += 1
                    yield Plan([msgspec.structs.replace(draft, record_id=new_id().bytes)], [])

            return lambda: appender.append_all(plans())

        try:
            yield make
        finally:
            appender.close()


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
