"""Where vault, keys and certificates meet the simulated world: files lie on a simulated drive, chance is the seed's."""

from collections.abc import Callable, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Self
from uuid import UUID

from domain.attribution import Attribution, Purpose, Role
from domain.refused import Refused
from ledger import certificates, epochs, erasure, insertion, keyring, vault, whole_file
from ledger.deciding import Asked, Recorded
from ledger.vault import Vault
from tests.simulation.disk import Row, Server
from tests.simulation.drive import Drive
from tests.simulation.network import clock_of_whoever_asks
from tests.simulation.officers import Desk, new_id
from tests.simulation.seams import Exchanged
from tests.simulation.session import Session
from tests.simulation.world import World

DPO = Attribution(actor="d.po", role=Role.DATA_PROTECTION_OFFICER, purpose=Purpose.ADMINISTRATION, legal_basis="CODE:1")


def files(drive: Drive) -> tuple[Exchanged, ...]:
    """What is exchanged where files are written whole."""
    return (
        Exchanged(whole_file, "fcntl", drive.fcntl()),
        Exchanged(whole_file, "os", drive.os()),
        Exchanged(whole_file, "tempfile", drive.tempfile()),
        Exchanged(whole_file, "Path", lambda path: path),
    )


def secrets_of(world: World, drive: Drive) -> tuple[Exchanged, ...]:
    """What is exchanged in keyring, vault, certificates, erasure and rotation."""
    chance = SimpleNamespace(token_bytes=world.random.randbytes)
    clock = SimpleNamespace(monotonic=lambda: world.now_s, time_ns=drive.now_ns, sleep=world.pause)
    asked = clock_of_whoever_asks(world)
    stamps = SimpleNamespace(now=asked.now, fromtimestamp=datetime.fromtimestamp)

    def connect(url: str, **_: object) -> Session:
        return Session(world.servers[url])

    return (
        *files(drive),
        Exchanged(keyring, "Path", lambda path: path),
        Exchanged(keyring, "secrets", chance),
        Exchanged(keyring, "time", clock),
        Exchanged(vault, "secrets", chance),
        Exchanged(vault, "time", clock),
        Exchanged(vault, "uuid7", lambda: new_id(world)),
        Exchanged(certificates, "os", drive.os()),
        Exchanged(erasure, "connect", connect),
        Exchanged(erasure, "datetime", stamps),
        Exchanged(epochs, "connect", connect),
        Exchanged(epochs, "datetime", stamps),
        Exchanged(epochs, "secrets", chance),
        Exchanged(epochs, "time", clock),
        Exchanged(epochs, "ThreadPoolExecutor", AtOnce),
        Exchanged(epochs, "AT_ONCE", 2),
        Exchanged(insertion, "COPY_FROM_LINES", 4),
    )


class AtOnce:
    """What stands for a pool of threads: it does what it is given at once."""

    def __init__(self, *_: object) -> None:
        """Need no threads."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to wait for."""

    def submit(self, work: Callable[..., Any], *arguments: object) -> SimpleNamespace:
        """Do it."""
        done = work(*arguments)
        return SimpleNamespace(result=lambda: done)


class Office:
    """What an eraser knows of the ledger: as `ledger.Ledger`, at a desk of its own with the node's keys."""

    def __init__(self, desk: Desk, node: str, own_vault: Vault) -> None:
        """Work at a desk."""
        self._desk = desk
        self.node = node
        self.vault = own_vault

    def execute_all(self, asked: Sequence[Asked], by: Attribution) -> list[Recorded | Refused]:
        """Execute commands one by one."""
        return [self._answer(one, by) for one in asked]

    def _answer(self, asked: Asked, by: Attribution) -> Recorded | Refused:
        try:
            return self._desk.answer(asked, by)
        except Refused as refused:
            return refused


class Copies:
    """Every wrapping of every key that a server ever wrote: what lives on in dead rows, logs and backups."""

    def __init__(self, server: Server) -> None:
        """Watch a server; what is only written and not committed is not looked at."""
        self.of_key: dict[UUID, list[Row]] = {}
        self._server = server
        server.watchers.append(self.look)
        write = server.write

        def written(transaction: Any) -> None:  # noqa: ANN401  # whatever the server writes
            self.look(transaction)
            write(transaction)

        server.write = written  # type: ignore[method-assign]  # it looks on

    def look(self, transaction: Any) -> None:  # noqa: ANN401  # whatever the server writes
        """Note the wrappings that a transaction has written."""
        for (key_id,), row in transaction.writes.get("subject_key", {}).items():
            if row is not None and row not in self.of_key.setdefault(key_id, []):
                self.of_key[key_id].append(row)
