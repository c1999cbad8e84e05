"""Projecting in the simulated world: the real runner, slot and folding, two runners that compete, and disasters.

The promises: rows, parked entries and position stand or fall together; each sealed entry is told once; a state is the
fold of its record's sealed entries up to the position; what cannot be applied is parked with the later entries of its
record, and everything else flows.
"""

from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from domain import records
from domain.attribution import Occasion
from domain.entry import Entry
from projections import projector, slot
from projections.folding import Folding
from projections.projection import Cursor, Past, Table, open_names
from projections.projector import Runner
from tests.simulation import tables_read
from tests.simulation.disk import Transaction
from tests.simulation.officers import Desk, Register
from tests.simulation.sealing import Sealed, seal
from tests.simulation.seams import Exchanged, SealedReader, installed, new_server, require
from tests.simulation.session import Session
from tests.simulation.tables_read import in_schema
from tests.simulation.world import Stuck, Task, WallClock, World

COMMANDS = 9
FAULTS = 4
MOST_TURNS = 6_000
PAGE = 4
POISON = 12
"""One entry in so many cannot be applied."""
NAME = "simulated"
PLACE = (NAME, False)


class Projected:
    """A projection of seizures: their states, and a tally that would show an entry told twice."""

    NAME = NAME
    VERSION = 1
    NAMES = open_names("seizure")

    def __init__(self) -> None:
        """Keep states in a table."""
        self._folding = Folding("seizure", tables_read.FOLDED)
        self.TABLES: tuple[Table, ...] = (self._folding.table,)

    def apply(self, cursor: Cursor, entries: Sequence[Entry], past: Past) -> None:
        """Fold the entries and count them."""
        self._folding.chains(cursor, entries, past)
        for entry in entries:
            if is_poison(entry.record_id, entry.version):
                raise ValueError("it cannot be applied")
            cursor.execute(tables_read.TELL, [entry.record_id, entry.version])


def is_poison(record_id: UUID, version: int) -> bool:
    """Whether this entry cannot be applied."""
    return (record_id.int + version) % POISON == 0


class Feed:
    """The feed of one runner, as `projections.feed.Feed` gives it to a thread."""

    def __init__(self, world: World, url: str) -> None:
        """Read from the ledger."""
        self._world = world
        self._reader = SealedReader(url)
        self.head = 0

    def read(self, after: int, **_: object) -> list[Entry]:
        """The next few entries."""
        return self._reader.read(after, PAGE)

    def record(self, record_id: UUID) -> list[Entry]:
        """The sealed entries of a record."""
        return self._reader.record(record_id)

    def forget(self) -> None:
        """Nothing is remembered here."""

    def await_more(self, _after: int, timeout_s: float) -> None:
        """Look where the ledger stands, after a while."""
        self._world.pause(self._world.random.random() * timeout_s)
        self.head = self._reader.head()


class Stop:
    """The event that would tell a runner to stop: it is killed instead."""

    def __init__(self, world: World) -> None:
        """Wait in this world."""
        self.wait = world.pause

    def is_set(self) -> bool:
        """Whether to stop."""
        return False


class Shown:
    """What the projection's tables say, compared with the sealed prefix at every commit."""

    def __init__(self, world: World, url: str) -> None:
        """Watch a server."""
        self._server = world.servers[url]
        self._server.watchers.append(self.look)

    def look(self, transaction: Transaction) -> None:
        """Compare, where the read side was written.

        Raises:
            Broken: they differ.
        """
        if transaction.writes.keys() & {"position", "tally", "parked", tables_read.FOLDED}:
            self.compare()

    def compare(self, *, is_fresh: bool = False) -> None:
        """Compare tally, parked entries and states, serving or fresh ones, with what their position says.

        Raises:
            Broken: they differ.
        """
        tables, schema = self._server.tables, "read_fresh" if is_fresh else "read"
        reached = tables["position"][NAME, is_fresh]["position"]
        told, parked, states = self._expected(reached)
        tally = {key: row["told"] for key, row in tables.get(in_schema(schema, tables_read.TALLY), {}).items()}
        require(tally == told, "The rows are not those of the sealed entries up to the position, each once.")
        waiting = sorted(key[2] for key in tables.get("parked", {}) if key[1] == is_fresh)
        require(waiting == parked, "Other entries are parked than those.")
        folded = tables.get(in_schema(schema, tables_read.FOLDED), {})
        kept = {key[0]: row["version"] for key, row in folded.items()}
        require(kept == states, "A state is not of the version that was reached.")

    def _expected(self, reached: int) -> tuple[dict[tuple[UUID, int], int], list[int], dict[UUID, int]]:
        tables = self._server.tables
        told: dict[tuple[UUID, int], int] = {}
        parked: dict[UUID, list[int]] = {}
        states: dict[UUID, int] = {}
        for position in range(1, reached + 1):
            row = tables["sealed"][position,]
            record_id, version = row["record_id"], row["version"]
            if tables["entry"][record_id, version]["name"] not in Projected.NAMES:
                continue
            if record_id in parked or is_poison(record_id, version):
                parked.setdefault(record_id, []).append(position)
                continue
            told[record_id, version] = 1
            states[record_id] = max(version, states.get(record_id, 0))
        return told, sorted(position for some in parked.values() for position in some), states

    def compare_states(self) -> None:
        """Compare each kept state with the fold of its record.

        Raises:
            Broken: they differ.
        """
        tables = self._server.tables
        decode, evolve = Projected()._folding._decode, records.KINDS["seizure"].evolve
        for (record_id,), row in tables.get(tables_read.FOLDED, {}).items():
            state = None
            for version in range(1, row["version"] + 1):
                entry = tables["entry"][record_id, version]
                event = records.decode(entry["name"], entry["body"])
                state = evolve(state, event, Occasion(by=None, at=entry["recorded_at"]))
            require(decode(row["state"])[1] == state, "A kept state is not the fold of its record.")


class Simulation:
    """One seed of it."""

    def __init__(self, world: World) -> None:
        """Set up a ledger and a projection of it."""
        self.world = world
        start = {"version": Projected.VERSION, "position": 0}
        self.server = new_server(world, "XA", [("position", {PLACE: start})])
        self.sealed = Sealed(self.server)
        self.shown = Shown(world, "XA")
        self.register = Register()
        self.desk = Desk(world, "XA", self.register, WallClock(world).now)
        self.is_locked = world.chance(0.5)
        self.workers: list[Task] = []

    def seams(self) -> tuple[Exchanged, ...]:
        """What is exchanged in the projector: where no lock holds runners apart, the position alone must."""
        session = partial(Session, self.server, is_synchronous=False)
        names = [
            Exchanged(projector, "connect", lambda _url, _name: session()),
            Exchanged(projector, "log", SimpleNamespace(warning=lambda *_: None)),
            Exchanged(slot, "AT_ONCE", 2),
        ]
        if not self.is_locked:
            names.append(Exchanged(projector, "take", lambda _connection, _name: True))
        return tuple(names)

    def start(self) -> None:
        """Let all begin to work."""
        self.world.spawn("officer", partial(self.desk.work, COMMANDS))
        self.world.spawn("sealer", partial(seal, self.world, "XA"))
        self.start_workers()

    def start_workers(self) -> None:
        """Start the runners."""
        self.workers = [self.world.spawn(f"runner {number}", self.runner) for number in range(2)]

    def runner(self) -> None:
        """Keep the projection in step, as a process of the projector does."""
        feed: Any = Feed(self.world, "XA")
        stop: Any = Stop(self.world)
        Runner(Projected(), "XA", feed, stop).run()

    def disaster(self) -> None:
        """Let something go wrong."""
        if self.world.chance(0.5):
            self.server.crash()
            self.sealed.after_crash()
            self.shown.compare()
        else:
            for number in range(1 + self.world.below(2)):
                self.world.kill([self.workers[number]])
                self.workers[number] = self.world.spawn(f"runner {number}", self.runner)

    def is_quiet(self) -> bool:
        """Whether all is recorded, sealed and projected."""
        tables = self.server.tables
        reached = tables["position"][PLACE]["position"]
        return self.register.at_work == 0 and reached == len(tables["sealed"]) == len(tables["entry"])


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
            raise Stuck("The projection did not come to the head of the ledger.")
        simulation.shown.compare()
        simulation.shown.compare_states()
    return world.trace
