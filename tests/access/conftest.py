"""A closed node, with its users and workers, for a test."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.postgres import EmbeddedPostgres
from tests.access.world import World, world


@pytest.fixture
def closed(tmp_path: Path, database_url: str) -> Iterator[World]:
    with world(tmp_path / "home", database_url) as made:
        yield made


@pytest.fixture
def another(tmp_path: Path, postgres_server: EmbeddedPostgres) -> Iterator[World]:
    """A second node like `closed`, to compare with."""
    name = f"test_{uuid.uuid4().hex}"
    postgres_server.create_database(name)
    try:
        with world(tmp_path / "another", postgres_server.dsn(name)) as made:
            yield made
    finally:
        postgres_server.drop_database(name)
