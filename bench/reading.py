"""What reading costs: every sealed entry from the first to the last, decoded, beside a bare fetch of the same rows.

Ours gives entries that can be used: joined to their positions, opened, decoded, with who made them. The baseline
fetches the same columns, in the same order and in pages of the same size, from a plain table that is clustered by
position and needs no join, and decodes nothing.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from bench.filling import fill, seal_all
from bench.rounds import Finding, Turn, alternate, finding
from bench.server import Place, Server
from ledger.ledger import Reader

NAMES = ("replay",)
ENTRIES = 100_000
PAGE = 5_000
FLAT = """
CREATE TABLE bench.flat AS
  SELECT s.position, e.* FROM ledger.sealed s JOIN ledger.entry e USING (record_id, version) ORDER BY s.position;
ALTER TABLE bench.flat ADD PRIMARY KEY (position);
ANALYZE bench.flat, ledger.entry, ledger.sealed;
"""


def measure(server: Server, wanted: set[str], *, rounds: int) -> Iterator[Finding]:
    """Replay a whole ledger, again and again."""
    if not wanted & set(NAMES):
        return
    place = server.place("replay")
    entries = fill(place, ENTRIES)
    seal_all(place)
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute(FLAT)
        with Reader.open(place.url, keys=Path(place.folder)) as reader:
            sides: dict[str, Turn] = {
                "ours": lambda: entries / _replay(reader, entries),
                "bare": lambda: entries / _fetch(connection, entries),
            }
            for side in sides.values():
                side()  # a first time, so that both find their pages in memory
            measured = alternate(sides, rounds)
    server.drop(place)
    yield finding(
        "replay",
        measured["ours"],
        measured["bare"],
        baseline_name="bare binary fetch from a plain table, undecoded",
        unit="entries/s",
        target="≥ 0.7",
        note=f"{entries:,} entries in pages of {PAGE:,}",
    )


def _replay(reader: Reader, entries: int) -> float:
    began, after, read = time.perf_counter(), 0, 0
    while page := reader.read(after, PAGE):
        read += len(page)
        after = page[-1].position or 0
    assert read == entries
    return time.perf_counter() - began


def _fetch(connection: psycopg.Connection[Any], entries: int) -> float:
    query = "SELECT * FROM bench.flat WHERE position > %s ORDER BY position LIMIT %s"
    began, after, read = time.perf_counter(), 0, 0
    with connection.cursor(binary=True) as cursor:
        while page := cursor.execute(query, (after, PAGE), prepare=True).fetchall():
            read += len(page)
            after = page[-1][0]
    assert read == entries
    return time.perf_counter() - began


def sealed_history(server: Server, entries: int) -> tuple[Place, int]:
    """A database with so many sealed entries, for what reads them."""
    place = server.place("history")
    exact = fill(place, entries)
    seal_all(place)
    return place, exact
