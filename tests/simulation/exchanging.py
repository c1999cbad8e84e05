"""Exchanging in the simulated world: XA decides, releases and sends; XB verifies, accepts and records; things go wrong.

The promises: XB's record is a prefix of XA's lines, in order, none twice; nothing is released, sent or recorded without
a premise in force there at that time; a receipt stands for what is on disk; a sender that was restored from an old
backup is noticed and never diverges in silence; when its loss is acknowledged and accepted, the feed begins anew, and
what was taken before stays; when the faults end, everything that may go arrives.
"""

import contextlib
from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg

from domain.handling import PremiseReason
from domain.premise import ResumePremise, SuspendPremise
from exchange import inbox
from exchange.acceptance import Fault
from exchange.release import CASES, Reason
from tests.simulation.disk import Row, Tables
from tests.simulation.network import Link, Stream
from tests.simulation.nodes import Node, Receiving, Sending, own_entries, seams
from tests.simulation.officers import LAWYER
from tests.simulation.promises import Promises, known_premise
from tests.simulation.seams import Exchanged, installed, require
from tests.simulation.session import Session
from tests.simulation.tables_epoch import ACCEPT, ACKNOWLEDGE
from tests.simulation.world import Stuck, World

OFFICERS = 2
COMMANDS = 4
FAULTS = 6
MOST_TURNS = 12_000


class Simulation:
    """One seed of it."""

    NODE: type[Node] = Node
    GOES_ON = 0.7
    """How often a loss is acknowledged and accepted, so that the exchange goes on."""
    PERIOD: dict[str, Any] = {}  # noqa: RUF012  # never changed

    def __init__(self, world: World, *, is_synchronous: bool = True) -> None:
        """Set up two nodes and a link."""
        self.world = world
        self.sender = self.NODE(world, "XA", "XB")
        self.receiver = self.NODE(world, "XB", "XA")
        self.receiver.sessions.is_synchronous = is_synchronous
        self.stream = Stream(world)
        self.link = Link(world)
        self.sending = Sending(self.sender, self.stream, self.link)
        self.receiving = Receiving(self.receiver, self.sending)
        self.promises = Promises(self.sender, self.receiver)
        self.stream.on_look = self.promises.look_before_sending
        self.stream.on_publish = self.promises.look_at_sending
        self.backup: Any = None
        self.is_restored = False
        self.goes_on = False

    def begin(self) -> None:
        """Let the premises be known, and all begin to work."""
        period = {"until": date(2026, 3, 2)} if self.world.chance(0.3) else {}
        for node in (self.sender, self.receiver):
            node.begin(self.PERIOD | period)
        self.promises._stood.append((0, known_premise(self.receiver)))
        for number in range(OFFICERS):
            self.world.spawn(f"officer {number}", partial(self.sender.desk.work, COMMANDS))
        self.start_sender()
        self.start_receiver()

    def start_sender(self) -> None:
        """Start XA's processes."""
        self.sender.spawn("sealer", self.sender.seal)
        self.sender.spawn("exporter", self.sender.export)
        self.sender.spawn("relay", self.sending.run)
        self.sender.spawn("link", self.sending.carry)

    def start_receiver(self) -> None:
        """Start XB's processes."""
        self.receiver.spawn("sealer", self.receiver.seal)
        self.receiver.spawn("judge", self.receiver.judge)
        self.receiver.spawn("taking", self.receiving.take)
        self.receiver.spawn("receipts", self.receiving.receipt)

    # -- disasters

    def disaster(self) -> None:
        """Let something go wrong."""
        kinds = (
            self.crash_sender,
            self.crash_receiver,
            self.disturb_link,
            self.stop_or_start_nats,
            self.suspend_while_lines_wait,
            self.stream.wipe,
            self.stream.rot,
            self.jump,
            self.suspend,
            self.suspend,
            self.resume,
            self.restart,
        )
        kind = kinds[self.world.below(len(kinds))]
        self.world.note("disaster", kind.__name__)
        kind()

    def crash_sender(self) -> None:
        """Cut XA's power."""
        self.sender.server.crash()
        self.sender.sealed.after_crash()
        self.promises.after_crash()

    def crash_receiver(self) -> None:
        """Cut XB's power."""
        self.receiver.server.crash()
        self.receiver.sealed.after_crash()
        self.promises.after_crash()

    def restart(self) -> None:
        """Kill all processes of one node."""
        is_sender = self.world.chance(0.5)
        node = self.sender if is_sender else self.receiver
        self.world.kill(node.tasks)
        node.tasks.clear()
        if is_sender:
            self.start_sender()
        else:
            self.start_receiver()

    def restart_all(self) -> None:
        """Kill all processes of both nodes: their connections break with them."""
        for node in (self.sender, self.receiver):
            self.world.kill(node.tasks)
            node.tasks.clear()
        self.start_sender()
        self.start_receiver()

    def disturb_link(self) -> None:
        """Make the link bad."""
        self.link.is_cut = self.world.chance(0.2)
        self.link.loss, self.link.doubling, self.link.delay = (self.world.random.random() * 0.3 for _ in range(3))

    def stop_or_start_nats(self) -> None:
        """Stop XA's NATS server, or start it again: what is released meanwhile waits."""
        self.stream.is_down = not self.stream.is_down

    def suspend_while_lines_wait(self) -> None:
        """Stop XA's NATS server, and suspend the premise when something more was released."""
        self.stream.is_down = True
        command = SuspendPremise(reason=PremiseReason.REVIEW)

        def later() -> None:
            self.world.pause(self.world.random.random())
            _executed(self.sender, command)

        self.world.spawn("XA lawyer", later)

    def jump(self) -> None:
        """Set a clock wrong by minutes or days."""
        node = self.sender if self.world.chance(0.5) else self.receiver
        node.clock.jump(timedelta(days=self.world.below(7) - 3, seconds=self.world.below(600)))

    def suspend(self) -> None:
        """Suspend the premise at one of the nodes, while everything goes on."""
        node = self.sender if self.world.chance(0.6) else self.receiver
        command = SuspendPremise(reason=PremiseReason.REVIEW)
        self.world.spawn(f"{node.name} lawyer", lambda: _executed(node, command))

    def resume(self) -> None:
        """Resume it."""
        node = self.sender if self.world.chance(0.6) else self.receiver
        self.world.spawn(f"{node.name} lawyer", lambda: _executed(node, ResumePremise()))

    def restore(self) -> None:
        """Restore XA from its backup; its processes start again, and who was connected connects again."""
        self.is_restored = True
        self.sender.server.restore(self.backup)
        self.sender.sealed.after_crash()
        self.before_opening()
        self.promises.after_restore()
        self.restart_all()
        self.world.spawn("officer after", partial(self.sender.desk.work, COMMANDS))
        self.goes_on = self.world.chance(self.GOES_ON)
        if self.goes_on:
            self.world.spawn("XA lawyer acknowledges", partial(self.state, self.sender, ACKNOWLEDGE, [1]))
            self.world.spawn("XB lawyer accepts", partial(self.state, self.receiver, ACCEPT, ["ncen/XA", 1, None]))

    def state(self, node: Node, statement: str, parameters: Sequence[Any]) -> None:
        """Let an administrator state something, some time after, again until the server has taken it."""
        self.world.pause(self.world.random.random() * 20)
        while True:
            with contextlib.suppress(psycopg.OperationalError), Session(node.server) as session:
                session.execute(statement, parameters)
                return
            self.world.pause(1)

    def before_opening(self) -> None:
        """Do what a restored node does before it opens."""

    # -- the end

    def calm(self) -> None:
        """Let nothing go wrong any more, and the premises be in force at both nodes."""
        self.link.mend()
        self.stream.is_down = False
        if not self.world.run(MOST_TURNS, lambda: not self.lawyers()):
            raise Stuck("A command on a premise was never answered.")
        for node in (self.sender, self.receiver):
            node.clock.wrong_by = timedelta(0)
            self.world.spawn(f"{node.name} lawyer", partial(_executed, node, ResumePremise()))
        if self.goes_on:
            self.receiver.spawn("resuming", self.resume_feed)

    def resume_feed(self) -> None:
        """Look at a feed that was stopped, and let it go on: lines of two histories came in one batch."""
        while True:
            with Session(self.receiver.server) as session:
                session.execute(inbox.RESUME, ["XA"])
            self.world.pause(3)

    def is_quiet(self) -> bool:
        """Whether all has arrived, or it was noticed that it cannot."""
        sender, receiver = self.sender.server.tables, self.receiver.server.tables
        if self.sender.register.at_work or self.lawyers():
            return False
        feed, taken = sender["feed"]["XB",], receiver["inbox_feed"]["XA",]
        is_done = (
            feed["position"] == len(sender["sealed"]) == len(sender["entry"])
            and feed["sweep"] is feed["recheck"] is None
            and not sender["again"]
            and known_premise(self.sender).suspended is None
        )
        if not is_done:
            return False
        if self.is_restored and not self.goes_on and self.noticed():
            return True
        if (self.goes_on and self.noticed()) or feed["epoch"] != taken["epoch"]:
            return False
        if feed["premises"] != self.sender.standing() or taken["premises"] != self.receiver.standing():
            return False
        receipted = max((key[1] for key in sender["receipt"]), default=0)
        return (
            feed["number"] == taken["number"] == receipted
            and taken["judged"] is None
            and len(receiver["sealed"]) == len(receiver["entry"])
            and not any(map(self.waits, receiver["inbox"].values()))
        )

    def waits(self, line: Row) -> bool:
        """Whether a line that came may still be let in."""
        return bool(line["outcome"] == "quarantined" and line["reason"] != Fault.DIFFERS)

    def lawyers(self) -> bool:
        """Whether somebody still works on a premise."""
        return any("lawyer" in task.name for task in self.world.tasks)

    def noticed(self) -> bool:
        """Whether one side has noticed that the sender was restored: it sends nothing, or the feed stands still."""
        stopped = self.receiver.server.tables["inbox_feed"]["XA",]["stopped"]
        return stopped is not None or not self.sending.is_open()

    def check_at_rest(self) -> None:
        """What must hold at the end.

        Raises:
            Broken: a promise was not kept.
        """
        self.promises.require_prefix()
        sender, receiver = self.sender.server.tables, self.receiver.server.tables
        if self.is_restored and not self.goes_on and self.noticed():
            return
        require(receiver["inbox_feed"]["XA",]["stopped"] is None, "The feed stopped although nobody tampered.")
        released = set(self._releasable(sender))
        recorded = own_entries(receiver, "XA")
        before = [*receiver["inbox_before"].values()]
        lost = {_place(row) for row in before if row["outcome"] in {"recorded", "repeated"}} - released
        differs = {_place(row) for row in receiver["inbox"].values() if row["reason"] == Fault.DIFFERS}
        require(not differs or before, "An entry differs although nothing was lost.")
        require(
            set(recorded) | differs == released | lost, "Not everything that may go has arrived, or more than that."
        )
        for key in released - differs:
            require(recorded[key]["body"] == sender["entry"][key]["body"], "An entry arrived changed.")
        counted = [_place(row) for row in (*before, *receiver["inbox"].values()) if row["outcome"] == "recorded"]
        require(len(counted) == len(set(counted)) == len(recorded), "An entry was recorded twice.")

    @staticmethod
    def _releasable(sender: Tables) -> list[tuple[UUID, int]]:
        """The entries of cases, save of those that were cancelled before anything of them had gone."""
        newest: dict[int, Row] = {}
        for key in sorted(sender["decision"]):
            newest[key[1]] = sender["decision"][key]
        found = []
        for position, row in newest.items():
            sealed = sender["sealed"][position,]
            kind = sender["entry"][sealed["record_id"], sealed["version"]]["name"].partition(".")[0]
            if kind in CASES and row["reason"] != Reason.CANCELLED:
                found.append((sealed["record_id"], sealed["version"]))
        return found


def _place(row: Row) -> tuple[UUID, int]:
    return row["record_id"], row["version"]


def _executed(node: Node, command: SuspendPremise | ResumePremise) -> None:
    node.desk.execute(node.premise_id, command, LAWYER)


class Losing(Simulation):
    """A life in which XA always loses something, states it, and XB accepts."""

    GOES_ON = 1.0


def run(seed: int, mutant: Sequence[Exchanged] = (), *, is_synchronous: bool = True) -> str:
    """Run a seed; returns the hash of its trace.

    Raises:
        Broken: a promise was not kept.
    """
    world = World(seed)
    return _lived(Simulation(world, is_synchronous=is_synchronous), mutant, likelihood=0.3)


def lose(seed: int, mutant: Sequence[Exchanged] = ()) -> str:
    """Run a seed in which XA is restored; returns the hash of its trace.

    Raises:
        Broken: a promise was not kept.
    """
    return _lived(Losing(World(seed)), mutant, likelihood=1.0)


def _lived(simulation: Simulation, mutant: Sequence[Exchanged], *, likelihood: float) -> str:
    world = simulation.world
    with installed(world, *seams(world, simulation.stream), *mutant):
        simulation.begin()
        is_to_be_restored = world.chance(likelihood)
        for _ in range(1 + world.below(FAULTS)):
            world.run(30 + world.below(170))
            if simulation.backup is None:
                simulation.backup = simulation.sender.server.copy_of_disk()
            simulation.disaster()
        if is_to_be_restored:
            world.run(30 + world.below(170))
            if likelihood == 1.0:
                world.run(world.below(1_500))
            simulation.restore()
        simulation.calm()
        if not world.run(MOST_TURNS, simulation.is_quiet):
            simulation.check_at_rest()
            raise Stuck("Not everything has arrived, nor was it noticed why it cannot.")
        simulation.check_at_rest()
    return world.trace
