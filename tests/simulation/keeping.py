"""Keeping keys in the simulated world: writers, an eraser and a rotation of epochs, on one node with its own drive.

The promises: every key in the table opens with what is on the drive, also after the power was cut; who was erased has
no key in the table, nor again after a restore; once an erasure says that the keys of its epochs are destroyed, no copy
of its keys opens with anything that the drive holds or may yet hold.
"""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.assertion import Statement, StatementKind
from domain.identity import PersonName
from domain.person import AssertAboutPerson, RegisterPerson
from domain.refused import Refused
from domain.rights import ErasureGrounds
from ledger import epochs
from ledger.erasure import Eraser
from ledger.errors import Conflict, Damaged, NotFound, Unsafe
from ledger.keyring import KEY_BYTES, Keyring
from ledger.vault import _NONCE_END, Vault, WrappedKey, _place
from tests.simulation.disk import Row, Transaction
from tests.simulation.drive import Drive
from tests.simulation.keys import DPO, Copies, Office, secrets_of
from tests.simulation.officers import Desk, Register, new_id
from tests.simulation.seams import Exchanged, installed, new_server, require
from tests.simulation.tables_vault import WRAPPED
from tests.simulation.world import Broken, Stuck, Task, WallClock, World

PERSONS = 4
ERASED = 2
ROTATIONS = 3
FAULTS = 6
MOST_TURNS = 8_000
KEYS = ("home", "keys")


class Simulation:
    """One seed of it."""

    def __init__(self, world: World) -> None:
        """Open a node."""
        self.world = world
        self.server = new_server(world, "XA")
        self.drive = Drive(world)
        self.drive.path(*KEYS).parent.mkdir()
        self.drive.root.flush()
        self.clock = WallClock(world)
        self.register = Register()
        self.copies = Copies(self.server)
        self.persons: list[UUID] = []
        self.erased: dict[UUID, UUID] = {}
        self.intended: dict[UUID, UUID] = {}
        self.backup: Any = None
        self.tasks: list[Task] = []
        self.left = {"write": PERSONS * 2, "erase": ERASED, "rotate": ROTATIONS}
        self.server.watchers.append(self.look)

    @property
    def keys(self) -> Any:  # noqa: ANN401  # a path in the shape of pathlib's
        """The keys folder."""
        return self.drive.path(*KEYS)

    # -- who is at work

    def start(self) -> None:
        """Start the node's processes."""
        for what, work in {"write": self.write, "erase": self.erase, "rotate": self.rotate}.items():
            for number in range(2 if what == "write" else 1):
                task = self.world.spawn(f"{what} {number}", partial(self._again_and_again, what, work))
                task.now = self.clock.now
                self.tasks.append(task)

    def _again_and_again(self, what: str, work: Callable[[], None]) -> None:
        while self.left[what] > 0:
            with contextlib.suppress(psycopg.OperationalError, Conflict, NotFound, Refused):
                work()
            self.world.pause(self.world.random.random() * 0.5)

    def desk(self, keyring: Keyring) -> Desk:
        """A desk with the keys of a process."""
        desk = Desk(self.world, "XA", self.register, self.clock.now)
        desk.vault = Vault(keyring)
        return desk

    def write(self) -> None:
        """Put persons on record, and say something of those who are."""
        desk = self.desk(Keyring.open(self.keys))
        while self.left["write"] > 0:
            lot = self.world.below(len(self.persons) + 1)
            said = Statement(
                said=PersonName(full=f"Testeron {self.world.below(9)}"), kind=StatementKind.FACT, source="INTERVIEW"
            )
            if lot == len(self.persons):
                person, command = new_id(self.world), RegisterPerson(statements=(said,))
            else:
                person, command = self.persons[lot], AssertAboutPerson(statement=said)  # type: ignore[assignment]  # either
            self.left["write"] -= 1
            if desk.execute(person, command) is not None and person not in self.persons:
                self.persons.append(person)
            self.world.pause(self.world.random.random())

    def erase(self) -> None:
        """Erase somebody, or end what was begun."""
        keyring = Keyring.open(self.keys)
        desk = self.desk(keyring)
        office: Any = Office(desk, "XA", desk.vault)
        eraser = Eraser("XA", office, keyring)
        for erasure_id, subject in [*self.intended.items()]:
            self._erase(eraser, erasure_id, subject)
        left = [person for person in self.persons if person not in self.erased.values()]
        if left:
            subject, erasure_id = left[self.world.below(len(left))], new_id(self.world)
            self.intended[erasure_id] = subject
            self._erase(eraser, erasure_id, subject)
        elif self.left["write"] == 0:
            self.left["erase"] = 0

    def _erase(self, eraser: Eraser, erasure_id: UUID, subject: UUID) -> None:
        if erasure_id in self.erased:
            return
        eraser.erase(subject, "person", ErasureGrounds.UNLAWFUL, DPO, erasure_id=erasure_id)
        self.erased[erasure_id] = subject
        self.left["erase"] -= 1

    def rotate(self) -> None:
        """Rotate."""
        epochs.rotate("XA", self.keys)
        self.left["rotate"] -= 1

    # -- what must hold

    def look(self, transaction: Transaction) -> None:
        """Look at what a commit says.

        Raises:
            Broken: it is not so.
        """
        for row in transaction.writes.get("erasure", {}).values():
            if row is not None and row["destroyed_at"] is not None:
                self.check_destroyed(row["keys"])

    def check_destroyed(self, key_ids: Sequence[UUID]) -> None:
        """No copy of these keys opens with anything that the drive holds, or may hold after a power cut.

        Raises:
            Broken: one does.
        """
        secrets = self.drive.secrets(KEY_BYTES)
        for key_id in key_ids:
            for row in self.copies.of_key[key_id]:
                is_open = any(_opens(secret, row) for secret in secrets)
                require(not is_open, "A copy of an erased key opens, although it is said to be destroyed.")

    def check_living(self) -> None:
        """Every key in the table opens with what is on the drive.

        Raises:
            Broken: one does not.
        """
        folder = self.drive.find(KEYS)
        rows = self.server.tables["subject_key"].values()
        if folder is None:
            require(not rows, "The folder of keys is gone.")
            return
        vault = Vault(Keyring.open(self.keys)) if rows else Vault(None)
        for row in rows:
            held = vault.unwrap(WrappedKey(*(row[column] for column in WRAPPED)))
            require(held is not None, "A living key is lost: its epoch's key is not on the drive.")

    def check_erased(self) -> None:
        """Who was erased has no key.

        Raises:
            Broken: somebody has one.
        """
        subjects = set(self.erased.values())
        entries = self.server.tables["entry"].values()
        of_keys = {row["key_id"] for row in entries if row["record_id"] in subjects}
        left = of_keys & {row["key_id"] for row in self.server.tables["subject_key"].values()}
        require(not left, "Somebody who was erased can be read.")

    # -- disasters

    def disaster(self) -> None:
        """Let something go wrong."""
        lot = self.world.below(3)
        if lot == 0:
            self.world.kill(self.tasks)
        elif lot == 1:
            self.cut_power()
        else:
            self.server.crash()
        if lot != 2:  # in the other case the processes go on
            self.tasks.clear()
            self.start()

    def cut_power(self) -> None:
        """Cut the power of the machine, with its database and its drive."""
        self.world.kill(self.tasks)
        self.server.crash()
        self.drive.crash()
        self.check_living()
        self.check_erased()

    def restore(self) -> None:
        """Restore an older copy of the database, and do again what the certificates say."""
        self.world.kill(self.tasks)
        self.tasks.clear()
        self.drive.crash()
        self.server.restore(self.backup)
        keyring = Keyring.open(self.keys)
        office: Any = Office(self.desk(keyring), "XA", Vault(keyring))
        Eraser("XA", office, keyring).replay()
        self.check_erased()

    def is_quiet(self) -> bool:
        """Whether all is done."""
        return not any(left > 0 for left in self.left.values()) and self.register.at_work == 0


def _opens(secret: bytes, row: Row) -> bool:
    epoch = row["epoch"]
    place = _place(row["key_id"], row["record_id"], row["subject_tag"], row["version"], epoch)
    try:
        AESGCM(secret).decrypt(row["wrapped"][1:_NONCE_END], row["wrapped"][_NONCE_END:], place)
    except InvalidTag:
        return False
    return True


def run(seed: int, mutant: Sequence[Exchanged] = ()) -> str:
    """Run a seed; returns the hash of its trace.

    Raises:
        Broken: a promise was not kept.
    """
    world = World(seed)
    simulation = Simulation(world)
    with installed(world, *secrets_of(world, simulation.drive), *mutant):
        try:
            _live(world, simulation)
        except (Unsafe, Damaged) as error:
            raise Broken(f"The keys folder cannot be opened: {type(error).__name__}.") from error
    return world.trace


def _live(world: World, simulation: Simulation) -> None:
    simulation.start()
    for _ in range(1 + world.below(FAULTS)):
        world.run(world.below(25) if world.chance(0.5) else 60 + world.below(250))
        simulation.disaster()
        if simulation.backup is None or world.chance(0.3):
            simulation.backup = simulation.server.copy_of_disk()
    if not world.run(MOST_TURNS, simulation.is_quiet):
        raise Stuck("Recording, erasing and rotating did not come to their end.")
    simulation.check_living()
    simulation.check_erased()
    simulation.restore()
