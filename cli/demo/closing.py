"""The last act of the demonstration: a nation closes its node, and everybody sees no more than their office asks for.

Told by the verbs themselves, each typed by the one who is signed in: who is refused, who looks and why, who breaks the
glass, who reviews it; proof for somebody who has nothing but a file; and an erasure that reaches the other nation.
"""

import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from cli.demo.node import Node
from cli.demo.wares import AURIA
from ledger.sessions import connect

CONFIRMED_WITHIN_S = 60.0
MOST_LINES, WIDE = 14, 150
OFFICER, STRANGER, PROTECTOR = "anna", "otto", "dora"
ROLES = {OFFICER: "officer", STRANGER: "officer", PROTECTOR: "data-protection-officer"}
WATCH = ("--because", "own-case", "--reference", "CASE-2025-17")
ALERT = ("--break-glass", "--because", "threat-to-life", "--reference", "ALERT-9")


PARTS = b"""
    SELECT party, (array_agg(seizure ORDER BY seizure))[1], (array_agg(office ORDER BY seizure))[1], array_agg(office)
    FROM (
        SELECT p.party, s.record_id AS seizure, s.office FROM read.party p JOIN read.seizure s USING (record_id)
        WHERE s.until_position IS NULL
        UNION ALL
        SELECT p.party, NULL, o.office FROM read.party p JOIN read.offence o USING (record_id)
        WHERE o.until_position IS NULL
    ) AS part
    WHERE party = ANY (%s) GROUP BY party
    HAVING count(seizure) > 0 AND count(DISTINCT office) < %s ORDER BY count(DISTINCT office), party LIMIT 1
"""


class Closed(msgspec.Struct, kw_only=True):
    """What came of it: the lines for a person, and the facts for a program."""

    lines: list[str]
    password: str = ""
    refused: bool = False
    reviewed: bool = False
    proven: bool = False
    confirmed_by: list[str] = []


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Of what it tells: a person with a part in a seizure, its office, and an office that has nothing of them."""

    person: str
    seizure: str
    office: str
    elsewhere: str


class Act:
    """A nation's node while it is closed, with what is typed there and what it answers."""

    def __init__(self, node: Node, case: Case) -> None:
        """Tell of this case."""
        self._node = node
        self.case = case
        self.closed = Closed(lines=[], password=secrets.token_urlsafe(12))

    def types(self, who: str, *words: str, most: int = MOST_LINES) -> int:
        """Let somebody type a verb, and note what they see; return how it ended."""
        done = self._node.run(*words, who=who)
        self.closed.lines.append(f"\n{who}@{self._node.code}$ ncen {' '.join(words)}")
        answer = (done.stdout + done.stderr).splitlines()
        self.closed.lines += [line if len(line) <= WIDE else f"{line[:WIDE]} …" for line in answer[:most]]
        if len(answer) > most:
            self.closed.lines.append(f"… and {len(answer) - most} lines more.")
        return done.returncode

    def told(self, who: str, *words: str) -> Any:  # noqa: ANN401  # whatever the verb prints as JSON
        """What a verb answers to a program."""
        return self._node.ncen(*words, who=who)

    def prints(self, who: str, *words: str) -> str:
        """What a verb prints for a person or a file."""
        return self._node.run(*words, who=who).stdout

    def says(self, *lines: str) -> None:
        """Say something between."""
        self.closed.lines += ["", *lines]

    def let_in(self, who: str, by: str, *words: str) -> None:
        """Put somebody on record and let them sign in for the first time."""
        code = self.told(by, "user", "add", who, *words)["enrolment_code"]
        done = self._node.run("login", who, "--enrol", who=who, text=f"{code}\n{self.closed.password}\n")
        self.closed.lines.append(done.stdout.strip() or done.stderr.strip())


def close(home: Node, other: Node) -> Closed:
    """Close a node and show what that means, with a person whom the other nation knows too; without one, nothing."""
    case = _case(home, other)
    if case is None:
        return Closed(lines=[])
    act = Act(home, case)
    _let_everybody_in(act)
    act.closed.refused = act.types(STRANGER, "person", "show", case.person) != 0
    act.says("Who works at the office of the case sees who has a part in it, and says why.")
    act.types(OFFICER, "person", "show", case.person, *WATCH)
    act.says("Where it cannot wait, the glass is broken. It opens, and somebody else reviews it.")
    act.types(STRANGER, "person", "show", case.person, *ALERT, most=4)
    _review(act)
    _prove(act, home.home / "evidence")
    _erase(act, other)
    return act.closed


def _case(home: Node, other: Node) -> Case | None:
    """A person with a part in cases of some offices and not of all, whom the other nation has been told of."""
    with connect(other.database_url) as session:
        known = [one for (one,) in session.execute("SELECT record_id FROM read.person WHERE node = %s", [home.code])]
    with connect(home.database_url) as session:
        row = session.execute(PARTS, [known, len(AURIA.offices)]).fetchone()
    if row is None:
        return None
    person, seizure, office, theirs = row
    elsewhere = next(code for code, _ in AURIA.offices if code not in theirs)
    return Case(person=str(person), seizure=str(seizure), office=office, elsewhere=elsewhere)


def _let_everybody_in(act: Act) -> None:
    act.says(
        "No node has a default password: the first administrator is made here, closes the node, and lets others in.",
        "Each sets a password with a code that serves once.",
    )
    act.let_in("boss", "boss", "--role", "administrator")
    for who, role in ROLES.items():
        office = {OFFICER: ("--office", act.case.office), STRANGER: ("--office", act.case.elsewhere)}.get(who, ())
        act.let_in(who, "boss", "--role", role, *office)


def _review(act: Act) -> None:
    waiting = act.told(PROTECTOR, "log", "review")
    act.types(PROTECTOR, "log", "review", waiting["lines"][0]["ticket"], "--finding", "justified")
    act.closed.reviewed = not act.told(PROTECTOR, "log", "review")["lines"]
    act.types(PROTECTOR, "log", "who-saw", act.case.person)


def _prove(act: Act, folder: Path) -> None:
    """Make a bundle, and check it as somebody would who has that file, the verifier and Python."""
    act.says("A bundle of evidence is checked by one file, on a machine that has nothing of ncen.")
    folder.mkdir(mode=0o700)
    bundle, verifier = folder / "bundle.json", folder / "verify_evidence.py"
    act.types(PROTECTOR, "evidence", "make", act.case.seizure, "--output", str(bundle))
    verifier.write_text(act.prints(PROTECTOR, "evidence", "verifier"))
    done = subprocess.run(  # noqa: S603  # the verifier that we have just written
        [sys.executable, "-I", verifier.name, bundle.name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    act.says(
        "elsewhere$ python verify_evidence.py bundle.json",
        *(line[:WIDE] for line in done.stdout.splitlines()[:MOST_LINES]),
    )
    act.closed.proven = done.returncode == 0


def _erase(act: Act, other: Node) -> None:
    act.says("At the request of the person everything about them is erased, here and wherever it was sent.")
    act.types(PROTECTOR, "person", "erase", act.case.person, "--grounds", "subject-request")
    deadline = time.monotonic() + CONFIRMED_WITHIN_S
    while other.code not in act.closed.confirmed_by and time.monotonic() < deadline:
        time.sleep(0.5)
        told = act.told(PROTECTOR, "person", "show", act.case.person)
        act.closed.confirmed_by = [
            answer["peer"] for one in told["erasures"] for answer in one.get("peers", []) if answer["confirmed_at"]
        ]
    act.types(PROTECTOR, "person", "show", act.case.person)
    act.types(OFFICER, "person", "show", act.case.person)
