"""Pseudonyms: an analyst sees no name, number or word of anybody at any endpoint, but the same pseudonym everywhere.

What is told of persons holds canaries, which must show in no answer; the controls take the mask away, and then they do.
"""

import json
import re
from uuid import UUID

import msgspec
import pytest

from access import accounts, gate, schema
from access.gate import Withheld
from cli.output import ExitCode
from domain.attribution import Role
from domain.permissions import VERBS
from domain.pseudonym import TEXT, Pseudonym, pseudonym_in, pseudonym_of
from domain.user import GrantRole, User, record_id_of
from ledger.keyring import Keyring
from ledger.ledger import Ledger
from tests.access.test_need_to_know import masked
from tests.access.world import BOSS, ELSEWHERE, HERE, WAIT, World, asked
from tests.cli.closed import Closed

UNMASK = ("--unmask", "--because", "own-case", "--reference", "CASE-7")
SHOWN = re.compile(r"P-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}")
NOBODY = "0192f3a0-7c1b-7000-8000-000000000001"
CANARIES = (
    "Quintana", "Pablito", "1971", "AB123456", "Fontanela 17", "21 555 0199", "scar over", "QXZ 771", "DOC-55512",
    "dashboard", "Ultramar", "PT509442013", "same fingerprints", "lookout", 'PT"',
)  # fmt: skip
"""What is said of persons and businesses, each in one place."""
BY_CHANCE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=:[0-9]{2})\.[0-9]+")
"""Ids, and parts of seconds: four digits stand in them now and then that are nobody's year of birth."""


def tells(answer: str) -> list[str]:
    """What an answer tells of persons and businesses."""
    said = BY_CHANCE.sub("", answer)
    return [one for one in CANARIES if one in said]


class Assigned:
    """A case with a person in it, assigned to the analyst `ada`."""

    def __init__(self, closed: World, case: str, person: str) -> None:
        """Assign it."""
        self.closed, self.case, self.person = closed, case, person
        self.ada = closed.as_("ada")
        closed.as_("sofia").does("user", "assign", "ada", case)

    def known_as(self, record: str) -> str:
        """The pseudonym of a person or business."""
        return str(pseudonym_of(Keyring.open(self.closed.home / "keys").pseudonym_key, UUID(record)))


class Told(Assigned):
    """Two cases and an offence assigned to the analyst `ada`, with everything personal that can be told in them."""

    def __init__(self, closed: World) -> None:
        """Put all of it on record."""
        anna, sofia = closed.as_("anna"), closed.as_("sofia")
        said = ("--alias", "Pablito", "--born", "1971-03-09:PT", "--document", "passport:AB123456:CO")
        more = (
            "--address",
            "Rua Fontanela 17",
            "--contact",
            "phone:+351 21 555 0199",
            "--description",
            "scar over lip",
        )
        person = anna.does("person", "record", "--name", "Pablo Quintana", *said, *more).strip()
        self.twin = anna.does("person", "record", "--name", "P. Quintana", *WAIT).strip()
        self.business = anna.does(
            "business", "record", "--name", "Ultramar Lda", "--identifier", "vat:PT509442013:PT", *WAIT
        ).strip()
        super().__init__(closed, closed.seizure(), person)
        self.other = closed.seizure()
        for case in (self.case, self.other):
            anna.does("seizure", "party", "add", case, f"{self.person}:courier:suspect")
        anna.does("seizure", "party", "add", self.case, f"{self.business}:consignee")
        anna.does("seizure", "party", "add", self.other, f"{self.twin}:driver")
        anna.does("seizure", "narrative", self.case, "Hidden behind the dashboard.")
        anna.does("seizure", "plate", self.case, "QXZ 771:PT")
        anna.does("seizure", "document", self.case, "air-waybill:DOC-55512")
        sofia.does("person", "merge", self.person, self.twin, "--basis", "same fingerprints")
        where = ("--office", HERE, "--place", "CO", "--on", "2024-05-31")
        self.offence = anna.does("offence", "record", "--type", "smuggling", *where).strip()
        anna.does("offence", "party", "add", self.offence, f"{self.person}:organiser:suspect")
        anna.does("offence", "narrative", self.offence, "He was the lookout.", *WAIT)
        for case in (self.other, self.offence):
            sofia.does("user", "assign", "ada", case)

    def lines(self) -> list[tuple[str, ...]]:
        """What an analyst may ask."""
        known = self.known_as(self.person)
        position = str(self.ada.tells("seizure", "list")["position"])
        records = (self.case, self.other, self.offence, self.person, self.business, known, self.known_as(self.twin))
        return [
            *(("history", record) for record in records),
            *(("history", record, "--as-of", position) for record in records),
            *(("seizure", "show", case) for case in (self.case, self.other)),
            *(("seizure", "show", case, "--as-of", position) for case in (self.case, self.other)),
            ("offence", "show", self.offence),
            ("person", "show", self.person),
            ("person", "show", known),
            ("person", "show", known, "--as-of", position),
            ("business", "show", self.business),
            ("business", "show", self.known_as(self.business)),
            *((kind, "list") for kind in ("seizure", "offence", "person", "business")),
            ("person", "list", "--limit", "1"),
            ("person", "list", "--after", known),
            ("person", "list", "--name", "Pablo"),
            ("search",),
            *(("search", "--kind", kind) for kind in ("seizure", "offence", "person", "business")),
            ("search", "--name", known),
            ("search", "--name", known, "--kind", "offence"),
            ("search", "hidden"),
            ("search", "--name", "Pablo"),
            ("stats", "seizures", "--by", "office,section"),
        ]

    def answers(self) -> dict[tuple[str, ...], str]:
        """What the analyst is answered, for people and as JSON."""
        told = {}
        for line in self.lines():
            for more in ((), ("--json",)):
                done = self.ada.run(*line, *more)
                told[*line, *more] = done.stdout + done.stderr
        return told


@pytest.fixture
def told(closed: World) -> Told:
    return Told(closed)


@pytest.fixture
def assigned(closed: World) -> Assigned:
    return Assigned(closed, *closed.case(words="Hidden behind the dashboard."))


def test_every_verb_of_an_analyst_that_tells_of_records_is_asked_here(told: Told) -> None:
    of_their_own = {"user token add", "user token list", "user token revoke", "user password", "user totp"}
    may = {verb for verb, roles in VERBS.items() if Role.ANALYST in roles} - of_their_own - {"break-glass", "unmask"}
    assert {verb for verb in may if any(" ".join(line).startswith(verb) for line in told.lines())} == may


@pytest.mark.timeout(300)
def test_an_analyst_sees_no_personal_value_at_any_endpoint(told: Told) -> None:
    subjects = (told.person, told.twin, told.business)
    showing = []
    for line, answer in told.answers().items():
        assert "Traceback" not in answer
        showing += [(line, one) for one in (*tells(answer), *(one for one in subjects if one in answer))]
    assert not showing


@pytest.mark.timeout(300)
def test_the_canaries_show_where_the_mask_is_taken_away(told: Told) -> None:
    """The negative control."""
    with told.closed.owner() as session:
        session.execute(
            "CREATE OR REPLACE FUNCTION gate.is_masked(eyes gate.eyes, record uuid) RETURNS boolean"
            " LANGUAGE sql STABLE AS 'SELECT false'"
        )
    answers = told.answers()
    told_by = [tells(answer) for answer in answers.values()]
    missing = [one for one in CANARIES if not any(one in found for found in told_by)]
    assert not missing, "each canary is told somewhere"
    assert sum(map(bool, told_by)) >= 20


def test_what_is_said_does_not_leave_the_database_and_no_key_of_it_does(told: Told) -> None:
    with told.closed.reader() as session:
        for record, links in ((told.case, 2), (told.person, 1)):
            asking = asked("history", Role.ANALYST)
            ticket = gate.ask(session, told.closed.secrets["ada"], asking, [UUID(record)], "words")
            rows = session.execute(
                "SELECT name, body, wrapped, personal FROM gate.open(%s, %s, %s, %s, %s)", [*ticket.given, UUID(record)]
            ).fetchall()
            personal = [row for row in rows if row[3]]
            opened = [name for name, body, wrapped, _ in personal if body is not None or wrapped is not None]
            assert len(opened) == links < len(personal)
            assert all(name.endswith(("party-named", "merged")) for name in opened)
        ticket = gate.ask(session, told.closed.secrets["ada"], asked("person list", Role.ANALYST), [], "words")
        (row,) = session.execute(
            "SELECT * FROM gate.described(%s, %s, %s, %s, 'person', %s)", [*ticket.given, [UUID(told.person)]]
        ).fetchall()
        assert not tells(json.dumps(row))
        for statement in (
            "SELECT * FROM gate.by_number(%s, %s, %s, %s, 'person', 'ab123456')",
            "SELECT * FROM gate.told(%s, %s, %s, %s, 'seizure', 'dashboard')",
            "SELECT * FROM gate.sharing(%s, %s, %s, %s, 'person', '[[[\"x\"]]]', '{}', 1, 1)",
        ):
            with pytest.raises(Withheld, match="masked to you"), gate.answered():
                session.execute(statement.encode(), ticket.given)


def test_the_same_person_has_the_same_pseudonym_in_every_answer(told: Told) -> None:
    known, twin = told.known_as(told.person), told.known_as(told.twin)
    assert known != twin
    answers = told.answers()
    for line in (("seizure", "show", told.case), ("seizure", "show", told.other), ("offence", "show", told.offence)):
        assert known in answers[line]
    assert known in answers["person", "list"]
    assert f"person {twin}" in answers["seizure", "show", told.other]
    assert twin in answers["person", "show", known], "who is said to be one with them"
    found = {hit["id"] for hit in told.ada.tells("search", "--name", known)["hits"]}
    assert found == {told.case, told.other}
    assert {found for answer in answers.values() for found in SHOWN.findall(answer)} == {
        known, twin, told.known_as(told.business)
    }  # fmt: skip


def test_a_page_that_follows_is_asked_for_by_a_pseudonym(told: Told) -> None:
    seen: list[str] = []
    after: tuple[str, ...] = ()
    while True:
        page = told.ada.tells("person", "list", "--limit", "1", *after)
        seen += [hit["id"] for hit in page["hits"]]
        if page["next"] is None:
            break
        after = ("--after", page["next"])
    assert seen == [told.known_as(told.twin), told.known_as(told.person)]


def test_another_key_makes_another_pseudonym_and_nothing_else_does(assigned: Assigned) -> None:
    first = assigned.known_as(assigned.person)
    assert first in assigned.ada.does("person", "show", assigned.person)
    assigned.closed.as_("anna").does("person", "assert", assigned.person, "--alias", "El Zurdo", *WAIT)
    assert first in assigned.ada.does("person", "show", assigned.person)
    (assigned.closed.home / "keys" / "pseudonym.key").unlink()
    answer = assigned.ada.does("person", "show", assigned.person)
    assert first not in answer
    assert assigned.known_as(assigned.person) in answer
    assert "no person with the id" in assigned.ada.fails(ExitCode.NOT_FOUND, "person", "show", first)


def test_a_pseudonym_is_typed_as_it_is_read_and_nobody_shares_one() -> None:
    secret, records = b"k" * 32, [UUID(int=number) for number in range(20_000)]
    made = [pseudonym_of(secret, record) for record in records]
    assert len(set(made)) == len(made)
    assert all(TEXT.fullmatch(str(one)) for one in made[:100])
    assert [pseudonym_in(str(one)) for one in made] == made
    assert pseudonym_in(str(made[0]).replace("-", "").lower()) == made[0]
    assert pseudonym_in("Pablo Quintana") is None
    assert isinstance(made[0], Pseudonym)
    assert pseudonym_of(b"l" * 32, records[0]) != made[0]


def test_unmasking_shows_who_it_is_and_waits_for_review_by_another(assigned: Assigned) -> None:
    known = assigned.known_as(assigned.person)
    for line in (("person", "show", known), ("person", "show", assigned.person), ("history", known)):
        assert "Pablo Quintana" in assigned.ada.does(*line, *UNMASK)
    assert "dashboard" in assigned.ada.does("seizure", "show", assigned.case, *UNMASK)
    assert "Pablo Quintana" in assigned.ada.does("search", "--name", "Quintana", *UNMASK)
    assert assigned.case in assigned.ada.does("search", "dashboard", *UNMASK)
    sofia, udo = assigned.closed.as_("sofia"), assigned.closed.as_("udo")
    waiting = sofia.tells("log", "review")["lines"]
    assert [(one["user"], one["justification"], one["is_unmasking"]) for one in waiting] == [
        ("ada", "own-case", True)
    ] * 6
    assert [one["records"] for one in waiting[:4]] == [[assigned.person]] * 3 + [[assigned.case]]
    assert "UNMASKED" in sofia.does("log", "review")
    sofia.does("log", "review", waiting[0]["ticket"], "--finding", "justified")
    assert len(sofia.tells("log", "review")["lines"]) == 5
    saw = udo.tells("log", "who-saw", assigned.person)["lines"]
    assert sum(one["is_unmasking"] for one in saw if one.get("answers") is None) == 3
    assert any(one["is_unmasking"] for one in udo.tells("log", "sample", "--count", "200")["lines"])
    udo.does("log", "verify")
    assert "Pablo Quintana" not in assigned.ada.does("person", "show", known), "and only for that one look"


def test_unmasking_is_refused_without_a_reason_a_right_or_a_line_in_the_log(assigned: Assigned) -> None:
    ada, before = assigned.ada, len(assigned.closed.log())
    assert "say why" in ada.fails(ExitCode.USAGE, "person", "show", assigned.person, "--unmask")
    assigned.closed.as_("olaf").fails(ExitCode.NOT_ALLOWED, "person", "show", assigned.person, *UNMASK)
    assigned.closed.as_("udo").fails(ExitCode.NOT_ALLOWED, "person", "show", assigned.person, *UNMASK)
    ada.fails(ExitCode.NOT_FOUND, "person", "show", NOBODY, *UNMASK)
    secret = assigned.closed.secrets["ada"]
    unmasking = msgspec.structs.replace(asked(role=Role.ANALYST), unmasks=True)
    with assigned.closed.reader() as session, pytest.raises(Withheld, match="justification"):
        gate.ask(session, secret, unmasking, [UUID(assigned.person)], "words")
    assert len(assigned.closed.log()) == before + 1, "a refusal opens nothing, and who was sought is logged"
    with assigned.closed.owner() as session:
        session.execute("ALTER TABLE processing.log ADD CONSTRAINT full_disk CHECK (NOT is_unmasking) NOT VALID")
    for line in (
        ("person", "show", assigned.person),
        ("search", "--name", "Quintana"),
        ("seizure", "show", assigned.case),
    ):
        done = ada.run(*line, *UNMASK)
        assert (done.returncode != ExitCode.DONE, done.stdout) == (True, "")
    assert ada.does("person", "show", assigned.person), "masked it is shown: such lines are taken"


def test_a_token_unmasks_nobody(assigned: Assigned) -> None:
    made = assigned.ada.tells("user", "token", "add", "--name", "nightly", "--verb", "person show", "--days", "9")
    program = Closed(assigned.closed.home, assigned.closed.database_url).as_("ada", token=made["token"])
    assert assigned.known_as(assigned.person) in program.does("person", "show", assigned.person)
    program.fails(ExitCode.NOT_ALLOWED, "person", "show", assigned.person, *UNMASK)


def test_a_ticket_that_was_not_for_unmasking_unmasks_nothing(assigned: Assigned) -> None:
    with assigned.closed.reader() as session:
        names = {}
        for unmasks in (False, True):
            asking = msgspec.structs.replace(asked(role=Role.ANALYST, why=("own-case",)), unmasks=unmasks)
            ticket = gate.ask(session, assigned.closed.secrets["ada"], asking, [UUID(assigned.person)], "words")
            rows = session.execute(
                "SELECT count(wrapped) FROM gate.open(%s, %s, %s, %s, %s)", [*ticket.given, UUID(assigned.person)]
            ).fetchone()
            assert rows is not None
            names[unmasks] = rows[0]
    assert names == {False: 0, True: 1}


def test_a_broken_glass_of_an_analyst_shows_who_it_is(assigned: Assigned) -> None:
    hidden = assigned.closed.case("otto", office=ELSEWHERE, name="Marta Iglesias")[1]
    assigned.ada.fails(ExitCode.NOT_FOUND, "person", "show", hidden)
    assigned.ada.fails(ExitCode.NOT_FOUND, "person", "show", hidden, *UNMASK)
    glass = ("--break-glass", "--because", "threat-to-life")
    assert "Marta Iglesias" in assigned.ada.does("person", "show", hidden, *glass)


def grant(closed: World, user: str, role: Role, office: str | None) -> None:
    """Give an analyst one more role."""
    keys = closed.home / "keys"
    with Ledger.open(closed.database_url, node="XA", keys=keys) as ledger, closed.owner() as session:
        ledger.execute(record_id_of("XA", user), GrantRole(role=role), BOSS)
        stood = ledger.state(record_id_of("XA", user), "user")
        assert isinstance(stood, User)
        accounts.write(session, record_id_of("XA", user), msgspec.structs.replace(stood, office=office))


@pytest.mark.parametrize(
    ("role", "office", "is_clear"),
    [
        (Role.INVESTIGATOR, None, True),
        (Role.CUSTODIAN, HERE, False),
        (Role.LEGAL_OFFICER, HERE, False),
    ],
)
def test_whoever_sees_a_case_in_another_role_sees_it_in_the_clear(
    told: Told, role: Role, office: str | None, *, is_clear: bool
) -> None:
    grant(told.closed, "ada", role, office)
    answer = told.ada.does("person", "show", told.person, "--role", "analyst")
    assert ("Pablo Quintana" in answer) is is_clear
    assert (told.known_as(told.person) in answer) is not is_clear
    listed = told.ada.does("person", "list", "--role", "analyst")
    assert ("Pablo Quintana" in listed, told.person in listed) == (is_clear, is_clear)


def test_who_is_erased_shows_as_erased(assigned: Assigned) -> None:
    known = assigned.known_as(assigned.person)
    dora = assigned.closed.as_("dora")
    dora.does("person", "erase", assigned.person, "--grounds", "unlawful", *WAIT)
    history = assigned.ada.does("history", assigned.case)
    assert known not in history
    assert "Erased: the key of the person it told of was destroyed" in history
    assert known not in assigned.ada.does("seizure", "show", assigned.case)


# ---------------------------------------------------------------- who is restricted stays hidden


def answers(closed: World, *, with_hidden: bool) -> list[tuple[int, str, str]]:
    """What the analyst is answered of a case with two restricted persons, of one of whom nothing is said, or none."""
    anna, sofia, dora = closed.as_("anna"), closed.as_("sofia"), closed.as_("dora")
    case, seen = closed.case()
    hidden = []
    if with_hidden:
        hidden = [
            anna.does("person", "record", "--name", "Marta Iglesias").strip(),
            anna.does("person", "record", "--json-file", "-", *WAIT, text='{"command": "register-person"}').strip(),
        ]
        for one in hidden:
            anna.does("seizure", "party", "add", case, f"{one}:courier")
            sofia.does("person", "merge", seen, one, "--basis", "told so", *WAIT)
            dora.does("person", "restrict", one, "--grounds", "under-review", *WAIT)
    sofia.does("user", "assign", "ada", case)
    known = str(pseudonym_of(Keyring.open(closed.home / "keys").pseudonym_key, UUID(seen)))
    ids = {case: "CASE", seen: "SEEN", known: "KNOWN"}
    found = []
    sought = hidden or [NOBODY, NOBODY]
    for words in (
        ("seizure", "show", case),
        ("history", case),
        ("person", "show", known),
        ("history", known),
        ("person", "list"),
        ("person", "list", "--limit", "1"),
        ("search", "--name", known),
        ("search", "--name", "Marta"),
        *(("person", "show", one) for one in sought),
        *(("history", one) for one in sought),
    ):
        for more in ((), ("--json",)):
            done = closed.as_("ada").run(*words, *more)
            found.append((done.returncode, masked(done.stdout, ids), masked(done.stderr, ids)))
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("is_shielded", [True, False])
def test_who_is_restricted_shows_through_no_pseudonym(closed: World, another: World, *, is_shielded: bool) -> None:
    """The control lets nobody count as restricted: then the worlds with and without them are told apart."""
    if not is_shielded:
        for world in (closed, another):
            with world.owner() as session:
                session.execute(
                    "CREATE OR REPLACE FUNCTION gate.is_restricted(record uuid) RETURNS boolean"
                    " LANGUAGE sql STABLE AS 'SELECT false'"
                )
    there, absent = answers(closed, with_hidden=True), answers(another, with_hidden=False)
    assert (there == absent) is is_shielded


# ---------------------------------------------------------------- a node of before


def test_a_node_that_was_closed_before_there_were_pseudonyms_goes_on(assigned: Assigned) -> None:
    assigned.closed.as_("olaf").does("person", "show", assigned.person)
    with assigned.closed.owner() as session:
        session.execute("ALTER TABLE access.sight DROP COLUMN masked")
        session.execute("ALTER TABLE processing.log DROP COLUMN is_unmasking")
        schema.prepare(session, assigned.closed.home / "keys")
    assert assigned.known_as(assigned.person) in assigned.ada.does("person", "show", assigned.person)
    assert "Pablo Quintana" in assigned.ada.does("person", "show", assigned.person, *UNMASK)
    assert "Pablo Quintana" in assigned.closed.as_("olaf").does("person", "show", assigned.person)
    assigned.closed.as_("udo").does("log", "verify")


def test_an_unmasking_that_is_made_to_look_like_any_look_is_found(assigned: Assigned) -> None:
    assigned.ada.does("person", "show", assigned.person, *UNMASK)
    udo = assigned.closed.as_("udo")
    udo.does("log", "verify")
    with assigned.closed.owner() as session:
        session.execute("SET session_replication_role = replica")
        session.execute("UPDATE processing.log SET is_unmasking = false WHERE is_unmasking")
    done = udo.run("log", "verify")
    assert done.returncode == ExitCode.NOT_VERIFIED
    assert "was changed" in done.stdout
