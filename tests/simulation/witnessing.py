"""Witnessing in the simulated world: XB cosigns a ledger of XA that grows, is cut off, forks, and asks again.

The promises: whatever XB has ever cosigned is one history: no two roots at one size, and each tree begins with the one
before; nothing smaller is cosigned after something larger; also after XB's power was cut, and after its database was
restored from an older copy, as long as what it keeps outside of it is there.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import psycopg

from exchange import witness
from exchange.cosigned import Cosigned
from exchange.witness import Asked
from ledger import checkpoint, merkle
from ledger.checkpoint import Head
from tests.simulation.drive import Drive
from tests.simulation.keys import secrets_of
from tests.simulation.nodes import card, identity
from tests.simulation.seams import Exchanged, installed, new_server, require
from tests.simulation.session import Session
from tests.simulation.tables_witness import lock
from tests.simulation.world import Task, WallClock, World

TOLD = lock
FAULTS = 6
ASKING = 3
History = list[bytes]


class Simulation:
    """One seed of it."""

    def __init__(self, world: World, *, is_synchronous: bool) -> None:
        """Set up the witness, and the histories of the ledger that asks."""
        self.world = world
        self.server = new_server(world, "XB", [("witnessed", {}), ("witness_refusal", {})])
        self.drive = Drive(world)
        self.drive.path("home").mkdir()
        self.drive.root.flush()
        self.clock = WallClock(world)
        self.is_synchronous = is_synchronous
        self.histories: list[History] = [[world.random.randbytes(32)]]
        self.cosigned: list[History] = []
        self.copy = self.server.copy_of_disk()
        self.tasks: list[Task] = []

    def start(self) -> None:
        """Let some ask at once: several connections, of which one may be an old one."""
        for number in range(ASKING):
            self.tasks.append(self.world.spawn(f"asking {number}", self.ask_again_and_again))

    def ask_again_and_again(self) -> None:
        """Ask for one history or the other, from where the witness says that it stands, or at times from anywhere."""
        known: History = []
        while True:
            history = self.histories[self.world.below(len(self.histories))]
            history.append(self.world.random.randbytes(32))
            tree = history[: 1 + self.world.below(len(history))] if self.world.chance(0.2) else list(history)
            old = self.world.below(len(tree) + 1) if self.world.chance(0.1) else min(len(known), len(tree))
            with contextlib.suppress(psycopg.OperationalError, psycopg.errors.UniqueViolation):
                known = self.ask(tree, old)
            self.world.pause(self.world.random.random() * 0.5)

    def ask(self, tree: History, old: int) -> History:
        """Ask XB to cosign a tree; what of the tree it is known to have cosigned."""
        head = Head(checkpoint.ledger_of("XA"), len(tree), merkle.root(tree))
        proof = tuple(merkle.consistency_path(_of(tree), old, len(tree))) if 0 < old < len(tree) else ()
        raw = Asked(old, proof, checkpoint.sign(head, identity("XA").signing_key)).encode()
        folder: Any = self.drive.path("home", "witnessed")
        with Session(self.world.servers["XB"], is_synchronous=self.is_synchronous) as session:
            at_work: Any = session
            told = witness.judge(at_work, identity("XB"), card("XA"), raw, self.clock.now(), Cosigned(folder))
        if told.status == witness.COSIGNED:
            self.look(tree)
            return tree
        size = told.body.strip()
        return tree[: int(size)] if told.status == witness.CONFLICT and size.isdigit() else []

    def look(self, tree: History) -> None:
        """Look at what was cosigned beside all that was before.

        Raises:
            Broken: they are no one history.
        """
        for other in self.cosigned:
            both = min(len(tree), len(other))
            require(tree[:both] == other[:both], "Two histories were cosigned.")
        self.cosigned.append(tree)

    def disaster(self) -> None:
        """Let something go wrong at the witness, or at the ledger that asks."""
        kinds = (self.fork, self.cut_power, self.cut_power, self.restore, self.server.crash)
        kind = kinds[self.world.below(len(kinds))]
        self.world.note("disaster", kind.__name__)
        kind()

    def fork(self) -> None:
        """Let XA be restored from an older copy, and go on otherwise; who was connected goes on too."""
        history = self.histories[-1]
        self.histories.append(history[: 1 + self.world.below(len(history))])

    def cut_power(self) -> None:
        """Cut XB's power."""
        self.stop()
        self.server.crash()
        self.drive.crash()
        self.start()

    def restore(self) -> None:
        """Restore XB's database from an older copy; its files stay."""
        self.stop()
        self.server.restore(self.copy)
        self.start()

    def stop(self) -> None:
        """Kill XB's processes, and whom they answer."""
        self.world.kill(self.tasks)
        self.tasks.clear()


def _of(leaves: History) -> merkle.Subtree:
    return lambda level, number: merkle.root(leaves[number << level : (number + 1) << level])


def run(seed: int, mutant: Sequence[Exchanged] = (), *, is_synchronous: bool = True) -> str:
    """Run a seed; returns the hash of its trace.

    Raises:
        Broken: a promise was not kept.
    """
    world = World(seed)
    simulation = Simulation(world, is_synchronous=is_synchronous)
    with installed(world, *secrets_of(world, simulation.drive), *mutant):
        simulation.start()
        for _ in range(2 + world.below(FAULTS)):
            world.run(20 + world.below(120))
            if world.chance(0.3):
                simulation.copy = simulation.server.copy_of_disk()
            simulation.disaster()
        world.run(150)
        require(simulation.cosigned, "Nothing was cosigned.")
    return world.trace
