"""A node with a ledger, and its projections brought up to date by hand or kept so by a worker."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from domain.attribution import Attribution, Purpose, Role
from domain.event import Command
from ledger.ledger import Ledger, Recorded
from ledger.sealer import seal_once
from ledger.sessions import connect
from projections import fresh, positions
from projections.catalogue import PROJECTIONS
from projections.feed import Feed
from projections.projection import Projection
from projections.projector import run
from projections.slot import Slot
from projections.slot import connect as connect_projector

OFFICER = Attribution(actor="officer-7", role=Role.OFFICER, purpose=Purpose.DETECTION, legal_basis="LAW:1")
SUPERVISOR = Attribution(actor="chief-1", role=Role.SUPERVISOR, purpose=Purpose.DETECTION, legal_basis="LAW:1")


class Node:
    """A node's ledger and read side in one database."""

    def __init__(self, database_url: str, keys: Path) -> None:
        self.database_url = database_url
        self.keys = keys
        self.ledger = Ledger.open(database_url, node="XA", keys=keys)

    def do(self, command: Command, record_id: UUID | None = None, by: Attribution = OFFICER) -> UUID:
        """Execute a command, on a new record unless one is named, and give the record's id."""
        answer: Recorded = self.ledger.execute(record_id or Ledger.new_id(), command, by)
        return answer.record_id

    def seal(self) -> int:
        """Seal all that is recorded and give the head."""
        with connect(self.database_url) as connection:
            while seal_once(connection):
                pass
            row = connection.execute("SELECT coalesce(max(position), 0) FROM ledger.sealed").fetchone()
        assert row is not None
        return int(row[0])

    def project(self, *, size: int = 1_000, names: Sequence[str] | None = None) -> int:
        """Seal, and bring the projections up to date in this thread, in batches of a size; give the head."""
        head = self.seal()
        for projection in PROJECTIONS.values():
            if names is None or projection.NAME in names:
                self.catch_up(projection, size=size)
        return head

    def catch_up(self, projection: Projection, *, size: int = 1_000) -> None:
        feed = Feed(self.database_url, self.keys)
        with connect_projector(self.database_url, projection.NAME) as connection:
            positions.prepare(connection)
            slot = Slot(connection, feed, projection, is_fresh=False)
            slot.look()
            if slot.position is None:
                fresh.make_serving(slot, projection)
                slot.look()
            while batch := feed.read(slot.position or 0, size):
                slot.advance(batch)
            while slot.retell_asked():
                pass
        feed.close()

    @contextmanager
    def projector(self, projections: Sequence[Projection] | None = None) -> Iterator[threading.Event]:
        """A worker that keeps the projections in step."""
        stop = threading.Event()
        thread = threading.Thread(
            target=run, args=[self.database_url], kwargs={"keys": self.keys, "stop": stop, "projections": projections}
        )
        thread.start()
        try:
            yield stop
        finally:
            stop.set()
            thread.join()

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(statement.encode(), parameters).fetchall()

    def dump(self, schema: str = "read") -> dict[str, list[tuple[Any, ...]]]:
        """All that the projections hold, in an order of its own."""
        return {
            table.name: sorted(self.query(f"SELECT t::text FROM {schema}.{table.name} AS t"))
            for projection in PROJECTIONS.values()
            for table in projection.TABLES
        }


@pytest.fixture
def make_node(database_url: str, tmp_path: Path) -> Iterator[Callable[[], Node]]:
    made: list[Node] = []

    def make() -> Node:
        made.append(Node(database_url, tmp_path / "keys"))
        return made[-1]

    yield make
    for node in made:
        node.ledger.close()


@pytest.fixture
def node(make_node: Callable[[], Node]) -> Node:
    """A node with an empty ledger."""
    return make_node()
