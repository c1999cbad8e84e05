"""Bugs that we planted in rebuilding, as `mutants` does in the rest."""

from projections import fresh
from projections.projector import Runner
from tests.simulation import rebuilding
from tests.simulation.mutant import Mutant, changed

MUTANTS = (
    Mutant(
        name="fresh tables that are to be begun anew take over",
        run=rebuilding.run,
        changes=(
            changed(fresh, "_swap", (" AND position = %s", ""), ("[projection.NAME, reached]", "[projection.NAME]")),
        ),
        within=50,
    ),
    Mutant(
        name="fresh tables take over at less than those that serve",
        run=rebuilding.run,
        changes=(changed(Runner, "_build", ("max(self._feed.head, least)", "-1")),),
        within=50,
    ),
    Mutant(
        name="fresh tables are begun anew with what was left in them",
        run=rebuilding.run,
        changes=(changed(fresh, "make_fresh", ("_make(cursor, projection)", "pass")),),
        within=50,
    ),
    Mutant(
        name="fresh tables begin with what was parked before",
        run=rebuilding.run,
        changes=(
            changed(
                fresh,
                "make_fresh",
                (
                    "DELETE FROM read.parked WHERE projection = %s AND is_fresh",
                    "SELECT tables FROM read.position WHERE name = %s AND NOT is_fresh",
                ),
            ),
        ),
        within=20,
        first=190,
    ),
    Mutant(
        name="what is parked of the tables that served is left to those that take over",
        run=rebuilding.run,
        changes=(changed(fresh, "_swap", ('"DELETE FROM read.parked WHERE projection = %s AND NOT is_fresh",', "")),),
        within=50,
    ),
    Mutant(
        name="what is parked of fresh tables is not taken along",
        run=rebuilding.run,
        changes=(changed(fresh, "_swap", ('"UPDATE read.parked SET is_fresh = false WHERE projection = %s",', "")),),
        within=50,
    ),
)
