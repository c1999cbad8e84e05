"""The worker that keeps the processing log: all is told once and in order, whenever it is killed, by one at a time."""

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from access import following, log_prover
from access.following import lag
from cli.output import ExitCode
from cli.processes import until
from domain.person import RegisterPerson
from ledger.ledger import Asked, Ledger
from ledger.reader import Reader
from tests.access.world import BOSS, World

WORK = """
import sys, threading
from pathlib import Path
from access import following
url, home = sys.argv[1:]
print("begins", flush=True)
following.run(url, node="XA", keys=Path(home) / "keys", folder=Path(home) / "checkpoints", stop=threading.Event())
"""
TOLD = "SELECT position FROM processing.log WHERE position IS NOT NULL ORDER BY number"


def positions(closed: World) -> list[int]:
    with closed.owner() as session:
        return [row[0] for row in session.execute(TOLD).fetchall()]


def personal(closed: World) -> list[int]:
    """The positions that the log must tell of."""
    with Reader.open(closed.database_url, keys=closed.home / "keys") as reader:
        entries = reader.read(0, 10_000)
    return [entry.position for entry in entries if following.operation_of(entry) and entry.position]


def behind(closed: World) -> int:
    with closed.owner() as session:
        found = lag(session)
        assert found is not None
        return found.behind


def wait_until_all_is_sealed(closed: World) -> None:
    """Wait until all that is recorded is before the log, which has followed none of it: two looks then see the same."""
    with closed.owner() as session:
        written = session.execute("SELECT count(*) FROM ledger.entry").fetchone()
    assert until(lambda: (behind(closed),) == written, wait_s=20)


@contextmanager
def worker(closed: World) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-c", WORK, closed.database_url, str(closed.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begins\n"
        try:
            yield child
        finally:
            child.kill()


def put_on_record(closed: World, count: int) -> None:
    with Ledger.open(closed.database_url, node="XA", keys=closed.home / "keys") as ledger:
        asked = [
            Asked(record_id=ledger.new_id(), command=RegisterPerson(), command_id=ledger.new_id()) for _ in range(count)
        ]
        ledger.execute_all(asked, BOSS)


def test_killed_at_any_moment_it_tells_everything_once_and_in_order(closed: World) -> None:
    dice = random.Random(5)
    for _ in range(4):
        put_on_record(closed, 250)
        with worker(closed):
            time.sleep(0.1 + dice.random() * 0.5)  # kill -9 at its end
    with worker(closed), worker(closed):  # two at once: one follows, the other waits
        assert until(lambda: len(positions(closed)) >= 1_000 and behind(closed) == 0, wait_s=60)
        time.sleep(0.5)
        with closed.owner() as session:
            turns = session.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %s AND objid = %s"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                following.TURN,
            ).fetchone()
    assert turns == (1,)
    assert positions(closed) == personal(closed)


class KilledError(Exception):
    """Stands for kill -9."""


class Apart:
    """A session that commits each statement, and dies before it notes how far it has come."""

    def __init__(self, session: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._session = session

    def transaction(self) -> contextlib.nullcontext[None]:
        return contextlib.nullcontext()

    def execute(self, query: str | bytes, given: Sequence[Any] = (), *, prepare: bool = False) -> object:
        raw = query.encode() if isinstance(query, str) else query
        if raw.startswith(b"UPDATE processing.head SET followed"):
            raise KilledError
        return self._session.execute(raw, given, prepare=prepare)


def test_without_the_place_in_the_same_transaction_it_would_tell_twice(closed: World) -> None:
    """The negative control: killed between telling and noting how far it came, if these were two commits."""
    put_on_record(closed, 10)
    wait_until_all_is_sealed(closed)
    with closed.owner() as session, Reader.open(closed.database_url, keys=None) as reader:
        for _ in range(2):
            with pytest.raises(KilledError):
                following.follow(Apart(session), reader)  # type: ignore[arg-type]  # stands for a session
    assert len(positions(closed)) == 2 * len(set(positions(closed)))


def test_it_follows_without_being_asked_and_signs_the_head(closed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_S", 0.2)
    stop = threading.Event()
    told = {"node": "XA", "keys": closed.home / "keys", "folder": closed.home / "checkpoints", "stop": stop}
    thread = threading.Thread(target=following.run, args=(closed.database_url,), kwargs=told)
    thread.start()
    try:
        _, person = closed.case()
        assert until(lambda: behind(closed) == 0 and bool(positions(closed)), wait_s=20)
        prover = log_prover.LogProver.open(closed.home / "keys", node="XA", folder=closed.home / "checkpoints")

        def signed() -> int:
            with closed.owner() as session:
                newest = prover.newest(session).signed
                return newest.size if newest else 0

        closed.as_("anna").does("person", "show", person)
        lines = len(closed.log())
        assert until(lambda: signed() >= lines, wait_s=20)
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


def test_status_tells_how_far_the_log_has_followed_and_how_its_head_stands(closed: World) -> None:
    put_on_record(closed, 3)
    wait_until_all_is_sealed(closed)
    boss = closed.as_("boss")
    told = json.loads(boss.run("status", "--json").stdout)
    assert (told["log"]["lines"], told["log"]["behind"] >= 3, told["log"]["undisclosed"]) == (0, True, 0)
    with closed.owner() as session, Reader.open(closed.database_url, keys=None) as reader:
        following.follow(session, reader)
        prover = log_prover.LogProver.open(closed.home / "keys", node="XA", folder=closed.home / "checkpoints")
        assert prover.look(session) == ()
    told = boss.run("status")
    assert "The processing log has 3 lines" in told.stdout
    assert ": 0 entries and 0 released lines behind." in told.stdout
    assert "Checked the processing log up to position 3 at" in told.stdout
    with closed.owner() as session:
        session.execute("DELETE FROM processing.leaf WHERE number = 2")
        assert prover.look(session, everything=True)
    assert boss.run("status").returncode == ExitCode.NOT_VERIFIED
