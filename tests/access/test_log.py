"""The processing log: who saw whom, who did what, broken glasses and their review, and a chain that tells changes."""

from uuid import UUID

import psycopg
import pytest

from access.gate import reader as gate_reader
from access.reports import log_reader
from cli.output import ExitCode
from tests.access.world import World

BECAUSE = ("--break-glass", "--because", "threat-to-life", "--reference", "ALERT-9")


def test_it_tells_who_saw_a_person_and_what_a_user_did(closed: World) -> None:
    _, person = closed.case()
    closed.as_("anna").does("person", "show", person, "--because", "own-case")
    closed.as_("olaf").does("person", "list", "--name", "Pablo Quintana")
    udo = closed.as_("udo")
    seen = [(line["user"], line["verb"]) for line in udo.tells("log", "who-saw", person)["lines"]]
    assert seen == [("anna", "person show"), ("olaf", "person list"), ("udo", "log who-saw")]
    did = {line["operation"] for line in udo.tells("log", "what-did", "anna")["lines"]}
    assert did == {"collection", "alteration", "consultation"}
    assert "Pablo" not in udo.does("log", "who-saw", person)


def test_what_the_ledger_tells_is_told_once(closed: World) -> None:
    _, person = closed.case()
    udo = closed.as_("udo")
    first = udo.tells("log", "what-did", "anna")["lines"]
    assert udo.tells("log", "what-did", "anna")["lines"] == first
    collected = [line for line in first if line["operation"] == "collection"]
    assert [line["records"] for line in collected] == [[person]]


def test_a_broken_glass_opens_what_is_denied_and_waits_for_review_by_another(closed: World) -> None:
    _, person = closed.case()
    otto, sofia = closed.as_("otto"), closed.as_("sofia")
    otto.fails(ExitCode.NOT_FOUND, "person", "show", person)
    assert "say why" in otto.fails(ExitCode.USAGE, "person", "show", person, "--break-glass")
    assert "Pablo Quintana" in otto.does("person", "show", person, *BECAUSE)
    (waiting,) = sofia.tells("log", "review")["lines"]
    assert (waiting["user"], waiting["justification"], waiting["reference"]) == ("otto", "threat-to-life", "ALERT-9")
    sofia.does("log", "review", waiting["ticket"], "--finding", "justified")
    assert sofia.tells("log", "review")["lines"] == []
    assert sofia.fails(ExitCode.NOT_FOUND, "log", "review", waiting["ticket"], "--finding", "justified")


def test_nobody_reviews_their_own_broken_glass(closed: World) -> None:
    _, person = closed.case(by="otto", office="COMDE1")
    sofia = closed.as_("sofia")
    sofia.does("person", "show", person, *BECAUSE)
    (waiting,) = sofia.tells("log", "review")["lines"]
    sofia.fails(ExitCode.NOT_FOUND, "log", "review", waiting["ticket"], "--finding", "justified")
    closed.as_("udo").does("log", "review", waiting["ticket"], "--finding", "needs-inquiry")


def test_who_watches_breaks_no_glass(closed: World) -> None:
    _, person = closed.case()
    closed.as_("udo").fails(ExitCode.NOT_ALLOWED, "person", "show", person, *BECAUSE)


def test_a_sample_is_drawn_again_by_its_seed(closed: World) -> None:
    _, person = closed.case()
    for _ in range(4):
        closed.as_("anna").does("person", "show", person)
    udo = closed.as_("udo")
    drawn = udo.tells("log", "sample", "--count", "2")
    assert len(drawn["lines"]) == 2
    again = udo.tells("log", "sample", "--count", "200", "--seed", drawn["seed"])["lines"]
    kept = [line["number"] for line in again if line["number"] <= max(one["number"] for one in drawn["lines"])]
    assert {line["number"] for line in drawn["lines"]} <= set(kept)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ("UPDATE processing.log SET user_id = 'olaf' WHERE number = 2", "Line 2 was changed"),
        ("UPDATE processing.log SET records = '{}' WHERE number = 2", "Line 2 was changed"),
        ("UPDATE processing.log SET at = at - interval '1 microsecond' WHERE number = 2", "Line 2 was changed"),
        ("DELETE FROM processing.log WHERE number = 2", "Line 2 is missing"),
        (
            "DELETE FROM processing.log WHERE number = (SELECT number FROM processing.head)",
            "is missing at the end",
        ),
    ],
)
def test_each_change_of_a_line_is_found_and_named(closed: World, edit: str, words: str) -> None:
    _, person = closed.case()
    closed.as_("anna").does("person", "show", person)
    udo = closed.as_("udo")
    assert "lines fit" in udo.does("log", "verify")
    with closed.owner() as session:
        with pytest.raises(psycopg.errors.RestrictViolation):
            session.execute(edit.encode())
        session.execute("SET session_replication_role = replica")  # what a database administrator may do
        session.execute(edit.encode())
    for verb in ("verify", "gaps"):
        done = udo.run("log", verb)
        assert done.returncode == ExitCode.NOT_VERIFIED
        assert words in done.stdout


def test_a_tail_cut_off_with_its_head_is_found_by_what_was_kept_outside(closed: World) -> None:
    _, person = closed.case()
    closed.as_("anna").does("person", "show", person)
    udo = closed.as_("udo")
    udo.does("log", "verify")
    with closed.owner() as session:
        session.execute("SET session_replication_role = replica")
        session.execute("DELETE FROM processing.log WHERE number > 2")
        session.execute(
            "UPDATE processing.head SET number = 2, hash = (SELECT hash FROM processing.log WHERE number = 2)"
        )
    done = udo.run("log", "verify")
    assert done.returncode == ExitCode.NOT_VERIFIED
    assert "was there when it was last verified" in done.stdout
    (closed.home / "processing.anchor").unlink()
    assert udo.run("log", "verify").returncode == ExitCode.DONE  # the control: nothing else would have told


def test_a_search_that_never_said_what_it_showed_is_a_gap(closed: World) -> None:
    from access import gate
    from tests.access.world import asked

    with closed.reader() as session:
        gate.ask(session, closed.secrets["anna"], asked("search"), [], "x")
    with closed.owner() as session:
        session.execute("SET session_replication_role = replica")
        session.execute("UPDATE processing.log SET at = at - interval '5 minutes'")
    told = closed.as_("udo").run("log", "gaps").stdout
    assert "anna searched, and what was shown was not told" in told


def test_a_month_whose_erasure_date_has_passed_goes_and_the_chain_stays_whole(closed: World) -> None:
    closed.case()
    udo, dora = closed.as_("udo"), closed.as_("dora")
    udo.does("log", "verify")
    with closed.owner() as session:
        session.execute("SELECT processing.partition_for('2025-01-15Z')")
    assert dora.tells("log", "drop", "--before", "2026-01")["dropped"] == ["2025-01"]
    udo.fails(ExitCode.NOT_ALLOWED, "log", "drop", "--before", "2026-01")
    udo.does("log", "verify")


def test_the_readers_of_log_and_gate_have_nothing_of_each_other(closed: World) -> None:
    with log_reader(closed.log_reader_url) as session:
        assert session.execute("SELECT count(*) FROM processing.log").fetchone()
        for statement in ("SELECT * FROM read.person", "SELECT * FROM ledger.entry", "DELETE FROM processing.log"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement.encode())
    with gate_reader(closed.reader_url) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("SELECT * FROM processing.log")


def test_who_merged_what_they_had_put_on_record_is_told(closed: World) -> None:
    sofia = closed.as_("sofia")
    one = sofia.does("person", "record", "--name", "Marta Iglesias", "--wait", "20").strip()
    other = sofia.does("person", "record", "--name", "M. Iglesias", "--wait", "20").strip()
    sofia.does("person", "merge", one, other, "--wait", "20")
    told = closed.as_("udo").tells("log", "duties")["duties"]
    assert ("sofia", UUID(one)) in {(duty["user"], UUID(duty["record"])) for duty in told}
