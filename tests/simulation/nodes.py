"""Two nodes that exchange: the real exporter, relay, receiver and inbox, each in tasks that take turns.

XA sends to XB. Each has its own ledger, sealer, clock and premise; keys follow from the node's name.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from domain.premise import Premise
from exchange import premises, receiver, relay
from exchange.feed import Exporter
from exchange.inbox import Inbox, Stopped
from exchange.peers import Identity, Peer, Role
from exchange.receiver import Receiver
from exchange.recording import EntryRecorder
from exchange.relay import Relay
from exchange.release import KnownPremise
from ledger import sealer
from ledger.vault import Vault
from tests.simulation import tables_epoch, tables_erasing, tables_exchange, tables_inbox
from tests.simulation.network import Asyncio, Link, Queue, Stream, clock_of_whoever_asks, drive
from tests.simulation.officers import LAWYER, Desk, Register, new_id, premise
from tests.simulation.sealing import Sealed, seal
from tests.simulation.seams import Exchanged, SealedReader, new_server
from tests.simulation.session import Session
from tests.simulation.world import Task, WallClock, World

PAUSE_S = 0.4
"""How long a part with nothing to do waits before it looks again."""
STEPS_IN_A_ROW = 3
ACK = b"+ACK"
TOLD = tables_epoch, tables_erasing, tables_exchange, tables_inbox
"""Whose statements a node needs."""


@cache
def identity(node: str) -> Identity:
    """The keys of a node."""
    seed = sha256(node.encode()).digest()
    return Identity(
        node=node,
        role=Role.NATION,
        signing_key=Ed25519PrivateKey.from_private_bytes(seed),
        box_key=X25519PrivateKey.from_private_bytes(seed),
    )


@cache
def card(node: str) -> Peer:
    """A node as its peer knows it."""
    own = identity(node)
    return Peer(node=node, role=Role.NATION, signing_key=own.signing_key.public_key(), box_key=own.box_key.public_key())


class Sessions:
    """A session for each that asks for one, as `ledger.sessions.Sessions` lends them."""

    def __init__(self, world: World, url: str) -> None:
        """Lend sessions with this server."""
        self._world = world
        self._url = url
        self.is_synchronous = True

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """Lend a session."""
        with Session(self._world.servers[self._url], is_synchronous=self.is_synchronous) as session:
            yield session

    def close(self) -> None:
        """Nothing is kept open."""


class Node:
    """A node: its server, clock and officers, and the tasks of its processes."""

    def __init__(self, world: World, name: str, peer: str) -> None:
        """Set it up, with a premise on its record."""
        self.world = world
        self.name = name
        self.peer = card(peer)
        self.own = identity(name)
        self.server = new_server(world, name, tables_exchange.new_tables(peer))
        self.clock = WallClock(world)
        self.register = Register()
        self.desk = Desk(world, name, self.register, self.clock.now)
        self.sealed = Sealed(self.server)
        self.sessions = Sessions(world, name)
        self.premise_id = new_id(world)
        self.tasks: list[Task] = []

    def begin(self, period: dict[str, Any]) -> None:
        """Record and seal the premise before the world begins to move."""
        self.desk.execute(self.premise_id, premise(**period), LAWYER)
        with Session(self.server) as session:
            at_work: Any = session
            sealer.Sealer(at_work).seal()
            premises.refresh(at_work, SealedReader(self.name))

    def spawn(self, what: str, work: Callable[[], None]) -> Task:
        """Let a part run until killed; whatever breaks is begun again after a pause."""
        task = self.world.spawn(f"{self.name} {what}", partial(self._again_and_again, work))
        task.now = self.clock.now
        self.tasks.append(task)
        return task

    def _again_and_again(self, work: Callable[[], None]) -> None:
        while True:
            with contextlib.suppress(psycopg.OperationalError, Stopped, OSError):
                work()
            self.world.pause(PAUSE_S)

    def vault(self) -> Vault:
        """The vault of a process that begins: none, where nothing is personal."""
        return Vault(None)

    def inbox(self) -> Inbox:
        """The inbox of the peer's feed."""
        inbox = Inbox(self.name, self.own, self.peer, EntryRecorder(self.own.box_keys, self.vault()))
        sessions: Any = self.sessions
        inbox._sessions = sessions
        return inbox

    def standing(self) -> bytes:
        """How the premises stand now, as the node's own clock and record have it."""
        rows = self.server.tables["premise"]
        known = [
            KnownPremise(record_id=key[0], premise=msgspec.msgpack.decode(rows[key]["state"], type=Premise))
            for key in sorted(rows)
        ]
        return premises.standing(known, self.name, self.peer.node, self.clock.now())

    def seal(self) -> None:
        """Seal, as the worker of that name does."""
        seal(self.world, self.name)

    def export(self) -> None:
        """Decide and release, and judge again: as `exchange.worker.Work` does."""
        inbox, reader = self.inbox(), SealedReader(self.name, self.vault())
        with Session(self.server) as session:
            connection: Any = session
            exporter = Exporter(connection=connection, reader=reader, own=self.own, peer=self.peer)
            while True:
                premises.refresh(connection, reader)
                inbox.judge_again(self.clock.now())
                steps = 0
                while steps < STEPS_IN_A_ROW and exporter.step(self.clock.now()):
                    steps += 1
                if steps < STEPS_IN_A_ROW:
                    self.world.pause(PAUSE_S)

    def judge(self) -> None:
        """Follow our own premises, and judge again what is quarantined."""
        inbox, reader = self.inbox(), SealedReader(self.name, self.vault())
        with Session(self.server) as session:
            connection: Any = session
            while True:
                premises.refresh(connection, reader)
                inbox.judge_again(self.clock.now())
                self.world.pause(PAUSE_S)


class Sending:
    """The relay of a node, its stream, and the link to the receiver."""

    def __init__(self, node: Node, stream: Stream, link: Link) -> None:
        """Send what the node releases."""
        self._node = node
        self._world = node.world
        self.stream = stream
        self.link = link
        self.relay: Relay | None = None
        self.queue: Queue | None = None

    def run(self) -> None:
        """Relay, as `Relay.run` does."""
        self.relay = at_work = self._relay()
        nobody: Any = None
        try:
            while True:
                if drive(at_work._step(nobody, nobody)):
                    self._world.wait_for(at_work.woken.is_set, relay.IDLE_S)
                    at_work.woken.clear()
        finally:
            if self.relay is at_work:
                self.relay = None

    def is_open(self) -> bool:
        """Whether the relay would send, as it would find when it looked now."""
        return self._relay()._plan().is_open

    def _relay(self) -> Relay:
        at_work = Relay(self._node.name, self._node.own, self._node.peer, "nats://simulated:4222", None)
        sessions: Any = self._node.sessions
        at_work._sessions = sessions
        return at_work

    def carry(self) -> None:
        """Carry messages to the receiver, as well as the link can."""
        on_the_way: list[tuple[float, int, bytes]] = []
        while True:
            found = None if self.link.is_cut else self.stream.take_next()
            if found is not None:
                on_the_way += [(at, *found) for at in self.link.arrivals()]
            arrived = [one for one in on_the_way if one[0] <= self._world.now_s]
            on_the_way = [one for one in on_the_way if one[0] > self._world.now_s]
            for _, number, raw in arrived:
                if self.queue is not None:
                    reply = f"$JS.ACK.stream.consumer.1.{number}.1.0.0"
                    self.queue.put(SimpleNamespace(data=raw, reply=reply, number=number))
            self._world.pause(0.0 if found else 0.1)

    def tell(self, raw: bytes) -> bytes | None:
        """Bring what the receiver tells to the relay; its answer, None when either got lost."""
        self._world.pause()
        if self.relay is None or not self.link.carries():
            return None
        answers: list[bytes] = []

        async def respond(answer: bytes) -> None:
            answers.append(answer)

        message: Any = SimpleNamespace(data=raw, reply="inbox", respond=respond)
        drive(self.relay._on_receipt(message))
        self._world.pause()
        return answers[0] if answers and self.link.carries() else None


class Client:
    """The receiver's connection to the sender's NATS."""

    is_connected = True

    def __init__(self, sending: Sending) -> None:
        """Speak over this link."""
        self._sending = sending

    async def publish(self, subject: str, raw: bytes) -> None:
        """Acknowledge a message, or tell something without waiting for an answer."""
        if raw == ACK:
            if self._sending.link.carries():
                self._sending.stream.acknowledge(int(subject.split(".")[5]))
            return
        with contextlib.suppress(psycopg.OperationalError):  # it would break in the sender's task
            self._sending.tell(raw)

    async def request(self, _subject: str, raw: bytes, timeout: float) -> SimpleNamespace:  # noqa: ASYNC109  # as nats-py has it
        """Tell something and wait for the answer."""
        answer = None
        with contextlib.suppress(psycopg.OperationalError):
            answer = self._sending.tell(raw)
        if answer is None:
            self._sending._world.pause(timeout)
            raise TimeoutError
        return SimpleNamespace(data=answer)


class Receiving:
    """The receiver of a node: one task takes, one hands in receipts."""

    def __init__(self, node: Node, sending: Sending) -> None:
        """Take what comes over the link."""
        self._node = node
        self._sending = sending

    def _receiver(self) -> tuple[Receiver, Any]:
        at_work = Receiver(self._node.inbox(), self._node.own, self._node.peer, None)
        return at_work, Client(self._sending)

    def take(self) -> None:
        """Take batches in, as `Receiver.run` does."""
        at_work, client = self._receiver()
        queue: Any = at_work._queue
        self._sending.queue = queue
        drive(at_work._keep_taking(client))

    def receipt(self) -> None:
        """Hand in receipts, as `Receiver.run` does."""
        at_work, client = self._receiver()
        drive(at_work._keep_receipting(client))


def seams(world: World, stream: Stream) -> tuple[Exchanged, ...]:
    """What is exchanged in relay and receiver."""
    waits, clock = Asyncio(world), clock_of_whoever_asks(world)
    return (
        Exchanged(relay, "asyncio", waits),
        Exchanged(relay, "datetime", clock),
        Exchanged(relay, "jetstream", stream.module()),
        Exchanged(receiver, "asyncio", waits),
        Exchanged(receiver, "datetime", clock),
    )


def own_entries(server_tables: dict[str, dict[Any, Any]], node: str) -> dict[tuple[UUID, int], dict[str, Any]]:
    """The entries in a ledger that this node made."""
    return {key: row for key, row in server_tables["entry"].items() if row["node"] == node}
