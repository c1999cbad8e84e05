"""Run seeds of the simulation: `python -m tests.simulation --seeds N --from S`.

`--protocol` runs one of them for N seeds, `--mutants` looks for the planted bugs, `--traces` prints the hash of each
seed's trace. Exits with 1 when a seed broke a promise or a bug was not found.
"""

import argparse
import sys
import time

from tests.simulation.mutants import MUTANTS
from tests.simulation.seeds import FIRST, RUNS, SEEDS, failures, seeds_of


def main() -> int:
    """Do what was asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many in all")
    parser.add_argument("--from", type=int, default=FIRST, dest="first", help="the first seed")
    parser.add_argument("--protocol", choices=RUNS)
    parser.add_argument("--mutants", action="store_true")
    parser.add_argument("--traces", action="store_true")
    asked = parser.parse_args()
    every = range(asked.first, asked.first + asked.seeds)
    if asked.traces:
        for protocol, run in RUNS.items():
            for seed in every:
                say(f"{protocol} {seed} {run(seed)}")
        return 0
    if asked.mutants:
        return look_for_mutants(every)
    if asked.protocol:
        return run_seeds(asked.protocol, every)
    return max(run_seeds(protocol, seeds_of(protocol, asked.seeds, asked.first)) for protocol in RUNS)


def run_seeds(protocol: str, seeds: range) -> int:
    """Run seeds of a protocol and say how it went."""
    began, broken = time.process_time(), 0
    for failure in failures(protocol, seeds):
        broken += 1
        say(str(failure))
    seconds = time.process_time() - began
    say(f"{protocol}: {len(seeds)} seeds, {broken} broken, {len(seeds) / seconds:.0f} seeds/s")
    return int(broken > 0)


def look_for_mutants(seeds: range) -> int:
    """Say which seed finds each mutant."""
    missed = 0
    for mutant in MUTANTS:
        found = mutant.found_at(seeds)
        missed += found is None
        say(f"{mutant.name}: " + ("not found" if found is None else f"seed {seeds[found[0]]}: {found[1]}"))
    return int(missed > 0)


def say(words: str) -> None:
    """Print a line at once."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
