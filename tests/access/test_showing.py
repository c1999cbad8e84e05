"""Verbs that show what would happen (`feed explain`, `cen preview`, a dry run) are looks too: logged, and no wider."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from access import gate
from cli.output import ExitCode
from domain.attribution import Role
from exchange import peers
from exchange.peers import Identity
from ledger.ledger import Reader
from tests.access.test_need_to_know import masked
from tests.access.world import ELSEWHERE, WAIT, World
from tests.cli.closed import Closed
from tests.intake.conftest import REGISTER, ROWS, text_of

NOBODY = "0192f3a0-7c1b-7000-8000-000000000001"


def meet(closed: World, folder: Path) -> None:
    """XB is a peer of this node."""
    closed.as_("cora").does("feed", "status")  # makes the tables
    own = Identity.open(closed.home / "keys", node="XA")
    peers.add(closed.database_url, own, Identity.open(folder, node="XB").card())


def lines(closed: World, after: int) -> list[tuple[str, str, list[UUID], bool]]:
    return closed.log("verb, user_id, records, answers IS NOT NULL")[after:]


def test_explaining_and_previewing_leave_a_line_before_they_answer(closed: World, tmp_path: Path) -> None:
    seizure, person = closed.case(words="hidden behind the dashboard")
    meet(closed, tmp_path / "xb")
    cora, before = closed.as_("cora"), len(closed.log())
    assert len(cora.tells("feed", "explain", seizure, "--peer", "XB")["entries"]) == 3
    assert len(cora.tells("feed", "explain", person, "--peer", "XB")["entries"]) > 0
    assert len(cora.tells("cen", "preview", seizure)["stays"]) == 2
    assert lines(closed, before) == [
        ("feed explain", "cora", [UUID(seizure)], False),
        ("feed explain", "cora", [UUID(person)], False),
        ("cen preview", "cora", [UUID(seizure)], False),
    ]
    with closed.owner() as session:
        session.execute("ALTER TABLE processing.log ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
    for words in (("feed", "explain", seizure, "--peer", "XB"), ("cen", "preview", seizure)):
        done = cora.run(*words)
        assert (done.returncode != ExitCode.DONE, done.stdout) == (True, "")


@pytest.mark.parametrize("is_logged", [True, False])
def test_a_proof_and_a_sealed_bundle_leave_a_line_before_they_answer(
    closed: World, monkeypatch: pytest.MonkeyPatch, *, is_logged: bool
) -> None:
    """The control takes the logging away: then a proof is given though the log takes no line."""
    seizure, person = closed.case()
    udo, before = closed.as_("udo"), len(closed.log())
    if is_logged:
        udo.does("proof", person)
        udo.does("evidence", "make", person, seizure)
        assert closed.log("verb, user_id, records, purpose, answers IS NOT NULL")[before:] == [
            ("proof", "udo", [UUID(person)], "administration", False),
            ("evidence make", "udo", [UUID(person), UUID(seizure)], "prosecution", False),
        ]
        udo.fails(ExitCode.NOT_FOUND, "proof", NOBODY)
        assert len(closed.log()) == before + 2, "what is not there is not proven, and leaves no line"
    else:
        monkeypatch.setattr("cli.consulting.require_known", lambda *_, **__: None)
        monkeypatch.setattr("cli.evidence.require_known", lambda *_, **__: None)
    with closed.owner() as session:
        session.execute("ALTER TABLE processing.log ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
    for words in (("proof", person), ("evidence", "make", person)):
        done = udo.run(*words)
        assert (done.returncode != ExitCode.DONE) is is_logged
        assert (not done.stdout) is is_logged


def test_a_bundle_that_opens_asks_once_how_far_each_record_is_seen_and_logs_each(
    closed: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [*closed.case(), closed.seizure()]
    asked, level = [], gate.level

    def counted(*given: Any) -> int:  # noqa: ANN401  # handed on as it came
        asked.append(given[-1])
        return level(*given)

    monkeypatch.setattr(gate, "level", counted)
    before = len(closed.log())
    closed.as_("sofia").does("evidence", "make", *records, "--open", "--output", str(tmp_path / "bundle.json"))
    assert asked == [UUID(record) for record in records]
    assert lines(closed, before) == [("evidence make", "sofia", [UUID(record)], False) for record in records]
    elsewhere = closed.seizure("otto", office=ELSEWHERE)
    refused = closed.as_("sofia").fails(ExitCode.NOT_ALLOWED, "evidence", "make", elsewhere, "--open")
    assert "open facts" in refused
    assert len(closed.log()) == before + 3


def told(closed: World, asker: Closed, *, with_hidden: bool) -> list[tuple[int, str, str]]:
    """What a legal officer, who sees open facts alone, is told of a case with a hidden person in it, or without."""
    anna = closed.as_("anna")
    case = closed.seizure()
    hidden = NOBODY
    if with_hidden:
        hidden = anna.does("person", "record", "--name", "Pablo Quintana", *WAIT).strip()
        anna.does("seizure", "party", "add", case, f"{hidden}:courier", *WAIT)
        anna.does("seizure", "narrative", case, "hidden behind the dashboard", *WAIT)
    found = []
    for words in (
        ("feed", "explain", case, "--peer", "XB"),
        ("feed", "explain", hidden, "--peer", "XB"),
        ("cen", "preview", case),
        ("cen", "preview", hidden),
    ):
        for more in ([], ["--json"]):
            done = asker.run(*words, *more)
            ids = {case: "CASE", hidden: "HIDDEN"}
            found.append((done.returncode, masked(done.stdout, ids), masked(done.stderr, ids)))
    return found


@pytest.mark.parametrize("is_gated", [True, False])
def test_they_show_no_more_than_the_caller_sees(
    closed: World, another: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_gated: bool
) -> None:
    """The control takes the gate away: then the worlds with and without the hidden person are told apart."""
    if not is_gated:
        monkeypatch.setattr("cli.feeds.seen", lambda *_: None)
        monkeypatch.setattr("cli.cen.seen", lambda *_: None)
    answers = []
    for world, with_hidden in ((closed, True), (another, False)):
        meet(world, tmp_path / f"xb-{with_hidden}")
        answers.append(told(world, world.with_user("lena", Role.LEGAL_OFFICER), with_hidden=with_hidden))
    assert (answers[0] == answers[1]) is is_gated


def test_a_dry_run_logs_the_ids_of_what_it_shows(closed: World, tmp_path: Path) -> None:
    dan = closed.with_user("dan", Role.DATA_MANAGER)
    mapping, file = tmp_path / "m.toml", tmp_path / "f.csv"
    mapping.write_text(REGISTER)
    file.write_text(text_of(*ROWS))
    words = ("import", "seizures", str(file), "--mapping", str(mapping))
    dan.does(*words)
    file.write_text(text_of(ROWS[0].replace("2.5", "3.5"), *ROWS[1:], ROWS[0].replace("1,XAPORT", "9,XAPORT")))
    before = len(closed.log())
    assert "3.5" in dan.does(*words, "--dry-run")
    asked, shown = lines(closed, before)
    assert asked == ("import seizures", "dan", [], False)
    [record] = shown[2]
    assert shown[3]
    with Reader.open(closed.database_url, keys=None) as reader:
        assert reader.record(record)[0].name == "seizure.recorded"
    with closed.owner() as session:
        session.execute("ALTER TABLE processing.log ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
    done = dan.run(*words, "--dry-run")
    assert (done.returncode != ExitCode.DONE, "3.5" in done.stdout) == (True, False)
