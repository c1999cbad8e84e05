"""A seed replays exactly: in this process, and in others whose hashes are salted otherwise."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.seeds import RUNS

ROOT = Path(__file__).parents[2]
SEEDS = range(5)


@pytest.mark.parametrize("protocol", RUNS)
def test_a_seed_gives_the_same_trace_twice_and_no_other_seed_gives_it(protocol: str) -> None:
    first = [RUNS[protocol](seed) for seed in SEEDS]
    again = [RUNS[protocol](seed) for seed in reversed(SEEDS)]
    assert again[::-1] == first
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("salt", ["1", "4242"])
def test_a_seed_gives_the_same_trace_in_every_process(salt: str) -> None:
    here = [f"{protocol} {seed} {run(seed)}" for protocol, run in RUNS.items() for seed in SEEDS]
    command = [sys.executable, "-m", "tests.simulation", "--traces", "--seeds", str(len(SEEDS))]
    told = subprocess.run(
        command, cwd=ROOT, env={"PYTHONHASHSEED": salt}, capture_output=True, text=True, check=True, timeout=120
    )
    assert told.stdout.split("\n")[:-1] == here
