"""A ledger in a fresh database, and a sealer beside it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger import sealer
from ledger.ledger import Ledger, Reader
from ledger.sessions import Session, connect


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Give a test a keys folder that does not exist yet."""
    return tmp_path / "keys"


@pytest.fixture
def ledger(database_url: str, keys: Path) -> Iterator[Ledger]:
    """Open a ledger of the node NL."""
    with Ledger.open(database_url, node="NL", keys=keys) as opened:
        yield opened


@pytest.fixture
def session(database_url: str, ledger: Ledger) -> Iterator[Session]:
    """Open a session on the ledger's database, once its tables are there."""
    assert ledger.node
    with connect(database_url) as opened:
        yield opened


@pytest.fixture
def reader(database_url: str, ledger: Ledger, keys: Path) -> Iterator[Reader]:
    """Read the ledger with its keys."""
    assert ledger.node
    with Reader.open(database_url, keys=keys) as opened:
        yield opened


@contextmanager
def sealing(database_url: str) -> Iterator[None]:
    """Run a sealer in a thread for a while."""
    stop = threading.Event()
    thread = threading.Thread(target=sealer.run, args=(database_url,), kwargs={"stop": stop})
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def sealed(database_url: str, ledger: Ledger) -> Iterator[None]:
    """Seal what is recorded for as long as the test lasts."""
    assert ledger.node
    with sealing(database_url):
        yield
