"""Erasing among nodes in the simulated world: XA erases whom it has told XB of; both have keys on drives of their own.

The promises: a recipient that was told of somebody is told of the erasure, and has confirmed it when the faults end;
what it confirms is on its disk; nobody there can read the erased again, nor after either node was restored. At times
only a case names a person who has no record of their own.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import serialization

from domain.assertion import Statement, StatementKind
from domain.codes import PartyRole, Reason
from domain.handling import DataCategory
from domain.identity import PersonName
from domain.party import Party
from domain.person import RegisterPerson
from domain.refused import Refused
from domain.rights import ErasureGrounds
from domain.seizure import CancelSeizure
from exchange.envelope import Core, decode_core
from ledger import certificates
from ledger.erasure import Eraser
from ledger.errors import NotFound
from ledger.keyring import Keyring
from ledger.vault import Vault
from tests.simulation import exchanging
from tests.simulation.disk import Row, Transaction
from tests.simulation.drive import Drive
from tests.simulation.exchanging import MOST_TURNS
from tests.simulation.keys import DPO, Office, secrets_of
from tests.simulation.nodes import Node, seams
from tests.simulation.officers import new_id, seizure_with
from tests.simulation.promises import known_premise
from tests.simulation.seams import Exchanged, installed, require
from tests.simulation.world import Stuck, World

FAULTS = 5
PERSONS = 2
SECRETS = ("signing", "box")


class KeyedNode(Node):
    """A node with a vault, whose keys lie on a drive."""

    def __init__(self, world: World, name: str, peer: str) -> None:
        """Set it up, with the keys that its peer knows."""
        super().__init__(world, name, peer)
        self.drive = Drive(world)
        folder: Any = self.drive.path("keys")
        folder.mkdir()
        raw = serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        for kind in SECRETS:
            secret = getattr(self.own, f"{kind}_key").private_bytes(*raw)
            self.drive.new_file(folder / f"{kind}.key", 0o600).write(0, secret)
        for one in (*self.drive.files, self.drive.root, self.drive.find(("keys",))):
            one.flush()

    @property
    def keys(self) -> Any:  # noqa: ANN401  # a path in the shape of pathlib's
        """The keys folder."""
        return self.drive.path("keys")

    def vault(self) -> Vault:
        """A vault as a process opens it."""
        return Vault(Keyring.open(self.keys))

    def eraser(self) -> Eraser:
        """An eraser as a process opens it."""
        keyring = Keyring.open(self.keys)
        self.desk.vault = Vault(keyring)
        office: Any = Office(self.desk, self.name, self.desk.vault)
        return Eraser(self.name, office, keyring)


class Simulation(exchanging.Simulation):
    """One seed of it."""

    NODE = KeyedNode
    GOES_ON = 0.0
    PERIOD = {"categories": (DataCategory.OPEN, DataCategory.NOMINAL)}  # noqa: RUF012  # never changed
    sender: KeyedNode
    receiver: KeyedNode

    def __init__(self, world: World) -> None:
        """Set up two nodes and a link."""
        super().__init__(world)
        self.persons: list[UUID] = []
        self.erased: set[UUID] = set()
        self.to_erase: list[tuple[UUID, UUID]] = []
        self.copy_of_receiver: Any = None
        self.is_receiver_restored = False
        self.sender.server.watchers.append(self.look_at_confirmations)

    # -- who is at work

    def begin(self) -> None:
        """Begin as elsewhere, and record who is to be erased."""
        super().begin()
        self.sender.desk.vault = self.sender.vault()
        self.sender.register.at_work += 1
        self.world.spawn("officer of persons", self.record_persons)

    def record_persons(self) -> None:
        """Put persons on record, with a case of each; then ask for their erasure."""
        desk = self.sender.desk
        for number in range(PERSONS):
            said = Statement(said=PersonName(full=f"Testeron {number}"), kind=StatementKind.FACT, source="INTERVIEW")
            person = new_id(self.world)
            if self.world.chance(0.8):  # else only the case names them
                desk.execute(person, RegisterPerson(statements=(said,)))
            case = new_id(self.world)
            desk.execute(case, seizure_with(Party(party=person, role=PartyRole.COURIER)))
            self.persons.append(person)
            self.world.pause(self.world.random.random() * 3)
            if self.world.chance(0.3):  # then it is told of a case that is none any more
                desk.execute(case, CancelSeizure(reason=Reason.DUPLICATE))
            self.to_erase.append((new_id(self.world), person))
        self.sender.register.at_work -= 1

    def start_sender(self) -> None:
        """Start XA's processes, and the one that erases."""
        super().start_sender()
        self.sender.spawn("eraser", self.erase)

    def erase(self) -> None:
        """Erase whom it was asked for."""
        eraser = self.sender.eraser()
        while True:
            for erasure_id, person in [one for one in self.to_erase if one[1] not in self.erased]:
                try:
                    eraser.erase(person, "person", ErasureGrounds.UNLAWFUL, DPO, erasure_id=erasure_id)
                except (Refused, NotFound):  # after a restore there may be nobody of the kind
                    self.persons.remove(person)
                    self.to_erase.remove((erasure_id, person))
                    continue
                self.erased.add(person)
            self.world.pause(0.3)

    # -- disasters

    def disaster(self) -> None:
        """Let something go wrong, more often there where the notices go."""
        if not self.world.chance(0.4):
            super().disaster()
            return
        node = self.sender if self.world.chance(0.3) else self.receiver
        self.world.note("power", node.name)
        self.cut_power(node)

    def cut_power(self, node: KeyedNode) -> None:
        """Cut the power of a node, with its database and its drive."""
        self.world.kill(node.tasks)
        node.tasks.clear()
        node.drive.crash()
        node.server.crash()
        node.sealed.after_crash()
        self.promises.after_crash()
        if node is self.sender:
            self.start_sender()
        else:
            self.start_receiver()

    def before_opening(self) -> None:
        """XA does again what its certificates say."""
        told = {one.subject for one in certificates.read(self.sender.keys)}
        self.world.kill(self.sender.tasks)
        self.sender.eraser().replay()
        self.require_unreadable(self.sender, told)

    def restore_receiver(self) -> None:
        """Restore XB from an old copy; before it opens, it does again what its certificates say, or forgets to."""
        self.is_receiver_restored = True
        node = self.receiver
        self.world.kill(node.tasks)
        node.tasks.clear()
        node.server.restore(self.copy_of_receiver)
        node.sealed.after_crash()
        self.promises._stood.append((self.world.turns, known_premise(node)))
        if self.world.chance(0.5):
            told = {one.subject for one in certificates.read(node.keys)}
            node.eraser().replay()
            self.require_unreadable(node, told)
        self.start_receiver()

    # -- what must hold

    def look_at_confirmations(self, transaction: Transaction) -> None:
        """What a recipient confirms is on its disk.

        Raises:
            Broken: it is not.
        """
        for (_, subject), row in transaction.writes.get("erasure_notice", {}).items():
            if row is None or row["confirmed_at"] is None or self.is_receiver_restored:
                continue
            kept = self.receiver.server.durable()
            done = [one for one in kept["erasure"].values() if one["subject"] == subject and one["erased_at"]]
            require(done, "An erasure was confirmed that is not on the recipient's disk.")
            folder = self.receiver.drive.root.kept["keys"]
            log = folder.kept.get(certificates.FILE)
            is_certified = log is not None and str(subject).encode() in log.kept
            require(is_certified, "An erasure was confirmed that is not in the recipient's certificates.")

    def require_unreadable(self, node: KeyedNode, subjects: set[UUID]) -> None:
        """Nobody at a node can read these persons.

        Raises:
            Broken: somebody can.
        """
        tables = node.server.tables
        tags = {Vault(Keyring.open(node.keys)).subject_tag(subject) for subject in subjects}
        left = [
            row for row in tables["subject_key"].values() if row["subject_tag"] in tags or row["record_id"] in subjects
        ]
        require(not left, f"Somebody who was erased can be read at {node.name}.")

    def is_quiet(self) -> bool:
        """Whether all is erased and confirmed, and has arrived."""
        sender = self.sender.server.tables
        if len(self.erased) < len(self.persons) or not super().is_quiet():
            return False
        if self.is_restored and self.noticed():
            return True
        told = self.receiver.server.tables["erasure_confirmation"].values()
        return len(sender["withdrawn"]) >= len(self.erased) and all(row["stored_at"] is not None for row in told)

    def waits(self, line: Row) -> bool:
        """Those that told of the erased have no key any more, and wait for nothing."""
        if not super().waits(line):
            return False
        core = decode_core(line["core"], Core)
        return not (isinstance(core, Core) and core.is_personal and line["boxed_key"] is None)

    def check_at_rest(self) -> None:
        """What must hold at the end.

        Raises:
            Broken: a promise was not kept.
        """
        self.promises.require_prefix()
        self.require_unreadable(self.sender, self.erased)
        if self.is_restored and self.noticed():
            return
        self.require_unreadable(self.receiver, self.erased)
        sender, receiver = self.sender.server.tables, self.receiver.server.tables
        require(all(row["boxed_key"] is None for row in self._lines_of_erased()), "A key of theirs is in the outbox.")
        for subject in self.erased:
            is_known = any(row["record_id"] == subject for row in receiver["entry"].values())
            notice = sender["erasure_notice"].get(("XB", subject))
            require(notice is not None or not is_known, "A recipient was not told of an erasure.")
            require(notice is None or notice["confirmed_at"], "An erasure is not confirmed, although all arrived.")

    def _lines_of_erased(self) -> list[dict[str, Any]]:
        tables = self.sender.server.tables
        return [row for row in tables["feed_out"].values() if row["record_id"] in self.erased]


def run(seed: int, mutant: Sequence[Exchanged] = ()) -> str:
    """Run a seed; returns the hash of its trace.

    Raises:
        Broken: a promise was not kept.
    """
    world = World(seed)
    simulation = Simulation(world)
    names = (*seams(world, simulation.stream), *secrets_of(world, simulation.sender.drive))
    with installed(world, *names, *mutant):
        simulation.begin()
        lot = world.below(4)
        for _ in range(1 + world.below(FAULTS)):
            world.run(30 + world.below(250))
            if simulation.backup is None:
                simulation.backup = simulation.sender.server.copy_of_disk()
            if simulation.copy_of_receiver is None or world.chance(0.3):
                simulation.copy_of_receiver = simulation.receiver.server.copy_of_disk()
            simulation.disaster()
        if lot < 2:  # of four
            world.run(100 + world.below(300))
            (simulation.restore, simulation.restore_receiver)[lot]()
        simulation.calm()
        if not world.run(MOST_TURNS, simulation.is_quiet):
            simulation.check_at_rest()
            raise Stuck("Not everything was erased, told and confirmed.")
        simulation.check_at_rest()
    return world.trace
