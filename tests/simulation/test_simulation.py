"""Our own code in the simulated world: a thousand seeds break nothing, and every planted bug is found."""

import pytest

from tests.simulation.mutant import Mutant
from tests.simulation.mutants import MUTANTS
from tests.simulation.seeds import RUNS, failures, seeds_of

PIECE = 50
PIECES = [
    pytest.param(protocol, seeds_of(protocol)[at : at + PIECE], id=f"{protocol} from {seeds_of(protocol)[at]}")
    for protocol in RUNS
    for at in range(0, len(seeds_of(protocol)), PIECE)
]


@pytest.mark.parametrize(("protocol", "seeds"), PIECES)
def test_no_seed_breaks_a_promise(protocol: str, seeds: range) -> None:
    broken = [str(failure) for failure in failures(protocol, seeds)]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    """By seeds that the code as it is passes: the seeds of the test above, from its first one on."""
    found = mutant.found_at(range(mutant.first, mutant.first + mutant.within))
    assert found is not None, f"{mutant.within} seeds do not show that {mutant.name}"
