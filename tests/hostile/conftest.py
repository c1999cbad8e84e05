"""A node that hostile input is given to, whose every table is counted before and after."""

import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from cli.output import ExitCode
from ledger.schema import prepare
from tests.cli.node import Inside, working

Counted = dict[str, int]
MOST_TRIES = 300
OF_THE_SERVER = ["pg_catalog", "information_schema"]


@pytest.fixture(scope="session")
def ncen(session_url: str, tmp_path_factory: pytest.TempPathFactory) -> Inside:
    """Give a node whose lines run in this process; whatever verbs make on first use is made."""
    prepare(session_url, node="XA")
    node = Inside(tmp_path_factory.mktemp("home"), session_url)
    node.run("peer", "list")
    with working(session_url, node.home / "keys"):
        for _ in range(MOST_TRIES):
            if node.run("search", "words").returncode == ExitCode.DONE:
                break
            time.sleep(0.1)
    return node


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def counted(session_url: str) -> Callable[[], Counted]:
    """Give a function that counts the rows of every table of the node."""

    def count() -> Counted:
        with psycopg.connect(session_url) as connection:
            tables = connection.execute(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname <> ALL (%s)", [OF_THE_SERVER]
            ).fetchall()
            found = {}
            for schema, table in tables:
                query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
                row = connection.execute(query).fetchone()
                found[f"{schema}.{table}"] = int(row[0]) if row else 0
        return found

    return count
