"""Whether the database's own upkeep holds up recording: the slowest command while it is vacuumed, analysed, indexed.

One writer records command after command into a ledger that holds entries already, while VACUUM, ANALYZE and CREATE
INDEX CONCURRENTLY run on its table again and again; the baseline writes into the equal plain table under the same
upkeep. (The library's table lock makes its writers wait for the whole length of each.)
"""

import contextlib
import threading
import time
from collections.abc import Iterator

import psycopg

from bench.filling import fill
from bench.ours import sealing
from bench.rounds import Finding, alternate, finding
from bench.server import Place, Server
from bench.writing import Crew, Shape

NAMES = ("maintenance-stall-ms",)
ENTRIES = 100_000
TABLES = {"ours": "ledger.entry", "plain": "bench.entry"}
STORES = {"ours": "bench.ours:Commands", "plain": "bench.plain:Inserts"}


def measure(server: Server, wanted: set[str], *, rounds: int, seconds: float) -> Iterator[Finding]:
    """Take turns of `seconds` under upkeep; each gives its slowest command in ms."""
    if not wanted & set(NAMES):
        return
    place = server.place("upkeep")
    fill(place, ENTRIES)
    with psycopg.connect(place.url) as connection:
        connection.execute("INSERT INTO bench.entry SELECT * FROM ledger.entry")
    with contextlib.ExitStack() as stack:
        drain = stack.enter_context(sealing(place))
        drain()
        crews = {side: Crew(store, place, Shape()) for side, store in STORES.items()}
        for crew in crews.values():
            stack.callback(crew.close)
        rounds_done: list[int] = []

        def turn(side: str) -> float:
            server.settle()
            rounds_done.append(_under_upkeep(crews[side], place, TABLES[side], seconds))
            slowest = max(crews[side].took) * 1000
            crews[side].took.clear()
            drain()
            return slowest

        measured = alternate({side: lambda side=side: turn(side) for side in STORES}, rounds)  # type: ignore[misc]  # a default binds the loop's value
    server.drop(place)
    yield finding(
        NAMES[0],
        measured["ours"],
        measured["plain"],
        baseline_name="plain INSERT under the same upkeep",
        unit="ms",
        target="ours ≤ 100 ms",
        note=f"slowest command of a turn; {min(rounds_done)} or more rounds of upkeep in each; worst of all turns "
        f"{max(measured['ours']):.0f} ms, theirs {max(measured['plain']):.0f} ms",
    )


def _under_upkeep(crew: Crew, place: Place, table: str, seconds: float) -> int:
    """Write for so long while another session keeps the table; how often it went round."""
    stop = threading.Event()
    times = 0

    def keep() -> None:
        nonlocal times
        with psycopg.connect(place.url, autocommit=True) as connection:
            while not stop.is_set():
                connection.execute(f"VACUUM {table}")
                connection.execute(f"ANALYZE {table}")
                connection.execute(f"CREATE INDEX CONCURRENTLY upkeep ON {table} (recorded_at)")
                connection.execute(f"DROP INDEX CONCURRENTLY {table.partition('.')[0]}.upkeep")
                times += 1

    crew.begin(seconds)
    thread = threading.Thread(target=keep)
    thread.start()
    time.sleep(max(0.0, seconds - 0.5))
    stop.set()
    crew.finish()
    thread.join()
    return times
