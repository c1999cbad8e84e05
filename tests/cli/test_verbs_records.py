"""Persons, businesses, offences, premises and peers as the command has them, and lists that go on page by page.

The lines are run in this process, which saves a start of the command for each; `test_verbs_story` runs it as it is.
"""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.output import ExitCode
from tests.cli.node import Inside, Ncen, node

pytestmark = pytest.mark.timeout(600)
WAIT = ("--wait", "20")


@pytest.fixture
def ncen(database_url: str, tmp_path: Path) -> Iterator[Ncen]:
    with node(tmp_path / "home", database_url, kind=Inside) as made:
        yield made


def test_what_is_said_of_a_person_stays_visible(ncen: Ncen) -> None:
    said = ("--name", "Ana María Silva", "--born", "1980-02-29", "--nationality", "pt", "--document", "passport:AB1:PT")
    person = ncen.does("person", "record", *said, *WAIT).strip()
    ncen.does("person", "assert", person, "--alias", "Nena", "--assessment", "--basis", "hearsay", "--grading", "B2")
    ncen.does("person", "retract", person, "2", "--reason", "entry-error")
    shown = ncen.does("person", "show", person)
    assert "2: birth 1980-02-29 (fact from OFFICER; TAKEN BACK (entry-error))" in shown
    assert "5: name Nena alias (assessment from OFFICER; graded B2 (admiralty); by officer-01; basis: hearsay)" in shown

    other = ncen.does("person", "record", "--name", "A. M. Silva", *WAIT).strip()
    ncen.does("person", "merge", person, other, "--basis", "same passport", *WAIT)
    [best, *_] = ncen.tells("person", "list", "--name", "Maria Ana Silva")["hits"]
    assert (best["id"], best["one_with"]) == (person, [other])
    ncen.does("person", "unmerge", person, other, "--reason", "new-information", *WAIT)
    assert ncen.tells("person", "show", person)["record"]["merged"] == []

    told = ncen.tells("history", person)["entries"]
    assert [entry["event"] for entry in told[:2]] == ["person.registered", "person.name-asserted"]
    assert all(entry["by"]["purpose"] == "investigation" for entry in told)
    assert "There is no person" in ncen.fails(ExitCode.NOT_FOUND, "person", "merge", person, str(uuid.uuid4()))
    assert "with itself" in ncen.fails(ExitCode.REFUSED, "person", "merge", person, person)
    assert "Say what is known" in ncen.fails(ExitCode.USAGE, "person", "record")


def test_an_offence_with_its_seizure_party_and_penalty(ncen: Ncen) -> None:
    goods = ("--goods", "section=tobacco,quantity=~1 200 cigarettes")
    seizure = ncen.does(
        "seizure", "record", "--office", "XAPORT", "--place", "XA", "--on", "2024-05-31", *goods
    ).strip()
    business = ncen.does("business", "record", "--name", "Polar Tobacco Lda", "--identifier", "eori:PT1:pt").strip()
    facts = ("--type", "excise", "--office", "XAPORT", "--on", "2024-05-31", "--place", "XA-01")
    party = f"{business}:carrier"
    offence = ncen.does("offence", "record", *facts, "--seizure", seizure, "--party", party, *WAIT).strip()
    record = ncen.tells("offence", "show", offence)["record"]
    assert (record["seizures"], record["parties"][0]["is_business"]) == ([seizure], True)

    ncen.does("offence", "status", offence, "established", "--on", "2024-06-30")
    said = ncen.fails(ExitCode.REFUSED, "offence", "status", offence, "decided")
    assert "it may become prosecuted" in said
    ncen.does("offence", "penalty", "impose", offence, "fine", "--amount", "5000 EUR")
    ncen.does("offence", "penalty", "lift", offence, "1", "--reason", "legal-decision", *WAIT)
    assert "1: kind fine, amount 5000 EUR, lifted (legal-decision)" in ncen.does("offence", "show", offence)
    assert ncen.tells("offence", "list", "--status", "established")["hits"][0]["id"] == offence
    assert ncen.tells("search", "--kind", "offence", "--name", "polar tobaco")["hits"][0]["id"] == offence
    wrong = ncen.fails(ExitCode.NOT_FOUND, "offence", "attach", offence, business)
    assert f"There is no seizure with the id {business}: it is the id of a business." in wrong


def test_parts_of_a_seizure_are_added_and_taken_back(ncen: Ncen) -> None:
    facts = (
        "--office",
        "XAPORT",
        "--place",
        "XA",
        "--on",
        "2024-05-31",
        "--goods",
        "section=drugs",
        "--plate",
        "A 1:de",
    )
    seizure = ncen.does("seizure", "record", *facts).strip()
    person = ncen.does("person", "record", "--name", "Ana").strip()
    ncen.does("seizure", "party", "add", seizure, f"{person}:driver:suspect")
    ncen.does("seizure", "plate", seizure, "B 2")
    ncen.does("seizure", "document", seizure, "container:MSKU1234567")
    ncen.does("seizure", "narrative", seizure, "--file", "-", text="Stopped at dawn.\n")
    ncen.does("seizure", "goods", "add", seizure, "section=tobacco,quantity=200 cigarettes")
    shown = ncen.tells("seizure", "show", seizure)
    record = shown["record"]
    assert [plate["number"] for plate in record["plates"]] == ["A 1", "B 2"]
    assert record["narrative"] == "Stopped at dawn."
    assert [line["line"] for line in record["goods"]] == [1, 2]
    assert [(flag["code"], flag["field"]) for flag in shown["flags"]] == [("container-number", "documents")]
    ncen.does("seizure", "plate", seizure, "--replace")
    ncen.does("seizure", "narrative", seizure, "--take-back")
    ncen.does("seizure", "goods", "withdraw", seizure, "1", "--reason", "entry-error")
    ncen.does("seizure", "party", "withdraw", seizure, f"{person}:driver", "--reason", "entry-error")
    record = ncen.tells("seizure", "show", seizure)["record"]
    assert (record["plates"], record["narrative"], record["parties"]) == ([], None, [])
    assert "Nothing to do" in ncen.does("seizure", "plate", seizure, "--replace")
    read = ncen.does("history", seizure)
    assert "narrative  Stopped at dawn. → –" in read  # noqa: RUF001  # a dash is how a form shows that nothing is stated


def test_a_premise_and_a_peer(ncen: Ncen, tmp_path: Path) -> None:
    scope = ("--party", "xa", "--party", "XB", "--for", "investigation", "--category", "open", "--from", "2024-01-01")
    premise = ncen.does("premise", "add", "--instrument", "TREATY:XA-XB:2024", *scope, *WAIT).strip()
    ncen.does("premise", "suspend", premise, "--reason", "review", *WAIT)
    assert ncen.tells("premise", "show", premise)["record"]["suspended"] == "review"
    [listed] = ncen.tells("premise", "list", "--party", "xb")["premises"]
    assert (listed["id"], listed["instrument"], listed["standing"]) == (premise, "TREATY:XA-XB:2024", "suspended")
    assert ncen.tells("premise", "list", "--in-force")["premises"] == []
    ncen.does("premise", "scope", premise, "--section", "drugs", "--for", "investigation", *WAIT)
    ncen.does("premise", "conditions", premise, "--handling", "h1", "--retention-days", "30", *WAIT)
    ncen.does("premise", "period", premise, "--until", "2030-12-31", *WAIT)
    stands = ncen.tells("premise", "show", premise)["record"]
    assert (stands["sections"], stands["purposes"], stands["parties"]) == (["drugs"], ["investigation"], ["XA", "XB"])
    assert (stands["handling"], stands["onward"], stands["retention_days"]) == ("H1", "none", 30)
    assert (stands["in_force_from"], stands["until"]) == ("2024-01-01", "2030-12-31")
    ncen.does("premise", "scope", premise, "--every-section", *WAIT)
    ncen.does("premise", "conditions", premise, "--no-retention-limit", "--shows-attribution", *WAIT)
    ncen.does("premise", "period", premise, "--open-ended", *WAIT)
    stands = ncen.tells("premise", "show", premise)["record"]
    assert not any(stands.get(name) for name in ("sections", "retention_days", "until"))
    assert (stands["shows_attribution"], stands["handling"]) == (True, "H1")
    ncen.fails(ExitCode.USAGE, "premise", "period", premise)
    ncen.fails(ExitCode.REFUSED, "premise", "period", premise, "--until", "2020-01-01", *WAIT)
    ncen.fails(ExitCode.NOT_FOUND, "premise", "period", str(uuid.uuid4()), "--open-ended", *WAIT)
    ncen.does("premise", "resume", premise, *WAIT)
    assert "in force, from 2024-01-01" in ncen.does("premise", "list")
    assert "at least two parties" in ncen.fails(
        ExitCode.REFUSED, "premise", "add", "--instrument", "TREATY:XA:2024", *scope[:2], *scope[4:]
    )

    card = tmp_path / "card.json"
    card.write_text(ncen.does("peer", "card", "--nats-url", "nats://127.0.0.1:4222"), encoding="utf-8")
    assert json.loads(card.read_text(encoding="utf-8"))["node"] == "XA"
    assert "our own card" in ncen.fails(ExitCode.REFUSED, "peer", "add", str(card))
    assert "There are no peers yet." in ncen.does("peer", "list")
    assert "cannot be read" in ncen.fails(ExitCode.BAD_INPUT, "peer", "add", str(tmp_path / "nowhere.json"))


def test_a_list_goes_on_where_it_ended(ncen: Ncen) -> None:
    facts = ("--office", "XAPORT", "--place", "XA", "--goods", "section=drugs")
    days = ("2024-05-01", "2024-05-02", "2024-05-03")
    recorded = [ncen.does("seizure", "record", *facts, "--on", day, *WAIT).strip() for day in days]
    first = ncen.tells("seizure", "list", "--limit", "2")
    assert [hit["id"] for hit in first["hits"]] == recorded[:0:-1]
    rest = ncen.tells("seizure", "list", "--limit", "2", "--after", first["next"])
    assert ([hit["id"] for hit in rest["hits"]], rest["next"]) == (recorded[:1], None)
    assert "not the mark of a following page" in ncen.fails(ExitCode.USAGE, "seizure", "list", "--after", "x")
    assert [hit["id"] for hit in ncen.tells("search", "--from", "2024-05-02", "--to", "2024-05-02")["hits"]] == [
        recorded[1]
    ]


def test_a_node_whose_workers_do_not_run_says_so(database_url: str, tmp_path: Path) -> None:
    ncen = Inside(tmp_path / "home", database_url)
    facts = ("--office", "XAPORT", "--place", "XA", "--on", "2024-05-31", "--goods", "section=drugs")
    done = ncen.run("seizure", "record", *facts, "--wait", "0.1")
    assert done.returncode == ExitCode.DONE
    assert "It is recorded." in done.stderr
    assert ncen.tells("seizure", "show", done.stdout.strip())["position"] is None
    assert "are being made" in ncen.fails(ExitCode.UNREACHABLE, "seizure", "list")
