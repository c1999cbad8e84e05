"""The node's own NATS: it syncs always or does not start, keeps its port, and lets nobody in without an account."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import nats
import nats.errors
import psutil
import pytest

from cli import nats_server
from cli.nats_server import EmbeddedNats
from cli.output import Unreachable
from cli.processes import until
from tests.conftest import START_WAIT_S


@pytest.fixture
def server(open_folder: Path) -> Iterator[EmbeddedNats]:
    own = EmbeddedNats(open_folder / "nats", wait_s=START_WAIT_S)
    own.start()
    yield own
    own.stop()


async def _publish(url: str, *, is_first: bool) -> int:
    client = await nats.connect(url, max_reconnect_attempts=0)
    try:
        stream = client.jetstream()
        if is_first:
            await stream.add_stream(name="OUT", subjects=["out"])
        return int((await stream.publish("out", b"kept")).seq)
    finally:
        await client.close()


def publish(server: EmbeddedNats, *, is_first: bool = False) -> int:
    return asyncio.run(_publish(server.url, is_first=is_first))


def greeting(server: EmbeddedNats, options: dict[str, object]) -> bytes:
    """Speak the first words of the protocol by hand and return what the server says to them."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.recv(4096)
        line.sendall(b"CONNECT " + json.dumps({"verbose": False, **options}).encode() + b"\r\nPING\r\n")
        return line.recv(4096)


def test_what_was_acknowledged_survives_kill_9_and_the_port_stays(server: EmbeddedNats) -> None:
    assert publish(server, is_first=True) == 1
    port, pid = server.port, server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: server.pid is None, wait_s=10)
    assert not server.is_running()
    server.start()
    assert server.port == port
    assert publish(server) == 2


def test_it_says_over_its_monitoring_page_that_it_syncs_always(server: EmbeddedNats) -> None:
    assert server.syncs_always()


def test_one_that_would_not_sync_is_stopped_and_refused(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    careless = nats_server.CONFIGURATION.replace("  sync_interval: always\n", "")
    monkeypatch.setattr(nats_server, "CONFIGURATION", careless)
    own = EmbeddedNats(open_folder / "nats", wait_s=START_WAIT_S)
    with pytest.raises(Unreachable, match="before it has synced"):
        own.start()
    assert not own.is_running()


def test_nobody_comes_in_without_the_password(server: EmbeddedNats) -> None:
    assert b"Authorization Violation" in greeting(server, {})
    assert b"Authorization Violation" in greeting(server, {"user": "node", "pass": "guess"})
    assert b"PONG" in greeting(server, {"user": "node", "pass": server.node_password})
    assert (server.folder / "node.password").stat().st_mode & 0o077 == 0
    assert (server.folder / "accounts.conf").stat().st_mode & 0o077 == 0
    assert server.node_password not in " ".join(psutil.Process(server.pid).cmdline())


def test_new_accounts_come_into_force_without_a_restart_and_wrong_ones_not_at_all(server: EmbeddedNats) -> None:
    pid = server.pid
    peer = "  PEER { users: [ { user: fr, password: secret } ] }\n}\n"
    accounts = (server.folder / "accounts.conf").read_text().rstrip().removesuffix("}") + peer
    server.write_accounts(accounts)
    server.reload()
    assert server.pid == pid
    assert b"PONG" in greeting(server, {"user": "fr", "pass": "secret"})
    with pytest.raises(Unreachable, match="does not accept these accounts"):
        server.write_accounts("accounts {")
    assert (server.folder / "accounts.conf").read_text() == accounts
    server.reload()
    assert b"PONG" in greeting(server, {"user": "fr", "pass": "secret"})


def test_a_taken_port_is_left_for_another_unless_it_was_asked_for(server: EmbeddedNats, open_folder: Path) -> None:
    port = server.port
    server.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        server.start()
        assert server.port != port
        server.stop()
        asked = EmbeddedNats(open_folder / "nats", port=port, wait_s=START_WAIT_S)
        with pytest.raises(Unreachable, match=f"Port {port} on 127.0.0.1 is taken"):
            asked.start()
    asked.start()
    assert asked.port == port
    asked.stop()


def test_two_handles_of_one_folder_are_one_server(server: EmbeddedNats) -> None:
    second = EmbeddedNats(server.folder, wait_s=START_WAIT_S)
    second.start()
    assert second.pid == server.pid
    assert second.url == server.url
    second.stop()
    assert not server.is_running()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_root_runs_it_as_a_system_user(server: EmbeddedNats) -> None:
    assert psutil.Process(server.pid).username() == "ncen"
