"""Telling the CEN in the simulated world: each seed is lived twice, once with personal entries between the open ones.

The promises: both lives take the same turns and tell the same words under the same numbers in the same batches; what is
told is what the open entries come to, one after the other, nothing twice, whatever is killed or loses power; nothing is
told of a seizure before it was put forward.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

import psycopg

from domain.notice import Cell
from exchange import cen, telling
from exchange.envelope import NoticeCore, decode_core
from exchange.telling import Kept, Told
from ledger import sealer
from tests.simulation import tables_cen
from tests.simulation.disk import Transaction
from tests.simulation.network import clock_of_whoever_asks
from tests.simulation.nodes import identity
from tests.simulation.officers import Desk, Register
from tests.simulation.projecting import Stop
from tests.simulation.sealing import Sealed
from tests.simulation.seams import Exchanged, installed, new_server, require
from tests.simulation.session import Session
from tests.simulation.world import EPOCH, Stuck, Task, WallClock, World

OFFICERS = 2
COMMANDS = 7
FAULTS = 4
MOST_TURNS = 6_000
AFTERWARDS = 60
PERSONAL = 0.1
"""How often a personal entry comes in between, in the one of the two lives."""
Line = tuple[int, int, Any, bool]
"""Its number, of which seizure (in the order in which they were told), what it says, and whether a batch ends there."""


class Quiet(Session):
    """A session that needs no turns and no luck: whatever it does is done between two turns of the others."""

    def _commit(self, transaction: Transaction) -> None:
        self._transaction = None
        self.server.keep(transaction)


class Simulation:
    """One life of a seed."""

    def __init__(self, world: World, *, has_personal: bool) -> None:
        """Set up a node whose entries are sealed as soon as they can be."""
        self.world = world
        self.server = new_server(world, "XA", tables_cen.new_tables())
        self.sealed = Sealed(self.server)
        self.clock = WallClock(world)
        self.register = Register()
        self.tasks: list[Task] = []
        self.histories: list[bytes] = []
        self._other_chance = Random(world.seed + 1) if has_personal else None
        self.server.watchers.append(self.look)
        world.checks.append(self.between_turns)

    def start(self) -> None:
        """Let all begin to work."""
        desk = Desk(self.world, "XA", self.register, self.clock.now)
        for number in range(OFFICERS):
            self.world.spawn(f"officer {number}", partial(desk.work, COMMANDS))
        self.start_exporter()

    def start_exporter(self) -> None:
        """Start the exporter, and at times another one that competes with it."""
        self.tasks = [self.world.spawn(f"exporter {n}", self.export) for n in range(1 + self.world.below(2))]
        for task in self.tasks:
            task.now = self.clock.now

    def export(self) -> None:
        """Tell the CEN, as `exchange.cen_process` does."""
        stop: Any = Stop(self.world)
        while True:
            try:
                cen.tell("XA", "XA", identity("XA").signing_key, stop)
            except psycopg.Error:
                self.world.pause(1.0)

    # -- between two turns

    def between_turns(self) -> None:
        """Let a personal entry come in, in the one life; seal what can be sealed."""
        if self._other_chance is not None and self._other_chance.random() < PERSONAL:
            self.record_personal(self._other_chance)
        if len(self.server.tables["sealed"]) < len(self.server.tables["entry"]):
            with Quiet(self.server) as session:
                at_work: Any = session
                sealer.Sealer(at_work).seal()

    def record_personal(self, chance: Random) -> None:
        """Record something of somebody, in a record of its own."""
        transaction = Transaction(self.server)
        place = UUID(int=chance.getrandbits(128)), 1
        row = {
            "record_id": place[0],
            "version": place[1],
            "recorded_at": EPOCH,
            "node": "XA",
            "name": ("seizure.party-named", "person.name-asserted")[chance.getrandbits(1)],
            "personal": True,
            "body": chance.randbytes(80),
            "attribution": b"\x01" + chance.randbytes(30),
            "attribution_salt": chance.randbytes(16),
            "attribution_hash": None,
            "key_id": UUID(int=chance.getrandbits(128)),
            "provenance": None,
            "xid": transaction.number(),
            "ordinal": 0,
        }
        transaction.insert("entry", place, row)
        self.server.keep(transaction)

    # -- what must hold

    def look(self, transaction: Transaction) -> None:
        """Look at lines as they are told.

        Raises:
            Broken: a promise was not kept.
        """
        lines = self.server.tables["feed_out"]
        for (_, number), row in sorted(transaction.writes.get("feed_out", {}).items()):
            assert row is not None
            if number <= len(self.histories):
                require(self.histories[number - 1] == row["core"], "A line that was told was changed.")
                continue
            require(number == len(self.histories) + 1 == len(lines) or number <= len(lines), "Numbers have a gap.")
            self.histories.append(row["core"])

    def told(self) -> list[Line]:
        """What the CEN is told, as far as it is the same in both lives."""
        rows = self.server.tables["feed_out"]
        found: list[Line] = []
        known: dict[UUID, int] = {}
        for place, key in enumerate(sorted(rows), start=1):
            core = decode_core(rows[key]["core"], NoticeCore)
            assert isinstance(core, NoticeCore)
            require(key[1] == core.number == place, "Numbers have a gap.")
            of = known.setdefault(core.export_id, len(known))
            before = [line[2] for line in found if line[1] == of][-1:]
            require(before != [core.notice], "The same was told twice.")
            found.append((place, of, core.notice, rows[key]["checkpoint"] is not None))
        return found

    def expected(self) -> list[tuple[int, Any]]:
        """What the open entries come to, one after the other."""
        tables = self.server.tables
        cells: Counter[Cell] = Counter()
        stands: dict[UUID, Told] = {}
        known: dict[UUID, int] = {}
        found: list[tuple[int, Any]] = []
        for position in range(1, len(tables["sealed"]) + 1):
            sealed = tables["sealed"][position,]
            row = tables["entry"][sealed["record_id"], sealed["version"]]
            if row["personal"] or not row["name"].startswith("seizure."):
                continue
            before = stands.get(row["record_id"], Told())
            name = partial(UUID, int=1 + len(known))
            after, answer = telling.tell(before, cen.read(row["body"]), cells.__getitem__, name)
            cells.update(after.counted - before.counted)
            stands[row["record_id"]] = after
            if not isinstance(answer, Kept):
                found.append((known.setdefault(row["record_id"], len(known)), answer[1]))
                require(self._was_put_forward(row["record_id"], position), "It was told before it was put forward.")
        return found

    def _was_put_forward(self, record_id: UUID, position: int) -> bool:
        tables = self.server.tables
        before = [tables["sealed"][n,] for n in range(1, position + 1)]
        mine = [tables["entry"][row["record_id"], row["version"]] for row in before if row["record_id"] == record_id]
        return any(row["name"] == "seizure.submitted" for row in mine)

    # -- disasters

    def disaster(self) -> None:
        """Let something go wrong."""
        lot = self.world.below(4)
        if lot == 0:
            self.server.crash()
            self.sealed.after_crash()
            self.histories = self.histories[: len(self.server.tables["feed_out"])]
        elif lot == 1:
            self.world.kill(self.tasks)
            self.start_exporter()
        elif lot == 2:  # of four
            self.clock.jump(timedelta(seconds=self.world.random.uniform(-90_000, 90_000)))
        else:
            self.server.answers_lost = 0.3

    def is_quiet(self) -> bool:
        """Whether all open entries have been decided about."""
        tables = self.server.tables
        is_open = [
            row for row in tables["entry"].values() if not row["personal"] and row["name"].startswith("seizure.")
        ]
        return self.register.at_work == 0 and len(tables["decision"]) >= len(is_open)


def live(seed: int, mutant: Sequence[Exchanged], *, has_personal: bool) -> tuple[str, list[Line]]:
    """Live a seed, with or without personal entries; the hash of its trace, and what was told.

    Raises:
        Broken: a promise was not kept.
    """
    world = World(seed)
    simulation = Simulation(world, has_personal=has_personal)
    names = (
        Exchanged(cen, "connect", lambda _: Session(world.servers["XA"])),
        Exchanged(cen, "datetime", clock_of_whoever_asks(world)),
        Exchanged(cen, "CHUNK", 3),
    )
    with installed(world, *names, *mutant):
        simulation.start()
        for _ in range(1 + world.below(FAULTS)):
            world.run(20 + world.below(200))
            simulation.disaster()
        simulation.server.answers_lost = 0.0
        if not world.run(MOST_TURNS, simulation.is_quiet):
            raise Stuck("The CEN was not told of everything.")
        world.run(AFTERWARDS)
        told = simulation.told()
        require([line[1:3] for line in told] == simulation.expected(), "It was not told what the open entries say.")
    return world.trace, told


def run(seed: int, mutant: Sequence[Exchanged] = ()) -> str:
    """Live a seed twice and compare; returns the hash of its trace.

    Raises:
        Broken: a promise was not kept.
    """
    trace, told = live(seed, mutant, has_personal=False)
    other_trace, other_told = live(seed, mutant, has_personal=True)
    require(told == other_told, "What the CEN is told depends on personal entries.")
    require(trace == other_trace, "When the CEN is told depends on personal entries.")
    return trace
