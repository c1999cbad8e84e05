"""A rival, where its wheel is installed: UmaDB, an event store that is a server of its own (`pip install umadb`).

Its server is started from the wheel, keeps its file in the bench's folder, and gets the same bytes with the condition
that no event of that record exists yet, which is what our (record, version) key checks.
"""

import contextlib
import importlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.facts import new_id
from bench.library import states
from bench.server import Place
from bench.writing import Shape, Write

START_S = 15


def is_installed() -> bool:
    """Whether the wheel is here; the bench does without it otherwise."""
    return importlib.util.find_spec("umadb") is not None


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Place]:
    """Run its server; the place's `url` is where it listens."""
    port = _free_port()
    command = [sys.executable, "-c", "from umadb.umadb_server_cli import main; main()"]
    command += ["--listen", f"127.0.0.1:{port}", "--db-path", str(folder / "uma.db")]
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": _path()}
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _await(url, server)
        yield Place(url=url, tcp_url=url, folder=str(folder))
    finally:
        server.terminate()
        server.wait(10)


class Uma:
    """A conditional append a command or a batch."""

    def prepare(self, place: Place) -> None:
        """Nothing is to be made beforehand."""

    @contextlib.contextmanager
    def writers(self, place: Place, shape: Shape) -> Iterator[Callable[[], Write]]:
        """Give each thread a client of its own."""
        umadb: Any = importlib.import_module("umadb")
        told = states()

        def make() -> Write:
            client = umadb.Client(place.url)
            number = 0

            def write() -> None:
                nonlocal number
                events, items = [], []
                for _ in range(shape.batch):
                    topic, state = told[number % len(told)]
                    number += 1
                    tag = str(new_id())
                    events.append(umadb.Event(event_type=topic, tags=[tag], data=state))
                    items.append(umadb.QueryItem(tags=[tag]))
                condition = umadb.AppendCondition(fail_if_events_match=umadb.Query(items=items))
                client.append(events, condition=condition)

            return write

        yield make


def _path() -> str:
    return os.pathsep.join(path for path in sys.path if path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(url: str, server: "subprocess.Popen[bytes]") -> None:
    umadb: Any = importlib.import_module("umadb")
    deadline = time.monotonic() + START_S
    while True:
        try:
            umadb.Client(url).head()
        except Exception as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("UmaDB's server does not answer") from error
            time.sleep(0.1)
        else:
            return
