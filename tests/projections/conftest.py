"""A node with a ledger, and its projections brought up to date by hand or kept so by a worker."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from cli.postgres import EmbeddedPostgres
from domain.attribution import Attribution, Purpose, Role
from domain.entry import Provenance
from domain.event import Command
from ledger.keyring import Keyring
from ledger.ledger import Ledger, Reader, Recorded
from ledger.received import Received, append_received
from ledger.sessions import connect
from ledger.vault import Vault
from projections import fresh, positions
from projections.catalogue import PROJECTIONS
from projections.feed import Feed
from projections.projection import Projection
from projections.projector import run
from projections.slot import Slot
from projections.slot import connect as connect_projector
from soak.sealing import seal_all

OFFICER = Attribution(actor="officer-7", role=Role.OFFICER, purpose=Purpose.DETECTION, legal_basis="LAW:1")
SUPERVISOR = Attribution(actor="chief-1", role=Role.SUPERVISOR, purpose=Purpose.DETECTION, legal_basis="LAW:1")


HIS_OWN = Path("the node's own keys")
CAME = Provenance(
    peer="YB",
    number=1,
    instrument="MAA:2020",
    premise_version=1,
    handling="H1",
    received_at=datetime(2024, 6, 1, tzinfo=UTC),
)


class Node:
    """A node's ledger and read side in one database."""

    def __init__(self, database_url: str, keys: Path, name: str = "XA") -> None:
        self.database_url = database_url
        self.keys = keys
        self.ledger = Ledger.open(database_url, node=name, keys=keys)

    def do(self, command: Command, record_id: UUID | None = None, by: Attribution = OFFICER) -> UUID:
        """Execute a command, on a new record unless one is named, and give the record's id."""
        answer: Recorded = self.ledger.execute(record_id or Ledger.new_id(), command, by)
        return answer.record_id

    def seal(self) -> int:
        """Seal all that is recorded and give the head."""
        with connect(self.database_url) as connection:
            seal_all(connection)
            row = connection.execute("SELECT coalesce(max(position), 0) FROM ledger.sealed").fetchone()
        assert row is not None
        return int(row[0])

    def project(self, *, size: int = 1_000, keys: Path | None = HIS_OWN) -> int:
        """Seal, and bring the projections up to date in this thread, in batches of a size; give the head."""
        head = self.seal()
        feed = Feed(self.database_url, self.keys if keys is HIS_OWN else keys)
        for projection in PROJECTIONS.values():
            self.catch_up(projection, feed, size=size)
        feed.close()
        return head

    def catch_up(self, projection: Projection, feed: Feed, *, size: int = 1_000) -> None:
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

    def rebuild(self, *, size: int = 1_000) -> None:
        """Build every projection anew beside its tables and put it in their place, in this thread."""
        for projection in PROJECTIONS.values():
            with self.built(projection, size=size) as slot:
                assert fresh.swap(slot, projection)

    @contextmanager
    def built(self, projection: Projection, *, size: int = 1_000) -> Iterator[Slot]:
        """Build a projection anew, ready to be put in place of the tables that serve."""
        feed = Feed(self.database_url, self.keys)
        with connect_projector(self.database_url, projection.NAME) as connection:
            positions.start_fresh(connection, projection)
            slot = Slot(connection, feed, projection, is_fresh=True)
            fresh.make_fresh(slot, projection)
            slot.look()
            while batch := feed.read(slot.position or 0, size):
                slot.advance(batch)
            while fresh.build_next_index(connection, slot, projection):
                pass
            yield slot
        feed.close()

    def erase(self, record_id: UUID) -> None:
        """Destroy the keys under which a subject is told of, in every record, and have it told again."""
        tag = Vault(Keyring.open(self.keys)).subject_tag(record_id)
        gone = self.query("DELETE FROM ledger.subject_key WHERE subject_tag = %s RETURNING record_id", tag)
        assert gone, "there was nothing to erase"
        positions.retell(self.database_url, [found for (found,) in gone])

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


def deliver(origin: Node, node: Node, places: Sequence[int] | None = None, *, discloses: bool = True) -> None:
    """Hand a peer's sealed entries over, in this order of positions, each in a transaction of its own."""
    origin.seal()
    with Reader.open(origin.database_url, keys=origin.keys) as reader, connect(origin.database_url) as session:
        lines = {line.position: line for line in reader.read_stored(0, 10_000)}
        received = {
            position: Received(
                record_id=line.record_id,
                version=line.version,
                recorded_at=line.recorded_at,
                node=line.node,
                name=line.name,
                is_personal=line.is_personal,
                body=line.body,
                attribution=line.attribution,
                attribution_salt=line.attribution_salt,
                attribution_hash=line.attribution_hash,
                entry_key=reader.vault.entry_key(session, line.key_id, line.body) if discloses else None,
                provenance=CAME,
            )
            for position, line in lines.items()
        }
    with Reader.open(node.database_url, keys=node.keys) as reader:
        for position in places or sorted(received):
            with psycopg.connect(node.database_url) as connection:
                append_received(connection, [received[position]], reader.vault)


@pytest.fixture
def peer(postgres_server: EmbeddedPostgres, tmp_path: Path, database_url: str) -> Iterator[Node]:
    """A second node, YB, in a database of its own."""
    name = database_url.split("dbname=")[1].strip() + "_peer"
    postgres_server.create_database(name)
    made = Node(postgres_server.dsn(name), tmp_path / "keys-peer", "YB")
    yield made
    made.ledger.close()
    postgres_server.drop_database(name)


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
