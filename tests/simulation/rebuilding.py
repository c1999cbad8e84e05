"""Rebuilding in the simulated world: fresh tables are filled beside those that serve, and put in their place.

The promises of `projecting` hold of the serving and of the fresh tables at every commit, whenever somebody asks for
them to be built anew, the code becomes another, runners are killed, or a crash empties what no log holds; and while
there are serving tables, their position never goes back.
"""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from projections import positions
from projections.projection import Table
from projections.projector import Runner
from tests.simulation import projecting
from tests.simulation.disk import Transaction
from tests.simulation.projecting import NAME, Feed, Projected, Stop
from tests.simulation.seams import Exchanged, installed, require
from tests.simulation.session import Session
from tests.simulation.tables_rebuild import TABLES, UNLOGGED
from tests.simulation.world import Stuck, World

FAULTS = 5
MOST_TURNS = 8_000
SERVING, FRESH = (NAME, False), (NAME, True)


class Versioned(Projected):
    """The projection, in a version of its code."""

    def __init__(self, version: int) -> None:
        """Have its two tables made by us."""
        super().__init__()
        self.VERSION = version
        self.TABLES = (self._folding.table, Table("tally", TABLES["tally"], is_open=True))


class Shown(projecting.Shown):
    """What both sets of tables say, compared with the sealed prefix at every commit."""

    def __init__(self, world: World, url: str) -> None:
        """Watch a server."""
        super().__init__(world, url)
        self.served = 0

    def look(self, transaction: Transaction) -> None:
        """Compare, where the read side was written.

        Raises:
            Broken: they differ, or what serves went back.
        """
        if not transaction.writes.keys() & set(UNLOGGED):
            return
        self.compare_both()
        row = self._server.tables["position"].get(SERVING)
        require(row is not None or not self.served, "Nothing serves any more.")
        if row is not None:
            require(row["position"] >= self.served, "What serves went back.")
            self.served = row["position"]

    def compare_both(self) -> None:
        """Compare what there is."""
        places = self._server.tables.get("position", {})
        for place in (SERVING, FRESH):
            if place in places and places[place]["position"] >= 0:
                self.compare(is_fresh=place[1])


class Simulation(projecting.Simulation):
    """One seed of it."""

    shown: Shown

    def __init__(self, world: World) -> None:
        """Set up a ledger, and no tables of a projection yet."""
        super().__init__(world)
        self.server.watchers.remove(self.shown.look)
        self.server.empty(UNLOGGED)
        self.server.tables["position"] = {}
        self.shown = Shown(world, "XA")
        self.is_locked = True
        self.version = 1

    def runner(self) -> None:
        """Keep the projection in step, in the version of its code as it stands."""
        feed: Any = Feed(self.world, "XA")
        stop: Any = Stop(self.world)
        projection: Any = Versioned(self.version)
        Runner(projection, "XA", feed, stop).run()

    def ask(self) -> None:
        """Ask for the projection to be built anew, as `positions.rebuild` does."""
        projection: Any = Versioned(self.version)
        try:
            with Session(self.server) as session:
                at_work: Any = session
                positions.start_fresh(at_work, projection)
        except psycopg.OperationalError:
            return

    def disaster(self) -> None:
        """Let something go wrong, or something else be wanted."""
        kinds: tuple[Callable[[], None], ...] = (self.crash, self.kill, self.become_another, self.let_ask, self.let_ask)
        kind = kinds[self.world.below(len(kinds))]
        self.world.note("disaster", kind.__name__)
        kind()

    def crash(self) -> None:
        """Let the server crash: what no log holds is empty then."""
        self.server.crash()
        self.server.empty(UNLOGGED)
        self.server.tables["position"] = {}
        self.shown.served = 0
        self.sealed.after_crash()

    def kill(self) -> None:
        """Kill the runners."""
        self.world.kill(self.workers)
        self.start_workers()

    def become_another(self) -> None:
        """Let the program be another one."""
        self.version += 1
        self.kill()

    def let_ask(self) -> None:
        """Let somebody ask for it to be built anew, some time."""

        def later() -> None:
            self.world.pause(self.world.random.random() * 2)
            self.ask()

        self.world.spawn("asks", later)

    def is_quiet(self) -> bool:
        """Whether all is recorded, sealed, and in tables of the newest version."""
        places = self.server.tables["position"]
        if SERVING not in places or FRESH in places or any(task.name == "asks" for task in self.world.tasks):
            return False
        is_newest = places[SERVING]["version"] == self.version
        return bool(is_newest and super().is_quiet())


def run(seed: int, mutant: Sequence[Exchanged] = ()) -> str:
    """Run a seed; returns the hash of its trace.

    Raises:
        Broken: a promise was not kept.
    """
    world = World(seed)
    simulation = Simulation(world)
    with installed(world, *simulation.seams(), *mutant):
        simulation.start()
        for _ in range(1 + world.below(FAULTS)):
            world.run(20 + world.below(200))
            simulation.disaster()
        if not world.run(MOST_TURNS, simulation.is_quiet):
            raise Stuck("The projection did not come to the head of the ledger in its newest version.")
        simulation.shown.compare_both()
        simulation.shown.compare_states()
    return world.trace
