"""A node of the demonstration: a home of its own, started, asked and stopped by the `ncen` command like any other.

What a person would type is typed here too (`ncen up`, `ncen peer add`, `ncen verify`), so that the demonstration shows
the program and not a likeness of it. Only the bulk of commands goes straight to the ledger.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from cli.output import Failure
from cli.settings import Settings, load
from cli.supervisor import database_url
from ledger.ledger import Ledger

WAIT_S = 300.0


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One administration of the demonstration (or the CEN's sink) and where its things lie."""

    code: str
    name: str
    role: str
    home: Path

    @property
    def settings(self) -> Settings:
        """The node's settings, as `ncen up` wrote them."""
        return load(home=self.home)

    @property
    def database_url(self) -> str:
        """Where its database is."""
        return database_url(self.settings)

    def ncen(self, *words: str, user: str = "administrator-01", who: str | None = None) -> Any:  # noqa: ANN401  # whatever the verb prints as JSON
        """Say `ncen WORDS --json` in this home, as `user` or as `who` is signed in, and return what it printed.

        Raises:
            Failure: the verb failed; the sentence is its own.
        """
        done = self.run("--json", *(("--as", user) if who is None else ()), *words, who=who)
        try:
            answer = msgspec.json.decode(done.stdout) if done.stdout.strip() else None
        except msgspec.DecodeError:
            answer = None
        if done.returncode and not (isinstance(answer, dict) and "error" not in answer):
            said = answer["error"]["message"] if isinstance(answer, dict) else done.stderr.strip()
            raise Failure(f"{self.code}: `ncen {' '.join(words[:2])}` ended with {done.returncode}: {said}")
        return answer

    def says(self, *words: str, user: str = "auditor-01") -> str:
        """Say `ncen WORDS` in this home and return what a person would read."""
        return self.run("--as", user, *words).stdout.rstrip("\n")

    def run(self, *words: str, who: str | None = None, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Say `ncen WORDS` in this home; `who` has a folder of their own for the session, `text` is what they type."""
        # What is set for the person's own node must not steer the nodes of the demonstration.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NCEN_")}
        if who is not None:
            environment["XDG_CONFIG_HOME"] = str(self.home / "people" / who)
        return subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-m", "cli.main", "--home", str(self.home), *words],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
            env=environment,
        )

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The node's ledger."""
        with Ledger.open(self.database_url, node=self.code, keys=self.settings.keys) as ledger:
            yield ledger
