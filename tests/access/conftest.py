"""A closed node, with its users and workers, for a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.access.world import World, world


@pytest.fixture
def closed(tmp_path: Path, database_url: str) -> Iterator[World]:
    with world(tmp_path / "home", database_url) as made:
        yield made
