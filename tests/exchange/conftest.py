"""Two nations and a CEN node, each with a database and keys of its own."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cli.nats_server import EmbeddedNats
from cli.postgres import EmbeddedPostgres
from tests.exchange.nodes import Node

MakeNode = Callable[..., Node]


@pytest.fixture
def make_node(postgres_server: EmbeddedPostgres, tmp_path: Path) -> Iterator[MakeNode]:
    """Make a node on a fresh database; it is closed when the test ends, and goes with its server.

    Dropping a database waits for a checkpoint: several seconds a test, for nothing.
    """
    with ExitStack() as stack:

        def make(code: str, role: str = "nation") -> Node:
            name = f"test_{uuid.uuid4().hex}"
            postgres_server.create_database(name)
            return stack.enter_context(Node(code, postgres_server.dsn(name), tmp_path / name, role))

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
