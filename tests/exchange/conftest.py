"""Two nations and a CEN node, each with a database and keys of its own."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from cli.nats_server import EmbeddedNats
from cli.postgres import EmbeddedPostgres
from tests.exchange.nodes import Node

MakeNode = Callable[..., Node]


@pytest.fixture(scope="session")
def free_databases() -> list[str]:
    """Keep the databases that tests are done with: to make one and drop it takes seconds, to empty it does not."""
    return []


@pytest.fixture
def make_node(postgres_server: EmbeddedPostgres, free_databases: list[str], tmp_path: Path) -> Iterator[MakeNode]:
    """Make a node on an empty database; it is closed and emptied when the test ends."""
    with ExitStack() as stack:

        def give_back(name: str) -> None:
            with psycopg.connect(postgres_server.dsn(name)) as connection:
                connection.execute("SET client_min_messages = warning; DROP SCHEMA IF EXISTS exchange, ledger CASCADE")
            free_databases.append(name)

        def make(code: str, role: str = "nation", keys: Path | None = None) -> Node:
            if free_databases:
                name = free_databases.pop()
            else:
                name = f"test_{uuid.uuid4().hex}"
                postgres_server.create_database(name)
            stack.callback(give_back, name)
            folder = keys or tmp_path / f"{code}-{uuid.uuid4().hex}"
            return stack.enter_context(Node(code, postgres_server.dsn(name), folder, role))

        yield make


@pytest.fixture
def make_nats(open_folder: Path) -> Iterator[Callable[[str], EmbeddedNats]]:
    """Start a NATS server for a node."""
    with ExitStack() as stack:

        def make(name: str) -> EmbeddedNats:
            server = EmbeddedNats(open_folder / f"nats-{name}")
            server.start()
            stack.callback(server.stop)
            return server

        yield make
