"""A node for the tests of the verbs: a fresh database, workers in this process, and the real command as a subprocess.

The command is given a database that exists (NCEN_DATABASE_URL) and a home of its own; it runs exactly as a person runs
it. The workers are the node's own code, in threads.
"""

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cli.main import main
from cli.output import ExitCode
from ledger import sealer
from ledger.schema import prepare
from projections import projector

WAIT_S = "20"  # on a busy machine; a verb waits no longer than it must


class Ncen:
    """Runs `ncen` for one home and database."""

    def __init__(self, home: Path, database_url: str, *, user: str | None = "officer-01", code: str = "XA") -> None:
        """Take note of where the node lies, what it is called and who acts."""
        self.home = home
        self.code = code
        self.database_url = database_url
        self.user = user

    def run(self, *words: str, user: str | None = None, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run one line, as `user` (or as whoever acts usually), with `text` on standard input."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *words],
            env=self.environment(user),
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def environment(self, user: str | None) -> dict[str, str]:
        """The environment of a line: ours, without what could name another node."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NCEN_", "PG"))}
        told = {"NCEN_HOME": str(self.home), "NCEN_DATABASE_URL": self.database_url, "NCEN_NODE": self.code}
        actor = user or self.user
        return kept | told | ({"NCEN_USER": actor} if actor else {}) | {"COLUMNS": "80"}

    def does(self, *words: str, user: str | None = None, text: str | None = None) -> str:
        """Run a line that must succeed, and return what it printed."""
        done = self.run(*words, user=user, text=text)
        assert done.returncode == ExitCode.DONE, f"{words}: {done.returncode} {done.stderr}{done.stdout}"
        return done.stdout

    def tells(self, *words: str, user: str | None = None, text: str | None = None) -> Any:  # noqa: ANN401  # JSON
        """Run a line that must succeed, and return what it told as JSON."""
        return json.loads(self.does(*words, "--json", user=user, text=text))

    def fails(self, code: ExitCode, *words: str, user: str | None = None, text: str | None = None) -> str:
        """Run a line that must end with this code, and return the sentence it said."""
        done = self.run(*words, user=user, text=text)
        assert done.returncode == code, f"{words}: {done.returncode} {done.stderr}{done.stdout}"
        assert not done.stdout, "an error is told on stderr"
        assert "Traceback" not in done.stderr
        return done.stderr


class Inside(Ncen):
    """Runs the lines in this process: the same code from the same words, without the start of a command."""

    def run(self, *words: str, user: str | None = None, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run one line, as `user` (or as whoever acts usually), with `text` on standard input."""
        told, said, typed = (
            io.StringIO(),
            io.StringIO(),
            io.TextIOWrapper(io.BytesIO((text or "").encode(errors="surrogateescape"))),
        )
        with (
            patch.dict(os.environ, self.environment(user), clear=True),
            patch.object(sys, "stdin", typed),
            redirect_stdout(told),
            redirect_stderr(said),
        ):
            code = main(words)
        return subprocess.CompletedProcess([*words], code, told.getvalue(), said.getvalue())


@contextmanager
def working(database_url: str, keys: Path) -> Iterator[None]:
    """The sealer and the projector at work, in this process."""
    stop = threading.Event()
    workers = [
        threading.Thread(target=sealer.run, args=(database_url,), kwargs={"stop": stop}),
        threading.Thread(target=projector.run, args=(database_url,), kwargs={"keys": keys, "stop": stop}),
    ]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join(30)


@contextmanager
def node(home: Path, database_url: str, *, kind: type[Ncen] = Ncen) -> Iterator[Ncen]:
    """A node called XA, with its workers."""
    prepare(database_url, node="XA")
    keys = home / "keys"
    with working(database_url, keys):
        yield kind(home, database_url)
