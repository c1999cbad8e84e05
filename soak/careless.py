"""The control of crash and power: the same server, asked not to wait for the disk, must lose what it acknowledged.

It writes to a table of its own, since the ledger refuses such a server.
"""

from collections.abc import Callable
from contextlib import suppress
from uuid import UUID, uuid4

import psycopg

from cli.output import Unreachable
from cli.postgres import EmbeddedPostgres
from soak.place import DATABASE

ROWS = 400


def write(running: EmbeddedPostgres, *, synchronous_commit: str = "on", rows: int = ROWS) -> set[UUID]:
    """Insert rows one by one and return those that were acknowledged."""
    acknowledged: set[UUID] = set()
    with psycopg.connect(running.dsn(DATABASE), autocommit=True) as session:
        session.execute("DROP TABLE IF EXISTS control; CREATE TABLE control (id uuid PRIMARY KEY)")
        session.execute("CHECKPOINT")
        session.execute("SELECT set_config('synchronous_commit', %s, false)", [synchronous_commit])
        for _ in range(rows):
            number = uuid4()
            session.execute("INSERT INTO control VALUES (%s)", [number])
            acknowledged.add(number)
    return acknowledged


def lost(running: EmbeddedPostgres, acknowledged: set[UUID], interrupt: Callable[[], None]) -> int:
    """Interrupt the server, bring it back, and count what it acknowledged and does not have; all, if it stays down."""
    interrupt()
    with suppress(Unreachable, psycopg.Error):
        running.start()
        with psycopg.connect(running.dsn(DATABASE)) as session:
            there = {row[0] for row in session.execute("SELECT id FROM control")}
        return len(acknowledged - there)
    return len(acknowledged)
