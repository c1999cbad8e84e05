"""What numbering and sealing costs: how fast a backlog is drained, and how long an entry waits for its position.

The backlog is sealed by the sealer's own step, called until nothing is left, beside a bare COPY of the rows that it
wrote. The delay is from the acknowledgement of a command to the moment at which a reader that waits for the sealer sees
its position, at a steady rate of single commands, with the sealer as a process of its own.
"""

import contextlib
import itertools
import multiprocessing
import statistics
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import UUID

import psycopg

from bench.facts import BY, NODE, new_id, seizures
from bench.filling import fill, seal_all
from bench.ours import Commands, sealing
from bench.rounds import Finding, alternate, finding
from bench.server import Place, Server
from ledger.ledger import Ledger, Reader

BACKLOG = 100_000
ROWS_A_PART = 500
RATE = 1_000
WRITERS = 4
DELAY_TARGET_MS = 250.0
SEAL_TARGET = 20_000.0
NAMES = ("seal", "seal-target", "seal-delay-p99-ms", "seal-delay-p50-ms")


def measure(server: Server, wanted: set[str], *, rounds: int, seconds: float) -> Iterator[Finding]:
    """Measure the rate, then the delay (over `seconds`)."""
    if wanted & {"seal", "seal-target"}:
        yield from _rate(server, wanted, rounds)
    if wanted & {"seal-delay-p99-ms", "seal-delay-p50-ms"}:
        yield from _delay(server, wanted, seconds)


def _rate(server: Server, wanted: set[str], rounds: int) -> Iterator[Finding]:
    backlog = server.place("backlog")
    entries = fill(backlog, BACKLOG)
    copied = server.place("copied")
    packed: list[bytes] = []

    def ours() -> float:
        place = server.clone(backlog)
        server.settle()
        began = time.perf_counter()
        assert seal_all(place) == entries
        took = time.perf_counter() - began
        if not packed:
            packed.extend(_sealed(place))
            _make_equal(copied)
        server.drop(place)
        return entries / took

    def bare() -> float:
        server.settle()
        with psycopg.connect(copied.url, autocommit=True) as connection:
            began = time.perf_counter()
            with connection.cursor() as cursor, cursor.copy("COPY sealed FROM STDIN (FORMAT BINARY)") as copy:
                for part in packed:
                    copy.write(part)
            took = time.perf_counter() - began
            connection.execute("TRUNCATE sealed")
        return entries / took

    ours()  # a first, unmeasured time: it also gives the rows that the other side copies
    measured = alternate({"ours": ours, "copy": bare}, rounds)
    server.drop(copied)
    server.drop(backlog)
    found = (
        finding(
            "seal",
            measured["ours"],
            measured["copy"],
            baseline_name="bare COPY BINARY of the sealed rows, packed",
            unit="entries/s",
            note=f"a backlog of {entries:,}",
        ),
        finding(
            "seal-target",
            measured["ours"],
            [SEAL_TARGET],
            baseline_name="target 20,000/s",
            unit="entries/s",
            target="≥ 1",
        ),
    )
    yield from (one for one in found if one.row.name in wanted)


def _sealed(place: Place) -> list[bytes]:
    """The rows that the sealer wrote, in the form in which COPY takes them."""
    with psycopg.connect(place.url) as connection, connection.cursor() as cursor:
        query = "COPY (SELECT * FROM ledger.sealed ORDER BY position) TO STDOUT (FORMAT BINARY)"
        with cursor.copy(query) as copy:
            parts = [bytes(part) for part in copy]
    return [b"".join(parts[first : first + ROWS_A_PART]) for first in range(0, len(parts), ROWS_A_PART)]


def _make_equal(copied: Place) -> None:
    """Make the table that the bare COPY fills in a database of its own: LIKE ledger.sealed, without triggers."""
    Commands().prepare(copied)
    with psycopg.connect(copied.url) as connection:
        connection.execute("CREATE TABLE sealed (LIKE ledger.sealed INCLUDING ALL)")


def _delay(server: Server, wanted: set[str], seconds: float) -> Iterator[Finding]:
    place = server.place("delay")
    Commands().prepare(place)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with sealing(place) as drain:
        writer = context.Process(target=_write_steadily, args=(there, place, seconds), daemon=True)
        writer.start()
        there.close()
        seen = _watch(place, here)
        acknowledged: dict[UUID, float] = here.recv()
        writer.join(10)
        drain()
    server.drop(place)
    delays = sorted(max(0.0, seen[record] - moment) * 1000 for record, moment in acknowledged.items())
    rate = len(delays) / seconds
    p50, p99 = statistics.median(delays), delays[int(len(delays) * 0.99)]
    note = f"{rate:,.0f} commands/s for {seconds:.0f} s, worst {delays[-1]:.0f} ms"
    for name, value, target in (("seal-delay-p99-ms", p99, "< 1"), ("seal-delay-p50-ms", p50, "")):
        if name in wanted:
            yield finding(
                name,
                [value],
                [DELAY_TARGET_MS],
                baseline_name="target 250 ms",
                unit="ms",
                target=target,
                note=note,
            )


def _watch(place: Place, done: Connection) -> dict[UUID, float]:
    """Note for each record when its position could first be read, until the writer is done and all is sealed."""
    seen: dict[UUID, float] = {}
    position = 0
    with (
        Reader.open(place.url, keys=None) as reader,
        psycopg.connect(place.url, autocommit=True) as connection,
    ):
        is_last = False
        while True:
            is_done = done.poll()
            head = reader.wait(position, 0.2)
            moment = time.monotonic()
            if head > position:
                query = "SELECT record_id FROM ledger.sealed WHERE position > %s AND position <= %s"
                for (record_id,) in connection.execute(query, (position, head), prepare=True, binary=True):
                    seen[record_id] = moment
                position = head
            elif is_done and is_last:
                return seen
            is_last = is_done


def _write_steadily(pipe: Connection, place: Place, seconds: float) -> None:
    """Give single commands at a steady rate from several threads; send when each was acknowledged."""
    acknowledged: dict[UUID, float] = {}
    told = seizures()
    with Ledger.open(place.url, node=NODE, keys=Path(place.folder)) as ledger:
        start = time.monotonic() + 0.5

        def write(first: int) -> None:
            for number in itertools.count(first, WRITERS):
                due = start + number / RATE
                if due >= start + seconds:
                    return
                time.sleep(max(0.0, due - time.monotonic()))
                record = new_id()
                ledger.execute(record, told[number % len(told)], BY)
                acknowledged[record] = time.monotonic()

        threads = [threading.Thread(target=write, args=(first,)) for first in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with contextlib.suppress(BrokenPipeError):
        pipe.send(acknowledged)
