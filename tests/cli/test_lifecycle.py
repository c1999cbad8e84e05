"""A whole node on this machine: up, seen, killed, back again, and down, by root and by an ordinary user."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from cli.processes import find, server_account, until
from cli.settings import Settings, load
from cli.supervisor import database_url, running, state_of, worker_process
from tests.cli.another_user import run_as

KINDS = ("seal", "project", "exchange", "follow")
WAIT_S = 240

pytestmark = pytest.mark.xdist_group("whole nodes")  # one at a time: each is seven processes


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NCEN_")}
    return {**kept, "NCEN_HOME": str(home)}


def ncen(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
        env=environment(home),
    )


def facts_of(home: Path) -> dict[str, Any]:
    return dict(json.loads(ncen(home, "status", "--json").stdout))


@pytest.fixture
def home(open_folder: Path) -> Iterator[Path]:
    folder = open_folder / "home"
    yield folder
    done = ncen(folder, "down")
    assert done.returncode == 0, done.stderr


def pids(settings: Settings) -> dict[str, int]:
    return {kind: process.pid for kind in KINDS if (process := worker_process(settings, kind)) is not None}


def test_a_node_comes_up_is_seen_and_goes_down(home: Path) -> None:
    first = ncen(home, "up", "--node", "FR", "--json")
    assert first.returncode == 0, first.stderr
    facts = json.loads(first.stdout)
    assert (facts["node"], facts["sealed"], facts["nats"]["wanted"]) == ("FR", 0, False)
    assert all(worker["running"] for worker in facts["workers"])
    settings = load(home=home)
    before = pids(settings)
    assert ncen(home, "up").returncode == 0
    assert pids(settings) == before
    assert ncen(home, "status").returncode == 0
    wrong = ncen(home, "up", "--node", "DE")
    assert wrong.returncode == 2
    assert "This home's node is FR" in wrong.stderr
    assert ncen(home, "down").stdout == "The node is down.\n"
    assert ncen(home, "down").stdout == "The node was not running.\n"
    assert ncen(home, "status").returncode == 4
    assert not any(find(pid) for pid in before.values())


def test_two_calls_at_once_start_one_node(home: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "up", "--json"]
    calls = [
        subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(2)
    ]
    answers = [json.loads(call.communicate(timeout=WAIT_S)[0]) for call in calls]
    assert [call.returncode for call in calls] == [0, 0]
    assert answers[0]["supervisor"]["pid"] == answers[1]["supervisor"]["pid"]


def test_everything_that_is_killed_comes_back_with_nothing_lost(home: Path) -> None:
    assert ncen(home, "up", "--nats", "always").returncode == 0
    settings = load(home=home)
    with psycopg.connect(database_url(settings)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 100) AS a")
    before = pids(settings)
    supervisor = running(settings)
    assert supervisor is not None
    postgres = int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    for pid in (postgres, *before.values()):
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: facts_of(home)["postgres"]["running"], wait_s=60)
    assert until(
        lambda: len(pids(settings)) == len(KINDS) and not set(pids(settings).values()) & set(before.values()), wait_s=90
    )
    assert facts_of(home)["nats"]["running"]
    supervisor.kill()
    assert until(lambda: running(settings) is None, wait_s=20)
    assert ncen(home, "status").returncode == 4
    assert ncen(home, "up").returncode == 0
    assert len(pids(settings)) == len(KINDS)
    with psycopg.connect(database_url(settings)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (100,)


def test_down_cleans_up_after_a_killed_supervisor(home: Path) -> None:
    assert ncen(home, "up").returncode == 0
    settings = load(home=home)
    orphans = pids(settings)
    supervisor = running(settings)
    assert supervisor is not None
    supervisor.kill()
    assert ncen(home, "down").stdout == "The node is down.\n"
    assert not any(find(pid) for pid in orphans.values())
    assert not facts_of(home)["postgres"]["running"]


def test_in_the_foreground_it_stays_until_asked_to_stop(home: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "up", "--foreground"]
    node = subprocess.Popen(command, env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    settings = load(home=home)
    assert until(lambda: state_of(settings).get("state") == "ready", wait_s=120)
    assert ncen(home, "up").returncode == 0
    node.terminate()
    _, said = node.communicate(timeout=60)
    assert node.returncode == 0
    assert any(json.loads(line)["event"] == "node is up" for line in said.splitlines() if line.startswith(b"{"))


def test_a_server_that_exists_is_used_and_none_is_started(home: Path, database_url: str) -> None:
    words = [sys.executable, "-m", "cli.main"]
    variables = {**environment(home), "NCEN_DATABASE_URL": database_url, "NCEN_NATS_URL": "nats://127.0.0.1:1"}
    up = subprocess.run(
        [*words, "up", "--json"], capture_output=True, text=True, check=False, env=variables, timeout=WAIT_S
    )
    assert up.returncode == 0, up.stdout + up.stderr
    facts = json.loads(up.stdout)
    assert (facts["postgres"]["own"], facts["nats"]["own"]) == (False, False)
    assert facts["postgres"]["running"]
    assert all(worker["running"] for worker in facts["workers"])
    assert not (home / "postgres").exists()
    assert not (home / "nats").exists()
    subprocess.run([*words, "down"], check=True, env=variables, capture_output=True, timeout=WAIT_S)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_an_ordinary_user_runs_a_node_too(open_folder: Path) -> None:
    account = server_account()
    home = open_folder / "theirs"
    home.mkdir(mode=0o700)
    account.give(home)
    try:
        up = run_as(account.name, home, "-m", "cli.main", "up", "--json", NCEN_HOME=str(home))
        assert up.returncode == 0, up.stderr
        assert psutil.Process(json.loads(up.stdout)["supervisor"]["pid"]).username() == account.name
        assert run_as(account.name, home, "-m", "cli.main", "status", NCEN_HOME=str(home)).returncode == 0
    finally:
        down = run_as(account.name, home, "-m", "cli.main", "down", NCEN_HOME=str(home))
    assert down.stdout == "The node is down.\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_the_home_of_another_user_is_named(open_folder: Path) -> None:
    home = open_folder / "mine"
    home.mkdir(mode=0o700)
    done = run_as("nobody", Path("/"), "-m", "cli.main", "status", NCEN_HOME=str(home))
    assert done.returncode == 2
    assert "belongs to another user" in done.stderr
