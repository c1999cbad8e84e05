"""How long it takes to wrap a million subjects' keys under a new epoch, beside a plain UPDATE of as many rows.

Each turn of ours is a whole rotation: the new key made, the guard set, every key unwrapped and wrapped anew, the old
key destroyed. The baseline changes the same rows of an equal table in one statement, with no cipher and no key.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import psycopg

from bench.rounds import Finding, alternate, finding
from bench.server import Place, Server
from ledger import binary, epochs, insertion
from ledger.keyring import Keyring
from ledger.ledger import Ledger
from ledger.vault import Vault, WrappedKey

NAMES = ("rewrap-1m-s",)
MILLION = 1_000_000
QUICK = 100_000
AT_ONCE = 20_000


def measure(server: Server, wanted: set[str], *, rounds: int, is_long: bool) -> Iterator[Finding]:
    """Rotate a vault of a million keys, or in the quick run of 100,000."""
    if not wanted & set(NAMES):
        return
    count = MILLION if is_long else QUICK
    place = server.place("rewrapping")
    fill_keys(place, count)
    with psycopg.connect(place.url, autocommit=True) as connection:
        measured = alternate(
            {
                "ours": lambda: _turn(server, connection, lambda: _rotate(place, count)),
                "plain": lambda: _turn(server, connection, lambda: _update(connection)),
            },
            rounds if not is_long else min(rounds, 3),
        )
    server.drop(place)
    scale = MILLION / count
    scaled = "" if is_long else f"{count:,} keys, told as ten times their time; "
    yield finding(
        NAMES[0],
        [seconds * scale for seconds in measured["ours"]],
        [seconds * scale for seconds in measured["plain"]],
        baseline_name="plain UPDATE of as many rows",
        unit="s",
        target="ours < 60 s",
        note=f"{scaled}{MILLION / (min(measured['ours']) * scale):,.0f} keys/s at best, others may write meanwhile",
    )


def fill_keys(place: Place, count: int) -> None:
    """Put so many keys into a fresh ledger, as its writers wrap them, and into an equal table beside it."""
    Ledger.open(place.url, node="NL", keys=Path(place.folder)).close()
    vault = Vault(Keyring.open(Path(place.folder)))
    with psycopg.connect(place.url, autocommit=True) as connection:
        for start in range(0, count, AT_ONCE):
            keys = [
                vault.new_key(Ledger.new_id(), UUID(int=number))[1]
                for number in range(start, min(count, start + AT_ONCE))
            ]
            with connection.cursor().copy(insertion.COPY_KEYS) as sink:
                sink.write(b"".join((binary.COPY_HEADER, *map(_row, keys), binary.COPY_TRAILER)))
        connection.execute("CREATE SCHEMA IF NOT EXISTS bench")
        connection.execute("CREATE TABLE bench.subject_key (LIKE ledger.subject_key INCLUDING ALL)")
        connection.execute("INSERT INTO bench.subject_key SELECT * FROM ledger.subject_key")


def _row(key: WrappedKey) -> bytes:
    values = insertion._key_values(key)
    return binary.pack_int2(len(values)) + b"".join(map(binary.field, values))


def _turn(server: Server, connection: psycopg.Connection[tuple[object, ...]], work: Callable[[], None]) -> float:
    for table in ("ledger.subject_key", "bench.subject_key"):
        connection.execute(f"VACUUM {table}".encode())
    server.settle()
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _rotate(place: Place, count: int) -> None:
    done = epochs.rotate(place.url, Path(place.folder))
    assert done.rewrapped == count
    assert len(done.destroyed) == 1


def _update(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    connection.execute("UPDATE bench.subject_key SET epoch = epoch + 1")
