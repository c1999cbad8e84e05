"""A closed node for the tests: users with passwords, each with a configuration folder of their own, who sign in."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from cli.output import ExitCode
from tests.cli.node import Inside

PASSWORD = "correct horse 7 battery"


class Closed(Inside):
    """A node whose users sign in; `as_` gives a node as one of them sees it."""

    def __init__(self, home: Path, database_url: str, *, user: str | None = None, code: str = "XA") -> None:
        """Nobody is named by the environment; the session of `who` lies in a folder of theirs."""
        super().__init__(home, database_url, user=user, code=code)
        self.who = "nobody"
        self.token: str | None = None

    def environment(self, user: str | None) -> dict[str, str]:
        """The environment of a line, with the caller's own configuration folder."""
        own = {"XDG_CONFIG_HOME": str(self.home / "config" / self.who)}
        return super().environment(user) | own | ({"NCEN_TOKEN": self.token} if self.token else {})

    def as_(self, who: str, *, token: str | None = None) -> "Closed":
        """The same node, called by somebody else."""
        other = Closed(self.home, self.database_url, user=self.user, code=self.code)
        other.who, other.token = who, token
        return other

    def begun(self) -> "Closed":
        """Close the node: the administrator `boss` is made and signs in."""
        told = self.tells("user", "add", "boss", "--role", "administrator")
        assert told["closed_the_node"]
        return self.enrolled("boss", told["enrolment_code"])

    def enrolled(self, who: str, code: str, password: str = PASSWORD) -> "Closed":
        """Sign somebody in for the first time, with the code they were given."""
        them = self.as_(who)
        them.does("login", who, "--enrol", text=f"{code}\n{password}\n")
        return them

    def with_user(self, who: str, *roles: str, office: str | None = None) -> "Closed":
        """Let `boss` put somebody on record, who then signs in."""
        words = [word for role in roles for word in ("--role", role)] + (["--office", office] if office else [])
        told = self.as_("boss").tells("user", "add", who, *words)
        return self.enrolled(who, told["enrolment_code"])

    def is_let(self, words: Sequence[str]) -> bool:
        """Whether a line gets past the gate: whatever else it ends with, it is not for lack of right."""
        with patch.dict(os.environ):
            done = self.run(*words)
        is_stopped = "is not for the role" in done.stderr or "`ncen login USER`" in done.stderr
        return not (is_stopped and done.returncode == ExitCode.NOT_ALLOWED)


def code_in(text: str) -> str:
    """The enrolment code in what a person is told."""
    found = re.search(r"[A-Z2-9]{5}(-[A-Z2-9]{5}){3}", text)
    assert found is not None
    return found[0]
