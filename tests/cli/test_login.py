"""Signing in: the first administrator, enrolment, lock-out, one-time codes, sessions, tokens, and acting as oneself."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyotp
import pytest

from cli.output import ExitCode
from cli.signing import signing
from tests.cli.closed import PASSWORD, Closed, code_in
from tests.cli.node import node

SEIZURE = (
    *("seizure", "record", "--office", "COBOG1", "--place", "CO", "--on", "2024-05-31"),
    *("--goods", "section=tobacco,quantity=12 kg"),
)
WRONG = "not the password at all"


@pytest.fixture
def ncen(tmp_path: Path, database_url: str) -> Iterator[Closed]:
    with node(tmp_path / "home", database_url, kind=Closed) as made:
        assert isinstance(made, Closed)
        yield made


def test_an_open_node_asks_nobody_and_says_so(ncen: Closed) -> None:
    assert ncen.tells("whoami")["open"]
    ncen.does(*SEIZURE, user="officer-1")  # and by then the tables are there
    ncen.does("search")
    assert "first administrator" in ncen.fails(ExitCode.USAGE, "login", "boss", text="x\n")


def test_the_first_user_is_an_administrator_and_closes_the_node(ncen: Closed) -> None:
    assert "administrator" in ncen.fails(ExitCode.USAGE, "user", "add", "anna", "--role", "officer")
    told = ncen.does("user", "add", "boss", "--role", "administrator")
    assert "closed from now on" in told
    for words in (("search",), ("history", "0192f3a0-7c1b-7000-8000-000000000001"), ("user", "list"), SEIZURE):
        assert "ncen login" in ncen.fails(ExitCode.NOT_ALLOWED, *words)
    boss = ncen.enrolled("boss", code_in(told))
    assert boss.tells("whoami")["roles"] == ["administrator"]


def test_who_called_is_forgotten_when_the_line_has_ended(ncen: Closed) -> None:
    boss = ncen.begun()
    boss.does("user", "list")
    assert signing.caller is None
    boss.fails(ExitCode.NOT_FOUND, "user", "show", "nobody")
    assert signing.caller is None


def test_there_is_no_default_password(ncen: Closed) -> None:
    ncen.does("user", "add", "boss", "--role", "administrator")
    for guess in ("", "admin", "boss", "ncen", "password"):
        ncen.fails(ExitCode.NOT_ALLOWED, "login", "boss", "--enrol", text=f"{guess}\n{PASSWORD}\n")


def test_an_enrolment_code_serves_once(ncen: Closed) -> None:
    code = code_in(ncen.does("user", "add", "boss", "--role", "administrator"))
    ncen.enrolled("boss", code)
    assert "do not fit" in ncen.fails(ExitCode.NOT_ALLOWED, "login", "boss", "--enrol", text=f"{code}\n{PASSWORD}x\n")


def test_a_weak_password_is_refused(ncen: Closed) -> None:
    code = code_in(ncen.does("user", "add", "boss", "--role", "administrator"))
    for weak in ("short", "aaaaaaaaaaaaaaaa", "boss-boss-bosses"):
        ncen.fails(ExitCode.NOT_ALLOWED, "login", "boss", "--enrol", text=f"{code}\n{weak}\n")


def test_a_session_ends_with_logout_and_by_itself(ncen: Closed) -> None:
    boss = ncen.begun()
    boss.does("user", "list")
    boss.does("logout")
    boss.fails(ExitCode.NOT_ALLOWED, "user", "list")
    boss.does("login", "boss", text=f"{PASSWORD}\n")
    with psycopg.connect(ncen.database_url) as connection:
        connection.execute("UPDATE access.session SET used_at = %s", [datetime.now(UTC) - timedelta(hours=2)])
    assert "has ended" in boss.fails(ExitCode.NOT_ALLOWED, "user", "list")


def test_the_session_lies_in_a_file_of_the_caller_alone(ncen: Closed) -> None:
    boss = ncen.begun()
    (file,) = (ncen.home / "config" / "boss" / "ncen").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    secret = json.loads(file.read_text())["secret"]
    with psycopg.connect(ncen.database_url) as connection:
        stored = connection.execute("SELECT secret_hash FROM access.session").fetchall()
    assert secret.encode() not in b"".join(row[0] for row in stored)
    file.chmod(0o644)
    assert "Others may read" in boss.fails(ExitCode.NOT_ALLOWED, "user", "list")


def test_it_warns_before_it_locks_and_then_locks_whatever_is_entered(ncen: Closed) -> None:
    ncen.begun()
    said = [ncen.fails(ExitCode.NOT_ALLOWED, "login", "boss", text=f"{WRONG}\n") for _ in range(5)]
    assert ["After 2" in one for one in said[:4]] == [False, False, True, False]
    assert "After 1" in said[3]
    assert "locked for" in said[4]
    assert "locked" in ncen.fails(ExitCode.NOT_ALLOWED, "login", "boss", text=f"{PASSWORD}\n")
    with psycopg.connect(ncen.database_url) as connection:
        connection.execute("UPDATE access.failure SET locked_until = %s", [datetime.now(UTC) - timedelta(seconds=1)])
    ncen.as_("boss").does("login", "boss", text=f"{PASSWORD}\n")


def test_who_is_unknown_is_answered_like_a_wrong_password(ncen: Closed) -> None:
    ncen.begun()
    known = [ncen.fails(ExitCode.NOT_ALLOWED, "login", "boss", text=f"{WRONG}\n") for _ in range(6)]
    unknown = [ncen.fails(ExitCode.NOT_ALLOWED, "login", "ghost", text=f"{WRONG}\n") for _ in range(6)]
    assert known == unknown


def test_one_time_codes_are_asked_for_and_serve_once(ncen: Closed) -> None:
    boss = ncen.begun()
    secret = pyotp.random_base32()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pyotp.random_base32", lambda: secret)
        now = pyotp.TOTP(secret)
        boss.does("user", "totp", text=f"{now.at(int(datetime.now(UTC).timestamp()) - 30)}\n")
    boss.does("logout")
    boss.fails(ExitCode.NOT_ALLOWED, "login", "boss", text=f"{PASSWORD}\n")
    code = now.now()
    boss.does("login", "boss", "--code", code, text=f"{PASSWORD}\n")
    boss.fails(ExitCode.NOT_ALLOWED, "login", "boss", "--code", code, text=f"{PASSWORD}\n")
    with psycopg.connect(ncen.database_url) as connection:
        row = connection.execute("SELECT totp_sealed FROM access.account").fetchone()
    assert row is not None
    assert secret.encode() not in row[0]


def test_nobody_acts_in_another_name(ncen: Closed) -> None:
    ncen.begun()
    anna = ncen.with_user("anna", "officer", office="COBOG1")
    assert "signed in as anna" in anna.fails(ExitCode.NOT_ALLOWED, *SEIZURE, "--as", "boss")
    assert "signed in as anna" in anna.fails(ExitCode.NOT_ALLOWED, *SEIZURE, user="boss")
    record = anna.does(*SEIZURE, "--as", "anna").strip()
    (entry,) = {json.dumps(entry["by"]) for entry in anna.tells("history", record)["entries"]}
    assert json.loads(entry)["actor"] == "anna"
    assert json.loads(entry)["role"] == "officer"


def test_a_role_that_is_not_held_is_refused(ncen: Closed) -> None:
    ncen.begun()
    anna = ncen.with_user("anna", "officer")
    assert "not do this as" in anna.fails(ExitCode.NOT_ALLOWED, *SEIZURE, "--role", "supervisor")
    assert "not for the role" in anna.fails(ExitCode.NOT_ALLOWED, "user", "list")


def test_who_holds_several_roles_chooses_one(ncen: Closed) -> None:
    ncen.begun()
    both = ncen.with_user("both", "investigator", "supervisor")
    assert "--role investigator or supervisor" in both.fails(ExitCode.USAGE, *SEIZURE)
    record = both.does(*SEIZURE, "--role", "investigator").strip()
    assert both.tells("history", record, "--role", "supervisor")["entries"][0]["by"]["role"] == "investigator"


def test_what_is_withdrawn_holds_at_once(ncen: Closed) -> None:
    boss = ncen.begun()
    anna = ncen.with_user("anna", "officer")
    anna.does(*SEIZURE)
    boss.does("user", "grant", "anna", "analyst")
    boss.does("user", "revoke", "anna", "officer")
    anna.fails(ExitCode.NOT_ALLOWED, *SEIZURE)
    boss.does("user", "disable", "anna", "--reason", "left")
    anna.fails(ExitCode.NOT_ALLOWED, "search")
    anna.fails(ExitCode.NOT_ALLOWED, "login", "anna", text=f"{PASSWORD}\n")


def test_nobody_grants_themselves_a_role(ncen: Closed) -> None:
    boss = ncen.begun()
    assert "their own rights" in boss.fails(ExitCode.REFUSED, "user", "grant", "boss", "legal-officer")


def test_users_and_what_they_were_granted_stand_in_the_ledger(ncen: Closed) -> None:
    boss = ncen.begun()
    ncen.with_user("anna", "officer", office="COBOG1")
    shown = boss.tells("user", "show", "anna")["record"]
    assert (shown["roles"], shown["office"]) == (["officer"], "COBOG1")
    listed = {row["user"]: row["roles"] for row in boss.tells("user", "list")["users"]}
    assert listed == {"anna": ["officer"], "boss": ["administrator"]}


def test_a_token_calls_its_verbs_and_no_other(ncen: Closed) -> None:
    ncen.begun()
    anna = ncen.with_user("anna", "analyst")
    assert "may not call" in anna.fails(ExitCode.NOT_ALLOWED, "user", "token", "add", "--name", "x", "--verb", "verify")
    made = anna.tells("user", "token", "add", "--name", "nightly", "--verb", "stats seizures")
    program = ncen.as_("program", token=made["token"])
    program.does("stats", "seizures", "--by", "section")
    program.fails(ExitCode.NOT_ALLOWED, "search")
    program.fails(ExitCode.NOT_ALLOWED, "user", "token", "list")
    assert made["token"] not in json.dumps(anna.tells("user", "token", "list"))
    anna.does("user", "token", "revoke", made["token_id"])
    program.fails(ExitCode.NOT_ALLOWED, "stats", "seizures", "--by", "section")


def test_a_password_is_changed_by_who_knows_it(ncen: Closed) -> None:
    boss = ncen.begun()
    boss.fails(ExitCode.NOT_ALLOWED, "user", "password", text=f"{WRONG}\n{PASSWORD} 2\n")
    boss.does("user", "password", text=f"{PASSWORD}\n{PASSWORD} 2\n")
    boss.fails(ExitCode.NOT_ALLOWED, "user", "list")
    boss.fails(ExitCode.NOT_ALLOWED, "login", "boss", text=f"{PASSWORD}\n")
    boss.does("login", "boss", text=f"{PASSWORD} 2\n")


def test_a_lost_password_is_replaced_by_another_administrator(ncen: Closed) -> None:
    boss = ncen.begun()
    anna = ncen.with_user("anna", "officer")
    assert "Nobody enrols themselves" in boss.fails(ExitCode.NOT_ALLOWED, "user", "enrol", "boss")
    code = code_in(boss.does("user", "enrol", "anna"))
    anna.fails(ExitCode.NOT_ALLOWED, "search")
    assert re.search("anna", ncen.enrolled("anna", code).does("whoami"))


def test_help_needs_no_sign_in_and_runs_nothing(ncen: Closed) -> None:
    ncen.begun()
    assert "Search what is on record" in ncen.does("search", "--help")
    ncen.fails(ExitCode.NOT_ALLOWED, "search", "--", "--help")
