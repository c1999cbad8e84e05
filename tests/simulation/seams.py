"""Where our own code meets the simulated world: connections, random bytes, clocks and waits are those of the world.

Only what a module imports from outside is exchanged, by name and for the time of one seed; nothing of the code between
these seams is touched, save by a mutant that says so.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple, TypeVar
from unittest.mock import patch

from domain.entry import Entry
from ledger import drafting, insertion, line, reader
from ledger.reader import Reader
from ledger.vault import Vault
from tests.simulation import tables_ledger, tables_vault
from tests.simulation.disk import Server
from tests.simulation.session import Session
from tests.simulation.world import Broken, World

TOLD = tables_vault
"""Whose statements every ledger needs."""
T = TypeVar("T")


class Exchanged(NamedTuple):
    """A name in a module (or class) that means something else for the time of a run."""

    place: ModuleType | type
    name: str
    value: Any


@contextmanager
def exchanged(*names: Exchanged) -> Iterator[None]:
    """Let names mean something else."""
    with ExitStack() as stack:
        for place, name, value in names:
            stack.enter_context(patch.object(place, name, value))
        yield


@contextmanager
def installed(world: World, *more: Exchanged) -> Iterator[None]:
    """Let the ledger live in this world."""

    def connect(url: str, **_: object) -> Session:
        return Session(world.servers[url])

    names = (
        Exchanged(insertion, "connect", connect),
        Exchanged(reader, "connect", connect),
        Exchanged(drafting, "os", SimpleNamespace(urandom=world.random.randbytes)),
    )
    with exchanged(*names, *more):
        try:
            yield
        finally:
            world.end()


class SealedReader(Reader):
    """The ledger's reader; the page that PostgreSQL frames for it is read column by column instead."""

    def __init__(self, url: str, vault: Vault | None = None) -> None:
        """Read with a vault, or without one what names no one."""
        super().__init__(url, vault or Vault(None))

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return the entries at positions after + 1 and on."""
        rows = self._asking(lambda session: line.rows(session, tables_ledger.READ, (after, after + limit)))
        keys = self._asking(lambda session: line.held_keys(session, self.vault, rows))
        return line.entries(rows, keys)


def require(holds: object, promise: str) -> None:
    """Say that a promise was broken.

    Raises:
        Broken: it does not hold.
    """
    if not holds:
        raise Broken(promise)


def first_xid(world: World) -> int:
    """A number shortly before one that is longer: numbers are no texts, and never sort like them."""
    return (95, 995, 9_995)[world.below(3)] + world.below(4)


def new_server(world: World, node: str, more: Sequence[tuple[str, dict[Any, Any]]] = ()) -> Server:
    """A server with an empty ledger."""
    tables = tables_ledger.new_tables(node) | dict(more)
    server = Server(world, node, tables, first_xid=first_xid(world))
    world.servers[node] = server
    return server
