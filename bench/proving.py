"""What proving costs: recomputing a whole ledger beside a bare fetch of it, and checking one inclusion proof.

`verify` recomputes leaves, tree, order, gaps and versions from PostgreSQL, as `ncen verify --without-keys` does; the
server works beside it on another core where there is one, and the note tells how much time our own process took. A
proof is checked from a leaf and its hashes alone, with the code that everybody uses.
"""

import statistics
import time
from collections.abc import Iterator

from bench.filling import fill, seal_all
from bench.rounds import Finding, finding
from bench.server import Server
from ledger.merkle import verify_inclusion
from ledger.sessions import connect
from ledger.tree import Tree
from ledger.verify import verify

NAMES = ("verify", "proof-us")
ENTRIES = 100_000
VERIFY_TARGET = 100_000.0
PROOF_TARGET_US = 100.0
PROOFS = 2_000


def measure(server: Server, wanted: set[str], *, rounds: int) -> Iterator[Finding]:
    """Verify a ledger, and check proofs of its entries."""
    if not wanted & set(NAMES):
        return
    place = server.place("proving")
    entries = fill(place, ENTRIES)
    seal_all(place)
    if "verify" in wanted:
        yield _verify(place.url, entries, rounds)
    if "proof-us" in wanted:
        yield _proofs(place.url, entries, rounds)
    server.drop(place)


def _verify(url: str, entries: int, rounds: int) -> Finding:
    rates, own = [], []
    for number in range(rounds + 1):
        began, began_own = time.perf_counter(), time.process_time()
        verdict = verify(url)
        took, took_own = time.perf_counter() - began, time.process_time() - began_own
        assert verdict.is_sound
        assert verdict.entries == entries
        if number:  # the first time warms the pages
            rates.append(entries / took)
            own.append(entries / took_own)
    return finding(
        "verify",
        rates,
        [VERIFY_TARGET],
        baseline_name="target 100,000/s",
        unit="entries/s",
        target="≥ 1",
        note=f"{entries:,} entries; {statistics.median(own):,.0f} a second of our own process's time",
    )


def _proofs(url: str, entries: int, rounds: int) -> Finding:
    with connect(url) as connection:
        tree = Tree(connection)
        root = tree.root(entries)
        places = range(1, entries + 1, entries // PROOFS)
        rows = connection.execute(
            "SELECT leaf FROM ledger.sealed WHERE position = ANY(%s) ORDER BY position", [list(places)]
        ).fetchall()
        proofs = [
            (leaf, place, tree.prove_inclusion(place, entries)) for (leaf,), place in zip(rows, places, strict=True)
        ]
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        assert all(verify_inclusion(leaf, place - 1, entries, proof, root) for leaf, place, proof in proofs)
        times.append((time.perf_counter() - began) / len(proofs) * 1e6)
    return finding(
        "proof-us",
        times,
        [PROOF_TARGET_US],
        baseline_name="target 100 us",
        unit="us",
        target="< 1",
        note=f"{len(proofs):,} proofs of {len(proofs[0][2])} hashes in a tree of {entries:,}",
    )
