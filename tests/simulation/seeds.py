"""Which seeds are run: a fixed range, shared out among the protocols by what each costs.

`NCEN_SIMULATION_SEEDS` (in all; 1,000 unless given) and `NCEN_SIMULATION_FROM` (the first; 0 unless given) say which.
"""

import os
from collections.abc import Callable, Iterator

import msgspec

from tests.simulation import (
    exchanging,
    keeping,
    projecting,
    proving,
    rebuilding,
    sealing,
    telling_cen,
    telling_erased,
    witnessing,
)
from tests.simulation.world import Amiss

Run = Callable[..., str]
RUNS: dict[str, Run] = {
    "sealing": sealing.run,
    "projecting": projecting.run,
    "exchanging": exchanging.run,
    "losing": exchanging.lose,
    "keeping": keeping.run,
    "erasing": telling_erased.run,
    "cen": telling_cen.run,
    "witnessing": witnessing.run,
    "proving": proving.run,
    "rebuilding": rebuilding.run,
}
SHARES = {
    "sealing": 0.35,
    "projecting": 0.2,
    "exchanging": 0.15,
    "losing": 0.1,
    "keeping": 0.12,
    "erasing": 0.08,
    "cen": 0.1,
    "witnessing": 0.1,
    "proving": 0.1,
    "rebuilding": 0.1,
}
SEEDS = int(os.environ.get("NCEN_SIMULATION_SEEDS", "1000"))
FIRST = int(os.environ.get("NCEN_SIMULATION_FROM", "0"))


class Failure(msgspec.Struct, frozen=True):
    """A seed that broke a promise."""

    protocol: str
    seed: int
    told: str

    def __str__(self) -> str:
        again = f"python -m tests.simulation --protocol {self.protocol} --from {self.seed} --seeds 1"
        return f"{self.protocol} seed {self.seed}: {self.told} Again: {again}"


def seeds_of(protocol: str, count: int = SEEDS, first: int = FIRST) -> range:
    """The seeds of a protocol's share."""
    return range(first, first + max(1, round(count * SHARES[protocol])))


def failures(protocol: str, seeds: range) -> Iterator[Failure]:
    """Run seeds; each that breaks a promise."""
    for seed in seeds:
        try:
            RUNS[protocol](seed)
        except Amiss as amiss:
            yield Failure(protocol, seed, str(amiss))
