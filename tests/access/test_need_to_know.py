"""Need-to-know: who sees a record whole, its open facts, or nothing; and that what is hidden shows through nowhere.

Two worlds are alike but for a record that somebody may not see; whatever they ask, they get the same answer in both.
"""

import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from access import gate
from cli.output import ExitCode
from domain.attribution import Role
from domain.permissions import SIGHTS
from tests.access.world import ELSEWHERE, HERE, USERS, WAIT, World, asked
from tests.cli.closed import Closed

NOBODY = "0192f3a0-7c1b-7000-8000-000000000001"
WORDS = "hidden behind the dashboard"


def levels(closed: World, record: str) -> dict[str, int]:
    """How far each user sees a record."""
    with closed.reader() as session:
        return {
            user: gate.level(session, closed.secrets[user], role, UUID(record)) for user, (role, _) in USERS.items()
        }


def test_each_role_sees_a_case_and_its_person_as_far_as_its_office_goes(closed: World) -> None:
    seizure, person = closed.case("anna", office=HERE)
    case = levels(closed, seizure)
    whole = {"anna", "olaf", "sofia", "dora", "udo", "cora"}
    assert {user for user, level in case.items() if level == 2} == whole
    assert {user for user, level in case.items() if level == 1} == {"otto", "ivan", "ada", "boss"}
    of_person = levels(closed, person)
    assert {user for user, level in of_person.items() if level == 2} == whole
    assert {user for user, level in of_person.items() if level == 0} == {"otto", "ivan", "ada", "boss"}
    assert {SIGHTS[USERS[user][0]].scope for user in ("boss",)} == {"none"}


def test_a_case_is_seen_by_whom_it_was_assigned_to(closed: World) -> None:
    seizure, person = closed.case()
    ivan = closed.as_("ivan")
    ivan.fails(ExitCode.NOT_FOUND, "person", "show", person)
    closed.as_("sofia").does("user", "assign", "ivan", seizure)
    assert "Pablo Quintana" in ivan.does("person", "show", person)
    closed.as_("sofia").does("user", "unassign", "ivan", seizure)
    ivan.fails(ExitCode.NOT_FOUND, "person", "show", person)


def test_another_office_reads_open_facts_and_no_more(closed: World) -> None:
    seizure, person = closed.case(words=WORDS)
    otto = closed.as_("otto")
    told = otto.does("seizure", "show", seizure) + otto.does("history", seizure)
    assert "COBOG1" in told
    for hidden in (person, "dashboard", "Pablo", "party", "narrative"):
        assert hidden not in told
    assert "open facts" in otto.fails(ExitCode.NOT_ALLOWED, "seizure", "narrative", seizure, "words")
    assert otto.fails(ExitCode.NOT_FOUND, "person", "assert", person, "--alias", "X").endswith(f"{person}.\n")


def test_a_restricted_person_is_seen_by_those_who_watch_alone(closed: World) -> None:
    seizure, person = closed.case()
    anna, dora = closed.as_("anna"), closed.as_("dora")
    assert person in anna.does("seizure", "show", seizure)
    dora.does("person", "restrict", person, "--grounds", "under-review", *WAIT)
    anna.fails(ExitCode.NOT_FOUND, "person", "show", person)
    assert person not in anna.does("seizure", "show", seizure) + anna.does("history", seizure)
    assert "Pablo Quintana" in dora.does("person", "show", person)


def opened(closed: World, user: str, record: str) -> list[str]:
    """The names of the entries that leave the database for this user, keys included."""
    role, _ = USERS[user]
    with closed.reader() as session:
        asking = asked("seizure show", role)
        ticket = gate.ask(session, closed.secrets[user], asking, [UUID(record)], "words")
        rows = session.execute("SELECT name FROM gate.open(%s, %s, %s, %s, %s)", [*ticket.given, UUID(record)])
        return [name for (name,) in rows]


def test_what_is_sealed_for_a_restricted_person_never_leaves_the_database(closed: World) -> None:
    seizure, person = closed.case()
    dora = closed.as_("dora")
    assert "seizure.party-named" in opened(closed, "anna", seizure)
    dora.does("person", "restrict", person, "--grounds", "under-review", *WAIT)
    assert "seizure.party-named" not in opened(closed, "anna", seizure)
    assert "seizure.party-named" in opened(closed, "dora", seizure), "who watches sees it"
    with closed.owner() as session:  # the control: without the shield it leaves
        session.execute(
            "CREATE OR REPLACE FUNCTION gate.is_shielded(tag bytea, record uuid) RETURNS boolean"
            " LANGUAGE sql STABLE AS 'SELECT false'"
        )
    assert "seizure.party-named" in opened(closed, "anna", seizure)
    assert person not in closed.as_("anna").does("seizure", "show", seizure), "the second line still leaves it out"


def test_nobody_writes_into_a_record_that_they_do_not_see(closed: World) -> None:
    person = closed.as_("anna").does("person", "record", "--name", "Pablo Quintana", *WAIT).strip()
    line = ("person", "record", "--id", person, "--name", "Xavier Ypsilon", *WAIT)
    assert "cannot be used" in closed.as_("otto").fails(ExitCode.REFUSED, *line)
    assert "Xavier" not in closed.as_("anna").does("person", "show", person)
    closed.as_("anna").does(*line)
    assert "Xavier" in closed.as_("anna").does("person", "show", person)


def test_a_bundle_opens_no_entry_of_somebody_who_is_restricted_to_the_caller(closed: World, tmp_path: Path) -> None:
    case, person = closed.case()
    closed.as_("dora").does("person", "restrict", person, "--grounds", "under-review", *WAIT)

    def bundled(user: str) -> str:
        file = tmp_path / f"{user}.json"
        closed.as_(user).does("evidence", "make", case, "--open", "--output", str(file))
        return closed.as_(user).does("evidence", "check", str(file))

    assert person not in bundled("sofia")
    with closed.owner() as session:  # the control: where nobody counts as restricted, it is opened
        session.execute(
            "CREATE OR REPLACE FUNCTION gate.is_restricted(record uuid) RETURNS boolean"
            " LANGUAGE sql STABLE AS 'SELECT false'"
        )
    assert person in bundled("sofia")


def test_what_is_not_there_for_the_caller_is_not_proven_to_them(closed: World) -> None:
    _, person = closed.case()
    sofia, dora = closed.as_("sofia"), closed.as_("dora")
    assert json.loads(sofia.does("proof", person, "--json"))["entries"]
    dora.does("person", "restrict", person, "--grounds", "under-review", *WAIT)
    for words in (("proof",), ("evidence", "make")):
        told, absent = (sofia.fails(ExitCode.NOT_FOUND, *words, one) for one in (person, NOBODY))
        assert told.replace(person, "ID") == absent.replace(NOBODY, "ID")
        assert dora.does(*words, person)


def versions(closed: World, *, with_hidden: bool) -> list[int]:
    """As which version a case is told to who writes and who reads; somebody restricted has a part in it, or nobody."""
    anna = closed.as_("anna")
    case, _ = closed.case()
    if with_hidden:
        hidden = [
            anna.does("person", "record", "--name", "Marta Iglesias").strip(),
            anna.does("person", "record", "--json-file", "-", text='{"command": "register-person"}').strip(),
        ]
        for one in hidden:
            anna.does("seizure", "party", "add", case, f"{one}:courier", *WAIT)
            closed.as_("dora").does("person", "restrict", one, "--grounds", "under-review", *WAIT)
    again = ("--command-id", "0192f3a0-7c1b-7000-8000-0000000000aa")
    written = [
        anna.tells("seizure", "plate", case, "QXZ 771", *again, *WAIT)["version"],
        anna.tells("seizure", "plate", case, "QXZ 772", *WAIT)["version"],
        anna.tells("seizure", "plate", case, "QXZ 771", *again, *WAIT)["version"],
    ]
    shown = [anna.tells("seizure", "show", case)["version"], anna.tells("history", case)["entries"][-1]["version"]]
    assert closed.as_("dora").tells("seizure", "show", case)["version"] == (6 if with_hidden else 4)
    return written + shown


@pytest.mark.parametrize("is_counted", [True, False])
def test_the_answer_to_a_write_tells_the_version_that_the_writer_sees(
    closed: World, another: World, monkeypatch: pytest.MonkeyPatch, *, is_counted: bool
) -> None:
    """The control tells the version as the ledger has it: then the answers tell of somebody hidden."""
    if not is_counted:
        monkeypatch.setattr("cli.acting.version_seen", lambda version, _: version)
    there, absent = versions(closed, with_hidden=True), versions(another, with_hidden=False)
    assert absent == [3, 4, 3, 4, 4]
    assert (there == absent) is is_counted


def masked(text: str, ids: dict[str, str]) -> str:
    """An answer without what differs between any two worlds: ids, ledger positions and times."""
    for known, name in ids.items():
        text = text.replace(known, name)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID", text)
    text = re.sub(r'("position":|position )\d+', r"\1N", text)
    text = re.sub(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?(Z|\+00:00)?", "TIME", text)
    return re.sub(r'("next":|--after )"?[A-Za-z0-9_=-]+"?', r"\1MARK", text)


ENDPOINTS: tuple[tuple[str, ...], ...] = (
    ("search", "dashboard"),
    ("search", "--name", "Pablo Quintana"),
    ("search", "--name", "Pablo Quintana", "--office", HERE),
    ("search", "AB123456"),
    ("seizure", "list"),
    ("seizure", "list", "--limit", "1"),
    ("offence", "list"),
    ("person", "list"),
    ("person", "list", "--limit", "1"),
    ("person", "list", "--name", "Pablo Quintana"),
    ("person", "list", "--name", "AB123456"),
    ("business", "list"),
    ("stats", "seizures", "--by", "office,section"),
    ("stats", "seizures", "--by", "section", "--node", "*"),
    ("person", "show", "{hidden}"),
    ("history", "{hidden}"),
    ("person", "assert", "{hidden}", "--alias", "X"),
    ("person", "merge", "{seen}", "{hidden}"),
    ("seizure", "party", "add", "{case}", "{hidden}:courier"),
    ("seizure", "show", "{other}"),
    ("history", "{other}"),
)
"""What is asked in both worlds; `{hidden}` is the hidden person, `{other}` the case that they have a part in."""


def answers(closed: World, user: str, *, with_hidden: bool) -> list[tuple[int, str, str]]:
    """What somebody is answered at every endpoint, in a world with a person hidden from them, or without."""
    otto: Closed = closed.as_("otto")
    case, seen = closed.case("otto", office=ELSEWHERE, name="Marta Iglesias")
    otto.does("person", "assert", seen, "--document", "passport:ZZ999999:CO", *WAIT)
    anna = closed.as_("anna")
    other = closed.seizure()
    hidden = NOBODY
    if with_hidden:
        said = ("--name", "Pablo Quintana", "--document", "passport:AB123456:CO")
        hidden = anna.does("person", "record", *said, *WAIT).strip()
        anna.does("seizure", "party", "add", other, f"{hidden}:courier", *WAIT)
        anna.does("seizure", "narrative", other, f"{WORDS} of Pablo Quintana, AB123456", *WAIT)
    ids = {case: "CASE", seen: "SEEN", other: "OTHER", hidden: "HIDDEN"}
    told = []
    for words in ENDPOINTS:
        line = [word.format(hidden=hidden, seen=seen, case=case, other=other) for word in words]
        for more in ([], ["--json"]):
            done = closed.as_(user).run(*line, *more)
            told.append((done.returncode, masked(done.stdout, ids), masked(done.stderr, ids)))
    return told


@pytest.mark.timeout(600)
def test_what_is_hidden_shows_through_no_endpoint(
    closed: World, another: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    there = answers(closed, "otto", with_hidden=True)
    absent = answers(another, "otto", with_hidden=False)
    differing = [
        (ENDPOINTS[number // 2], one, two)
        for number, (one, two) in enumerate(zip(there, absent, strict=True))
        if one != two
    ]
    assert not differing


@pytest.mark.timeout(600)
def test_the_comparison_finds_what_shows_where_the_predicate_is_taken_away(closed: World, another: World) -> None:
    """The negative control: with a predicate that lets all be seen, many endpoints tell the worlds apart."""
    for world in (closed, another):
        with world.owner() as session:
            session.execute(
                "CREATE OR REPLACE FUNCTION gate.level_of_case(eyes gate.eyes, record uuid) RETURNS integer"
                " LANGUAGE sql STABLE AS 'SELECT 2'"
            )
    there = answers(closed, "otto", with_hidden=True)
    absent = answers(another, "otto", with_hidden=False)
    differing = {
        ENDPOINTS[number // 2] for number, (one, two) in enumerate(zip(there, absent, strict=True)) if one != two
    }
    assert len(differing) >= 8


def test_open_facts_under_a_tight_handling_code_are_seen_by_the_contact_point_alone(closed: World) -> None:
    seizure, _ = closed.case()
    with closed.owner() as session:  # as if a peer had sent it under H3
        session.execute("UPDATE read.seizure SET handling = 'H3' WHERE record_id = %s", [seizure])
    question: tuple[str, ...] = ("seizure", "list", "--json")

    def shown(user: str) -> list[Any]:
        return [hit["id"] for hit in json.loads(closed.as_(user).does(*question))["hits"]]

    assert shown("otto") == []
    assert shown("cora") == [seizure]
    closed.as_("otto").fails(ExitCode.NOT_FOUND, "seizure", "show", seizure)
    figures = ("stats", "seizures", "--by", "section")
    assert closed.as_("otto").tells(*figures)["rows"] == []
    assert len(closed.as_("cora").tells(*figures)["rows"]) == 1


def test_the_gate_asks_the_role_and_not_the_caller_how_far_it_sees(closed: World) -> None:
    with closed.reader() as session, pytest.raises(gate.Withheld):
        gate.ask(session, closed.secrets["anna"], asked(role=Role.CONTACT_POINT), [], "x")


def test_an_answer_takes_whole_steps_of_time_also_when_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: list[float] = [0.0]
    slept: list[float] = []
    monkeypatch.setattr("access.gate.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("access.gate.time.sleep", slept.append)

    def taken(seconds: float, error: Exception | None = None) -> float:
        clock[0] = 100.0
        try:
            with gate.evenly():
                clock[0] += seconds
                if error is not None:
                    raise error
        except LookupError:
            pass
        return seconds + slept.pop()

    assert [round(taken(seconds), 6) for seconds in (0.001, 0.0043, 0.049, 0.051)] == [0.05, 0.05, 0.05, 0.1]
    assert round(taken(0.002, LookupError()), 6) == 0.05
