"""The primary is lost and a synchronous standby takes over: all that was acknowledged is there."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psutil
import psycopg
import pytest

from cli.postgres import EmbeddedPostgres
from cli.processes import server_account, until
from ledger.ledger import Ledger
from ledger.sessions import connect
from ledger.verify import verify
from projections.asking import NotReady
from projections.search import search
from soak.place import DATABASE, SMALL, folder, kill, server
from soak.sealing import seal_all
from tests.ledger.samples import OFFICER, seizure
from tests.projections.conftest import Node
from tests.projections.invented import named

NODE = "NL"

pytestmark = pytest.mark.xdist_group("faults")


@pytest.fixture
def pair() -> Iterator[tuple[EmbeddedPostgres, EmbeddedPostgres]]:
    """A primary, and a standby that follows it."""
    with folder(in_memory=True) as home, server(home / "one") as primary:
        follower = home / "two" / "postgres"
        follower.mkdir(parents=True)
        for path in (home / "two", follower):
            path.chmod(0o711)
        data = follower / "data"
        program = str(primary.program("pg_basebackup"))
        copying = [program, "-D", str(data), "-R", "-c", "fast", "--no-sync"]
        wanted = f"{primary.dsn('replication')} application_name=standby"
        subprocess.run([*copying, "-d", wanted], check=True, capture_output=True, timeout=120)
        account = server_account()
        for path in (data, *data.rglob("*")):
            account.give(path)
        standby = EmbeddedPostgres(follower, settings={**SMALL, "hot_standby": "on"})
        standby.start()
        try:
            yield primary, standby
        finally:
            kill(standby)
            kill(primary)


def follows(primary: EmbeddedPostgres, how: str) -> bool:
    with psycopg.connect(primary.dsn()) as session:
        return session.execute("SELECT sync_state FROM pg_stat_replication").fetchone() == (how,)


def be_synchronous(primary: EmbeddedPostgres) -> None:
    with psycopg.connect(primary.dsn(), autocommit=True) as session:
        session.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        session.execute("SELECT pg_reload_conf()")
    assert until(lambda: follows(primary, "sync"), wait_s=30)


def promote(standby: EmbeddedPostgres) -> None:
    with psycopg.connect(standby.dsn(), autocommit=True) as session:
        assert session.execute("SELECT pg_promote(true, 60)").fetchone() == (True,)


def recorded(url: str) -> set[UUID]:
    with connect(url) as session:
        return {row[0] for row in session.execute("SELECT DISTINCT record_id FROM ledger.entry")}


def test_a_synchronous_standby_has_all_that_was_acknowledged_when_the_primary_is_lost(
    pair: tuple[EmbeddedPostgres, EmbeddedPostgres], tmp_path: Path
) -> None:
    primary, standby = pair
    url, keys = primary.dsn(DATABASE), tmp_path / "keys"
    be_synchronous(primary)
    acknowledged: set[UUID] = set()
    stop = threading.Event()
    with Ledger.open(url, node=NODE, keys=keys) as ledger:

        def write() -> None:
            while not stop.is_set():
                with contextlib.suppress(psycopg.Error):
                    acknowledged.add(ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id)

        writers = [threading.Thread(target=write) for _ in range(3)]
        for writer in writers:
            writer.start()
        assert until(lambda: len(acknowledged) > 60, wait_s=60)
        kill(primary)
        stop.set()
        for writer in writers:
            writer.join(60)
    promote(standby)
    here = standby.dsn(DATABASE)
    assert acknowledged <= recorded(here)
    with Ledger.open(here, node=NODE, keys=keys) as ledger, connect(here) as session:
        ledger.execute(ledger.new_id(), seizure(), OFFICER)
        seal_all(session)
    verdict = verify(here, keys=keys)
    assert (verdict.faults, verdict.unsealed) == ((), 0)
    assert verdict.entries > len(acknowledged)


def test_a_promoted_standby_has_no_read_model_and_builds_it(
    pair: tuple[EmbeddedPostgres, EmbeddedPostgres], tmp_path: Path
) -> None:
    primary, standby = pair
    be_synchronous(primary)
    node = Node(primary.dsn(DATABASE), tmp_path / "keys")
    node.do(named("Xaverius Quackenbosch"))
    node.project()
    before = node.dump()
    node.ledger.close()
    here = standby.dsn(DATABASE)

    def found() -> int:
        with psycopg.connect(here, autocommit=True) as session:
            return len(search(session, kind="person", name="Xaverius Quackenbosch").hits)

    def refusal() -> str:
        with pytest.raises(NotReady) as raised:
            found()
        return str(raised.value)

    assert until(lambda: "is a standby" in refusal(), wait_s=30), "once it has heard of the tables"
    kill(primary)
    promote(standby)
    with pytest.raises(NotReady, match="position 0 of 2"):
        found()
    heir = Node(here, tmp_path / "keys")
    heir.project()
    assert heir.dump() == before
    assert found() == 1
    heir.ledger.close()


def test_control_an_asynchronous_standby_that_lags_loses(
    pair: tuple[EmbeddedPostgres, EmbeddedPostgres], tmp_path: Path
) -> None:
    primary, standby = pair
    assert until(lambda: follows(primary, "async"), wait_s=30)
    assert standby.pid is not None
    receivers = [
        child for child in psutil.Process(standby.pid).children() if "walreceiver" in " ".join(child.cmdline())
    ]
    with Ledger.open(primary.dsn(DATABASE), node=NODE, keys=tmp_path / "keys") as ledger:
        before = {ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id for _ in range(5)}
        assert until(lambda: before <= _here(standby), wait_s=30)
        for receiver in receivers:
            receiver.suspend()
        acknowledged = {ledger.execute(ledger.new_id(), seizure(), OFFICER).record_id for _ in range(20)}
        kill(primary)
    for receiver in receivers:
        receiver.kill()
    assert until(lambda: _answers(standby), wait_s=60)
    promote(standby)
    assert acknowledged - recorded(standby.dsn(DATABASE)), "what only the primary had is lost"


def _here(standby: EmbeddedPostgres) -> set[UUID]:
    with contextlib.suppress(psycopg.Error):
        return recorded(standby.dsn(DATABASE))
    return set()


def _answers(standby: EmbeddedPostgres) -> bool:
    with contextlib.suppress(psycopg.Error), psycopg.connect(standby.dsn()):
        return True
    return False
