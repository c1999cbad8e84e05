"""Proving in the simulated world: officers, a sealer, two provers that compete, power cuts, and older copies.

The promises: whatever the node has ever shown as signed is one history, no two roots at one size and each tree the
beginning of the next, also after power cuts and after its database was restored from an older copy, as long as the
folder outside of it is there; where that copy lacks what was signed, it is noticed; where nothing is wrong, no fault is
told, and what stands in the end is signed.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import psycopg

from ledger import checkpoint, checkpoints, merkle, prover, recomputing
from ledger.node_keys import NodeKey, NodeKeys
from ledger.prover import TAIL, Prover
from tests.simulation import tables_prover
from tests.simulation.disk import Transaction
from tests.simulation.drive import Drive
from tests.simulation.keys import AtOnce, files
from tests.simulation.network import clock_of_whoever_asks
from tests.simulation.nodes import identity
from tests.simulation.officers import Desk, Register
from tests.simulation.sealing import Sealed, seal
from tests.simulation.seams import Exchanged, installed, new_server, require
from tests.simulation.session import Session
from tests.simulation.world import Stuck, Task, WallClock, World

OFFICERS = 2
COMMANDS = 5
FAULTS = 5
PROVERS = 2
MOST_TURNS = 6_000


class Simulation:
    """One seed of it."""

    def __init__(self, world: World, *, is_synchronous: bool = True) -> None:
        """Open an office with a prover; nothing was signed yet."""
        self.world = world
        self.server = new_server(world, "XA", tables_prover.new_tables())
        self.drive = Drive(world)
        self.drive.path("home").mkdir()
        self.drive.root.flush()
        self.clock = WallClock(world)
        self.is_synchronous = is_synchronous
        self.sealed = Sealed(self.server)
        self.register = Register()
        self.desk = Desk(world, "XA", self.register, self.clock.now)
        self.copy = self.server.copy_of_disk()
        self.signed: list[list[bytes]] = []
        self.is_older = self.has_looked = False
        self.workers: list[Task] = []
        key = identity("XA").signing_key
        known = NodeKeys(checkpoint.ledger_of("XA"), (NodeKey(public_key=key.public_key().public_bytes_raw()),))
        folder: Any = self.drive.path("home", "checkpoints")
        self.prover = Prover("XA", key, known, folder)
        self.prover.tiles = None  # made from what is signed, and tested with it
        self.server.watchers.append(self.look)

    # -- who is at work

    def start(self) -> None:
        """Let all begin to work."""
        for number in range(OFFICERS):
            self.world.spawn(f"officer {number}", partial(self.desk.work, COMMANDS))
        self.start_workers()

    def start_workers(self) -> None:
        """Start the processes that may be killed."""
        self.workers = [self.world.spawn("sealer", partial(seal, self.world, "XA"))]
        self.workers += [self.world.spawn(f"prover {number}", self.prove) for number in range(PROVERS)]
        for task in self.workers:
            task.now = self.clock.now

    def prove(self) -> None:
        """Look again and again, at times at all."""
        while True:
            try:
                with Session(self.server, is_synchronous=self.is_synchronous) as session:
                    at_work: Any = session
                    while True:
                        verdict = self.prover.look(at_work)
                        self.has_looked = True
                        require(verdict.is_sound or self.is_older, f"A fault where none is: {verdict.faults[:1]}")
                        if self.world.chance(0.2):
                            self.prover.look_at_all(at_work)
                        self.world.pause(self.world.random.random() * 0.2)
            except psycopg.OperationalError:
                self.world.pause(0.1)

    # -- what must hold

    def look(self, transaction: Transaction) -> None:
        """Look at what is shown as signed from now on, beside all that was before.

        Raises:
            Broken: it is no one history.
        """
        for row in transaction.writes.get("checkpoint", {}).values():
            if row is not None:
                self.show(row["note"])

    def show(self, signed: str) -> None:
        """A head is seen by others: its tree is that of the ledger, and continues all that they have seen."""
        head = checkpoint.unsigned(signed)
        history = self.sealed.leaves[: head.size]
        is_known = any(len(one) >= head.size and merkle.root(one[: head.size]) == head.root for one in self.signed)
        require(is_known or merkle.root(history) == head.root, "A head was signed that is not that of the ledger.")
        if is_known:
            return
        for other in self.signed:
            both = min(len(history), len(other))
            require(history[:both] == other[:both], "Two histories were signed.")
        self.signed.append(history)

    def kept(self) -> int:
        """Of how many entries the newest file speaks as programs see it; 0 where there is none that holds."""
        newest: Any = self.drive.path("home", "checkpoints", checkpoints.NEWEST)
        return max(0, checkpoints._size_of(newest))

    # -- disasters

    def disaster(self) -> None:
        """Let something go wrong."""
        kinds = (self.cut_power, self.cut_power, self.kill, self.server.crash, self.restore)
        kind = kinds[self.world.below(len(kinds))]
        self.world.note("disaster", kind.__name__)
        kind()
        self.sealed.after_crash()

    def kill(self) -> None:
        """Kill all processes of the node."""
        self.world.kill(self.workers)
        self.start_workers()

    def cut_power(self) -> None:
        """Cut the power of database and drive."""
        self.world.kill(self.workers)
        self.server.crash()
        self.drive.crash()
        self.start_workers()

    def restore(self) -> None:
        """Restore the database from an older copy, at times after the power went; the files stay."""
        self.world.kill(self.workers)
        self.has_looked = False
        if self.world.chance(0.5):
            self.drive.crash()
        self.server.restore(self.copy)
        kept = len(self.server.tables["sealed"])
        self.is_older = self.is_older or any(len(one) > kept for one in self.signed) or self.kept() > kept
        self.world.spawn("officer after", partial(self.desk.work, COMMANDS))
        self.start_workers()

    # -- the end

    def is_quiet(self) -> bool:
        """Whether all is recorded and sealed, and signed or noticed."""
        tables = self.server.tables
        if not self.has_looked or self.register.at_work or len(tables["sealed"]) != len(tables["entry"]):
            return False
        told = tables["proof_state"].get((TAIL,))  # as `ncen status` shows it
        if told is None or told["size"] != len(tables["sealed"]):
            return False
        return told["faults"] > 0 or any(size == told["size"] for size, _ in tables["checkpoint"])

    def check_at_rest(self) -> None:
        """What must hold at the end.

        Raises:
            Broken: a promise was not kept.
        """
        if not self.is_older:
            require(self.kept() == len(self.sealed.leaves), "What was signed last does not lie outside.")
            require(self.server.tables["proof_state"][TAIL,]["faults"] == 0, "A fault stays where none is.")
        longest = max(self.signed, key=len, default=[])
        is_whole = self.sealed.leaves[: len(longest)] == longest
        is_noticed = self.server.tables["proof_state"][TAIL,]["faults"] > 0
        require(is_whole or is_noticed, "What was signed is gone, and nobody has noticed.")


def names_of(world: World, drive: Drive) -> tuple[Exchanged, ...]:
    """What is exchanged in prover and checkpoints."""
    clock = clock_of_whoever_asks(world)
    return (
        *files(drive),
        Exchanged(recomputing, "ThreadPoolExecutor", AtOnce),
        Exchanged(checkpoints, "datetime", clock),
        Exchanged(prover, "datetime", clock),
    )


def run(seed: int, mutant: Sequence[Exchanged] = (), *, is_synchronous: bool = True) -> str:
    """Run a seed; returns the hash of its trace.

    Raises:
        Broken: a promise was not kept.
    """
    world = World(seed)
    simulation = Simulation(world, is_synchronous=is_synchronous)
    with installed(world, *names_of(world, simulation.drive), *mutant):
        simulation.start()
        for _ in range(2 + world.below(FAULTS)):
            world.run(20 + world.below(200))
            if world.chance(0.4):
                simulation.copy = simulation.server.copy_of_disk()
            simulation.disaster()
        if not world.run(MOST_TURNS, simulation.is_quiet):
            simulation.check_at_rest()
            raise Stuck("What stands was neither signed nor found wanting.")
        simulation.check_at_rest()
    return world.trace
