"""Recording and sealing in the simulated world: officers, two sealers that compete, a follower, and disasters.

The promises: what was acknowledged is on disk, once, and is sealed, once; positions have no gap and never change; no
entry appears before what a follower has read; the tree is that of the leaves; a repeated command has one effect.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import psycopg

from ledger import sealer
from ledger.merkle import Frontier
from tests.simulation.disk import Server, Transaction, Writes
from tests.simulation.officers import Desk, Register
from tests.simulation.seams import Exchanged, SealedReader, installed, new_server, require
from tests.simulation.session import Session
from tests.simulation.world import Stuck, Task, WallClock, World

OFFICERS = 3
COMMANDS = 4
FAULTS = 5
MOST_TURNS = 6_000
IDLE_S = 0.15


class Sealed:
    """What the sealed prefix has been so far, watched at every commit."""

    def __init__(self, server: Server) -> None:
        """Watch a server."""
        self._server = server
        self.leaves: list[bytes] = []
        self.places: list[tuple[int, int]] = []
        server.watchers.append(self.look)

    def look(self, transaction: Transaction) -> None:
        """Look at what a commit has changed.

        Raises:
            Broken: it broke a promise.
        """
        writes = transaction.writes
        tables = self._server.tables
        state = tables["seal_state"][()]
        reached = state["reached_xid"], state["reached_ordinal"]
        for row in writes.get("entry", {}).values():
            if row is not None:
                require((row["xid"], row["ordinal"]) > reached, "An entry appeared where sealing had passed by.")
        if "sealed" in writes:
            self._grow(writes, state["size"])
            require(state["frontier"] == Frontier.of(self.leaves).to_bytes(), "The tree is not that of the leaves.")

    def _grow(self, writes: Writes, size: int) -> None:
        for (position,), row in sorted(writes["sealed"].items()):
            require(position == len(self.leaves) + 1, "Positions are not gapless, or were given twice.")
            assert row is not None
            place = row["xid"], row["ordinal"]
            require(not self.places or place > self.places[-1], "Positions are not in the order of transactions.")
            self.leaves.append(row["leaf"])
            self.places.append(place)
        require(size == len(self.leaves), "The size of the tree is not the number of positions.")

    def after_crash(self) -> None:
        """Take up what is left after a crash: a beginning of what was.

        Raises:
            Broken: it is not.
        """
        rows = [self._server.tables["sealed"][key] for key in sorted(self._server.tables["sealed"])]
        leaves = [row["leaf"] for row in rows]
        both = min(len(leaves), len(self.leaves))
        require(leaves[:both] == self.leaves[:both], "A crash changed what was sealed.")
        self.leaves, self.places = leaves, [(row["xid"], row["ordinal"]) for row in rows]


class Follower:
    """Reads by position, as everything downstream does, and keeps what it read."""

    def __init__(self, server: Server, world: World) -> None:
        """Begin at the first position."""
        self._server = server
        self._world = world
        self.read: list[bytes] = []

    def work(self) -> None:
        """Read what there is, again and again."""
        reader = SealedReader(self._server.name)
        while True:
            try:
                lines = reader.read_stored(len(self.read), 3)
            except psycopg.OperationalError:
                self._world.pause(0.05)
                continue
            for line in lines:
                require(line.position == len(self.read) + 1, "The follower missed a position.")
                self.read.append(line.leaf)
            self._world.pause(0.05)


def seal(world: World, url: str) -> None:
    """Seal as `ledger.sealer.run` does."""
    while True:
        try:
            with Session(world.servers[url]) as session:
                at_work = sealer.Sealer(session)  # type: ignore[arg-type]  # its shape
                while True:
                    if not at_work.seal():
                        world.pause(IDLE_S)
        except psycopg.OperationalError:
            world.pause(IDLE_S)


class Simulation:
    """One seed of it."""

    def __init__(self, world: World, *, is_synchronous: bool = True) -> None:
        """Open an office."""
        self.world = world
        self.server = new_server(world, "XA")
        self.clock = WallClock(world)
        self.register = Register()
        self.sealed = Sealed(self.server)
        self.follower = Follower(self.server, world)
        self.desk = Desk(world, "XA", self.register, self.clock.now)
        self.desk.is_synchronous = is_synchronous
        self.workers: list[Task] = []
        self.commands_left = OFFICERS * COMMANDS

    def start(self) -> None:
        """Let all begin to work."""
        for number in range(OFFICERS):
            self.world.spawn(f"officer {number}", partial(self.desk.work, COMMANDS))
        self.start_workers()

    def start_workers(self) -> None:
        """Start the processes that may be killed."""
        self.workers = [self.world.spawn(f"sealer {number}", partial(seal, self.world, "XA")) for number in range(2)]
        self.workers.append(self.world.spawn("follower", self.follower.work))

    def disaster(self) -> None:
        """Let something go wrong."""
        lot = self.world.below(4)
        if lot == 0:
            self.crash()
        elif lot == 1:
            self.world.kill(self.workers)
            self.start_workers()
        elif lot == 2:
            self.clock.jump(timedelta(seconds=self.world.random.uniform(-5_000, 5_000)))
        else:
            self.server.answers_lost = 0.3

    def crash(self) -> None:
        """Cut the power, and look at what is left."""
        self.server.crash()
        self.sealed.after_crash()
        read = self.follower.read
        require(read == self.sealed.leaves[: len(read)], "A follower has read what a crash took back.")
        self.check_acknowledged()

    def check_acknowledged(self) -> None:
        """What was acknowledged is there.

        Raises:
            Broken: it is not.
        """
        entries = self.server.durable()["entry"]
        for answer in self.register.acknowledged.values():
            for entry in answer.entries:
                require((entry.record_id, entry.version) in entries, "An acknowledged entry is lost.")

    def is_quiet(self) -> bool:
        """Whether all is recorded, sealed and read."""
        return self.register.at_work == 0 and len(self.follower.read) == len(self.server.tables["entry"])

    def check_at_rest(self) -> None:
        """What must hold at the end.

        Raises:
            Broken: a promise was not kept.
        """
        self.check_acknowledged()
        entries = self.server.tables["entry"].values()
        made = Counter(row["attribution"][1:17] for row in entries if row["ordinal"] == 0)
        require(all(count == 1 for count in made.values()), "A repeated command had a second effect.")
        require(self.follower.read == self.sealed.leaves, "The follower has not read what is sealed.")
        require(len(self.sealed.leaves) == len(self.server.tables["entry"]), "An entry was not sealed.")


def run(seed: int, mutant: Sequence[Exchanged] = (), *, is_synchronous: bool = True) -> str:
    """Run a seed; returns the hash of its trace.

    Raises:
        Broken: a promise was not kept.
    """
    world = World(seed)
    simulation = Simulation(world, is_synchronous=is_synchronous)
    with installed(world, *mutant):
        simulation.start()
        for _ in range(1 + world.below(FAULTS)):
            world.run(20 + world.below(150))
            simulation.disaster()
        simulation.server.answers_lost = 0.0
        if not world.run(MOST_TURNS, simulation.is_quiet):
            simulation.check_at_rest()
            raise Stuck("Recording and sealing did not come to their end.")
        simulation.check_at_rest()
    return world.trace
