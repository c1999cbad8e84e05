"""The supervisor keeps what it started alive, stops all of it, and cleans up after one that was killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.output import Unreachable
from cli.processes import Held, find, held, holder, until
from cli.settings import Settings, load
from cli.supervisor import ask_for_nats, nats_of, nats_url, running, state_of, stop_leftovers, worker_process
from exchange import peers, renewing
from exchange.accounts import account_of
from exchange.nkey import login_key, public_text
from exchange.peers import Identity
from ledger.card_keys import Kind, Why

SUPERVISE = """
import sys
from cli.settings import load
from cli.supervisor import Supervisor
script = sys.argv[1]
commands = {kind: (sys.executable, "-c", script, "work", kind) for kind in ("seal", "exchange")}
sys.exit(int(Supervisor(load(), commands).run()))
"""
WORK = """
import signal, sys, threading
from cli.processes import held
from cli.settings import load
from cli.supervisor import worker_pid_file
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
with held(worker_pid_file(load(), sys.argv[2])):
    stop.wait(300)
"""
DIE = "import sys; sys.exit(3)"


class Node:
    """A home with a supervisor of two invented workers, over the database of the test."""

    def __init__(self, home: Path, database_url: str, **variables: str) -> None:
        """Make the home."""
        self.variables = {"NCEN_HOME": str(home), "NCEN_DATABASE_URL": database_url, "NCEN_NATS": "never", **variables}
        self.settings: Settings = load(home=home, database_url=database_url, nats=self.variables["NCEN_NATS"])
        self.settings.make_folders()
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, script: str = WORK) -> "subprocess.Popen[bytes]":
        """Start a supervisor."""
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, script, "cli.supervisor"], env={**os.environ, **self.variables}
        )
        self.processes.append(process)
        return process

    def waits_for(self, state: str) -> dict[str, Any]:
        """Wait until the supervisor writes this of itself."""
        assert until(lambda: state_of(self.settings).get("state") == state, wait_s=60), state_of(self.settings)
        return state_of(self.settings)

    def pid_of(self, kind: str) -> int:
        """Return the id of the live worker, 0 when there is none."""
        process = worker_process(self.settings, kind)
        return 0 if process is None else int(process.pid)

    def events(self) -> list[str]:
        """Return what the supervisor has logged."""
        lines = (self.settings.log / "supervisor.log").read_text().splitlines()
        return [json.loads(line)["event"] for line in lines]


@pytest.fixture
def node(open_folder: Path, database_url: str) -> Iterator[Node]:
    made = Node(open_folder / "home", database_url)
    yield made
    _end(made)


def _end(node: Node) -> None:
    for process in node.processes:
        process.kill()
        process.wait(20)
    stop_leftovers(node.settings)
    server = nats_of(node.settings)
    if server is not None:
        server.stop()


def test_it_stops_all_when_it_is_asked_to(node: Node) -> None:
    supervisor = node.start()
    state = node.waits_for("ready")
    pids = [node.pid_of("seal"), node.pid_of("exchange")]
    assert all(pids)
    assert state["workers"]["seal"] == {"pid": pids[0], "restarts": 0}
    assert running(node.settings).pid == supervisor.pid  # type: ignore[union-attr]  # None fails the test as well
    supervisor.terminate()
    assert supervisor.wait(30) == 0
    assert node.waits_for("stopped")
    assert not any(find(pid) for pid in pids)
    assert running(node.settings) is None


def test_a_killed_worker_comes_back(node: Node) -> None:
    node.start()
    node.waits_for("ready")
    for _ in range(2):
        pid = node.pid_of("seal")
        other = node.pid_of("exchange")
        os.kill(pid, signal.SIGKILL)
        assert until(lambda pid=pid: node.pid_of("seal") not in {0, pid}, wait_s=20)  # type: ignore[misc]  # mypy cannot infer it
        assert node.pid_of("exchange") == other
    assert until(lambda: state_of(node.settings)["workers"]["seal"]["restarts"] == 2, wait_s=5)


def test_what_a_killed_supervisor_left_behind_is_stopped_by_the_next(node: Node) -> None:
    first = node.start()
    node.waits_for("ready")
    orphans = [node.pid_of("seal"), node.pid_of("exchange")]
    first.kill()
    first.wait(20)
    assert all(find(pid) for pid in orphans)
    (node.settings.run / "state.json").unlink()
    node.start()
    node.waits_for("ready")
    assert not any(find(pid) for pid in orphans)
    assert node.pid_of("seal") not in {0, *orphans}
    assert node.events().count("stopped a worker left behind") == 2


def test_a_home_has_one_supervisor(node: Node) -> None:
    first = node.start()
    node.waits_for("ready")
    assert node.start().wait(30) != 0
    assert running(node.settings).pid == first.pid  # type: ignore[union-attr]  # None fails the test as well


def test_a_worker_that_keeps_dying_fails_the_start_with_a_sentence(node: Node) -> None:
    assert node.start(DIE).wait(60) == 4
    state = node.waits_for("failed")
    assert "`ncen work seal` does not stay up" in state["message"] or "`ncen work exchange`" in state["message"]
    assert not node.pid_of("seal")


def test_an_unsafe_server_is_refused(node: Node, database_url: str) -> None:
    node.variables["NCEN_DATABASE_URL"] = f"{database_url} options='-c synchronous_commit=off'"
    assert node.start().wait(60) == 4
    assert "synchronous_commit" in node.waits_for("failed")["message"]


def test_nats_is_started_when_the_first_peer_comes(open_folder: Path, database_url: str) -> None:
    node = Node(open_folder, database_url, NCEN_NATS="auto")
    try:
        node.start()
        node.waits_for("ready")
        assert nats_url(node.settings) is None
        exchange = node.pid_of("exchange")
        server = ask_for_nats(node.settings)
        assert server is not None
        assert server.is_running()
        assert nats_url(node.settings) == server.url
        assert until(lambda: node.pid_of("exchange") not in {0, exchange}, wait_s=20)
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: server.is_running() and server.pid != pid, wait_s=20)
        node.processes[0].terminate()
        assert node.processes[0].wait(60) == 0
        assert not server.is_running()
    finally:
        _end(node)


def test_logins_follow_a_key_also_when_the_verb_that_replaced_it_was_killed(
    open_folder: Path, database_url: str
) -> None:
    node = Node(open_folder, database_url, NCEN_NATS="auto")
    settings = node.settings

    def own() -> Identity:
        return Identity.open(settings.keys, node=settings.node)

    def login() -> str:
        return public_text(login_key(own().signing_key, account_of("ZZ")).public_key())

    try:
        node.start()
        node.waits_for("ready")
        peers.add(database_url, own(), Identity.open(open_folder / "zz", node="ZZ").card())
        server = ask_for_nats(settings)
        assert server is not None

        def accounts() -> str:
            return (server._place() / "accounts.conf").read_text()

        before = login()
        assert before in accounts()
        for kind in Kind:
            shown = accounts()
            renewing.replace(settings.keys, settings.node, kind, Why.ROTATED, size=0)  # and no more
            assert until(lambda: accounts() != shown, wait_s=30)  # noqa: B023  # at once
            assert login() in accounts()
        assert before not in accounts()
    finally:
        _end(node)


def test_a_process_that_only_has_the_number_of_a_worker_is_left_alone(node: Node) -> None:
    path = node.settings.run / "work-seal.pid"
    path.write_text(f"{os.getpid()}\n")
    assert holder(path) is None
    assert worker_process(node.settings, "seal") is None
    with held(path):
        assert holder(path) == os.getpid()
        assert worker_process(node.settings, "seal") is None
        with pytest.raises(Held), held(path):
            pass
    assert find(os.getpid(), words=("no such word",)) is None


def test_a_lock_held_by_a_stranger_is_told_and_not_broken(node: Node) -> None:
    with held(node.settings.run / "supervisor.pid"), pytest.raises(Unreachable, match="cannot be reached from here"):
        running(node.settings)
