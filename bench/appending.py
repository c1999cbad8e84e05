"""What recording costs: whole commands by one writer, by eight, by processes, and in batches, beside the rivals.

All sides of a shape take turns in the same rounds, each in a database of its own. Acknowledged means flushed to disk
on every side.
"""

import contextlib
from collections.abc import Callable, Iterator

import msgspec

from bench import uma
from bench.ours import sealing
from bench.rounds import Finding, Turn, alternate, finding
from bench.server import Server
from bench.writing import Crew, Shape, crew

OURS = "bench.ours:Commands"
LINES = "bench.ours:Lines"
PLAIN = "bench.plain:Inserts"
RAW = "bench.plain:RawInserts"
COPY = "bench.plain:Copies"
CRUD = "bench.crud:AuditedTable"
LIBRARY = "bench.library:Recorder"
UMA = "bench.uma:Uma"
TITLES = {
    PLAIN: "plain INSERT, prepared, autocommit",
    RAW: "plain INSERT through libpq, values packed beforehand",
    COPY: "COPY BINARY, one transaction a batch",
    CRUD: "CRUD table with audit trigger",
    LIBRARY: "eventsourcing's own recorder",
    "bench.plain:InsertsWithAccounts": "plain INSERT of the same rows, one statement a command",
    UMA: "UmaDB, conditional append",
}


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """A row to be: its name, the rival, and what we have promised."""

    name: str
    rival: str
    target: str = ""
    title: str = ""


class Race(msgspec.Struct, frozen=True, kw_only=True):
    """A shape of writing and the rivals that are measured in it."""

    shape: Shape
    rows: tuple[Against, ...]
    ours: str = OURS


RACES = (
    Race(
        shape=Shape(),
        rows=(
            Against(name="append-1", rival=PLAIN, target="≥ 0.85"),
            Against(name="append-1-vs-libpq", rival=RAW),
            Against(name="append-1-vs-crud", rival=CRUD, target="> 0.9"),
            Against(name="append-1-vs-library", rival=LIBRARY, target="> 1"),
            Against(name="append-1-vs-umadb", rival=UMA, target="> 1"),
        ),
    ),
    Race(
        shape=Shape(threads=8),
        rows=(
            Against(name="append-8", rival=PLAIN, target="≥ 0.9"),
            Against(name="append-8-vs-libpq", rival=RAW),
            Against(name="append-8-vs-crud", rival=CRUD, target="> 1"),
            Against(name="append-8-vs-library", rival=LIBRARY, target="> 1"),
            Against(name="append-8-vs-umadb", rival=UMA, target="> 1"),
        ),
    ),
    Race(
        shape=Shape(processes=4, threads=2),
        rows=(
            Against(name="append-4x2", rival=PLAIN),
            Against(name="append-4x2-vs-library", rival=LIBRARY, target="> 1"),
        ),
    ),
    Race(
        shape=Shape(with_accounts=True),
        rows=(Against(name="append-1-personal", rival="bench.plain:InsertsWithAccounts"),),
    ),
    Race(
        shape=Shape(batch=100),
        rows=(
            Against(name="append-batch-100", rival=COPY),
            Against(name="append-batch-100-vs-insert", rival=PLAIN, title="plain INSERT … unnest, one a batch"),
            Against(name="append-batch-100-vs-library", rival=LIBRARY, target="> 1"),
        ),
    ),
    Race(
        shape=Shape(batch=1000),
        rows=(
            Against(name="append-batch-1000", rival=COPY, target="≥ 0.8"),
            Against(name="append-batch-1000-vs-insert", rival=PLAIN, title="plain INSERT … unnest, one a batch"),
            Against(name="append-batch-1000-vs-library", rival=LIBRARY, target="> 1"),
            Against(name="append-batch-1000-vs-crud", rival=CRUD, target="> 1"),
            Against(name="append-batch-1000-vs-umadb", rival=UMA, target="> 1"),
        ),
    ),
    Race(
        shape=Shape(batch=1000),
        ours=LINES,
        rows=(Against(name="append-batch-1000-lines", rival=COPY, target="≥ 0.8"),),
    ),
)
NAMES = tuple(row.name for race in RACES for row in race.rows)


def measure(server: Server, wanted: set[str], *, rounds: int, seconds: float) -> Iterator[Finding]:
    """Run the races in which a wanted row is measured; a rival that is not installed is left out."""
    for race in RACES:
        rows = [row for row in race.rows if row.name in wanted and (row.rival != UMA or uma.is_installed())]
        if rows:
            yield from _run(server, race, rows, rounds=rounds, seconds=seconds)


def _run(server: Server, race: Race, rows: list[Against], *, rounds: int, seconds: float) -> Iterator[Finding]:
    shape, ours = race.shape, race.ours
    with contextlib.ExitStack() as stack:
        crews: dict[str, Crew] = {}
        turns: dict[str, Turn] = {}
        drains: list[float] = []
        for store in dict.fromkeys((ours, *(row.rival for row in rows))):
            if store == UMA:
                folder = server.folder / f"uma-{rows[0].name}"
                folder.mkdir()
                place = stack.enter_context(uma.serving(folder))
            else:
                place = server.place("append")
                stack.callback(server.drop, place)
            crews[store] = stack.enter_context(crew(store, place, shape))
            after = stack.enter_context(sealing(place)) if store == ours else None
            turns[store] = _turn(server, crews[store], seconds, after, drains)
        measured = alternate(turns, rounds)
        told = f"ours {_latency(crews[ours])}"
        for row in rows:
            yield finding(
                row.name,
                measured[ours],
                measured[row.rival],
                baseline_name=row.title or TITLES[row.rival],
                unit="commands/s",
                target=row.target,
                note=f"{told}, theirs {_latency(crews[row.rival])}; sealed {max(drains):.2f} s after the turn",
            )


def _turn(
    server: Server, writers: Crew, seconds: float, after: Callable[[], float] | None, drains: list[float]
) -> Turn:
    def turn() -> float:
        server.settle()
        rate = writers.turn(seconds)
        if after is not None:
            drains.append(after())
        return rate

    return turn


def _latency(writers: Crew) -> str:
    took = sorted(writers.took)
    return f"p50 {took[len(took) // 2] * 1000:.2f} p99 {took[int(len(took) * 0.99)] * 1000:.2f} ms"
