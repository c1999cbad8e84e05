"""The login of who only reads: no owner stands behind its session. And what takes the place of older functions."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from access import gate, logins, reports, schema
from access.logins import Reading
from ledger.errors import Unsafe
from ledger.ledger import Ledger
from ledger.sessions import Session, connect
from tests.access.world import World

CLIMBS = (
    "RESET ROLE; SELECT * FROM access.account",
    "RESET SESSION AUTHORIZATION; SELECT * FROM access.account",
    "SET ROLE ncen",
    "SET SESSION AUTHORIZATION ncen",
    "SET ROLE NONE; SELECT * FROM ledger.entry",
    "SELECT * FROM ledger.subject_key",
    "ALTER ROLE current_user SUPERUSER",
    "CREATE TABLE public.mine (a int)",
)


class Installed:
    """A database with the tables of access, and the keys folder of its node."""

    def __init__(self, url: str, keys: Path) -> None:
        self.url, self.keys = url, keys
        with Ledger.open(url, node="XA", keys=keys):
            pass

    def prepare(self) -> None:
        with connect(self.url) as session:
            schema.prepare(session, self.keys)

    @contextmanager
    def owner(self) -> Iterator[Session]:
        with connect(self.url) as session:
            yield session

    def ask(self, statement: str) -> object:
        with self.owner() as session:
            return session.execute(statement.encode()).fetchone()


@pytest.fixture
def installed(database_url: str, tmp_path: Path) -> Installed:
    return Installed(database_url, tmp_path / "keys")


def climbs(session: Session, statement: str) -> bool:
    """Whether a session gets further than its role by this."""
    try:
        session.execute(statement.encode())
    except psycopg.Error:
        return False
    return True


def test_nobody_stands_behind_a_session_that_reads(installed: Installed) -> None:
    installed.prepare()
    for reading in Reading:
        with connect(logins.url(installed.url, installed.keys, reading)) as session:
            assert [one for one in CLIMBS if climbs(session, one)] == []
            row = session.execute("SELECT session_user, current_user").fetchone()
            assert row == (logins.known(installed.keys, reading).role,) * 2
    with installed.owner() as session:  # the control: the same role, entered from the owner's session
        role = logins.known(installed.keys, Reading.GATE).role
        session.execute(f"SET ROLE {role}".encode())
        assert not climbs(session, "SELECT * FROM access.account")
        assert [one for one in CLIMBS[:5] if climbs(session, one)] == list(CLIMBS[:5])


def test_a_login_is_asked_for_its_password_which_lies_in_a_file_of_its_owners_alone(installed: Installed) -> None:
    installed.prepare()
    path = logins.file_of(installed.keys, Reading.GATE)
    login = logins.known(installed.keys, Reading.GATE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert login.password not in repr(login)
    for password in ("", "guessed"):
        with pytest.raises(psycopg.OperationalError):
            connect(psycopg.conninfo.make_conninfo(installed.url, user=login.role, password=password))
    stored = installed.ask(f"SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = '{login.role}'")
    assert stored == (True,)
    path.chmod(0o644)
    with pytest.raises(Unsafe, match="Others may read"):
        logins.known(installed.keys, Reading.GATE)
    path.chmod(0o600)
    path.unlink()
    with pytest.raises(Unsafe, match="is missing"):
        logins.known(installed.keys, Reading.GATE)
    installed.prepare()  # makes another, as `ncen up` does
    with connect(logins.url(installed.url, installed.keys, Reading.GATE)) as session:
        schema.enter_reader(session)


def test_where_roles_may_not_be_made_it_says_what_an_administrator_has_to_make(installed: Installed) -> None:
    installed.prepare()
    keys = installed.keys.parent / "other"
    keys.mkdir(mode=0o700)
    with installed.owner() as session:
        session.execute("DROP ROLE IF EXISTS weak_owner")
        session.execute("CREATE ROLE weak_owner")
        session.execute("SET SESSION AUTHORIZATION weak_owner")
        try:
            with pytest.raises(Unsafe, match="Let an administrator of the server make a role ncen_reader_"):
                logins.prepare(session, keys)
            session.execute("RESET SESSION AUTHORIZATION")
            for reading in Reading:
                session.execute(f"CREATE ROLE {logins.made(keys, reading).role} LOGIN".encode())
            session.execute("SET SESSION AUTHORIZATION weak_owner")
            assert set(logins.prepare(session, keys)) == set(Reading)
        finally:
            session.execute("RESET SESSION AUTHORIZATION")
            session.execute("DROP ROLE weak_owner")


def owners() -> int:
    """How many open sessions of the owner the verbs of this process hold (its workers' threads hold some too)."""
    sessions = [one for one in gc.get_objects() if isinstance(one, psycopg.Connection)]
    return sum(not one.closed and one.info.user == "ncen" for one in sessions)


def test_a_verb_that_reads_holds_no_owners_session_while_it_reads(
    closed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, person = closed.case()
    held: list[int] = []
    opens, tells = gate.open_record, reports.who_saw

    def counted(*given: object, **more: object) -> object:
        held.append(owners())
        return opens(*given, **more)  # type: ignore[arg-type]  # handed on as it came

    def counted_too(*given: object) -> object:
        held.append(owners())
        return tells(*given)  # type: ignore[arg-type]  # the same

    monkeypatch.setattr(gate, "open_record", counted)
    monkeypatch.setattr(reports, "who_saw", counted_too)
    closed.as_("anna").does("person", "show", person)  # once, so that the workers are at rest
    gc.collect()
    before = owners()
    held.clear()
    closed.as_("anna").does("person", "show", person)
    closed.as_("udo").does("log", "who-saw", person)
    assert held == [before, before]
    with closed.owner():
        assert owners() == before + 1, "the control: one more would have been counted"


# ---------------------------------------------------------------- what an older program has installed

OLDER = """
CREATE SCHEMA gate;
CREATE TYPE gate.eyes AS (user_id text, office text);
CREATE FUNCTION gate.reached(names text[], OUT "position" bigint) LANGUAGE sql AS 'SELECT 1::bigint';
CREATE FUNCTION gate.level(eyes gate.eyes, record uuid) RETURNS text LANGUAGE sql AS $$ SELECT 'all' $$;
CREATE FUNCTION gate.open(secret text, record uuid) RETURNS SETOF text LANGUAGE sql AS $$ SELECT secret $$;
"""
FORMS = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'gate'::regnamespace AND proname = 'open'"


def test_functions_of_an_older_form_make_room_for_the_new(installed: Installed) -> None:
    with installed.owner() as session:
        session.execute(OLDER.encode())
    installed.prepare()
    installed.prepare()
    assert installed.ask(FORMS) == (1,), "an older form beside the new would be a way past it"
    assert installed.ask("SELECT count(*) FROM pg_attribute WHERE attrelid = 'gate.eyes'::regclass") != (2,)
    with connect(logins.url(installed.url, installed.keys, Reading.GATE)) as session:
        schema.enter_reader(session)


def test_without_making_room_an_older_form_would_stay_in_the_way(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    monkeypatch.setattr(schema, "CLEARING", "SELECT")
    with installed.owner() as session:
        session.execute(OLDER.encode())
    with pytest.raises(psycopg.ProgrammingError):
        installed.prepare()


def test_all_is_installed_or_nothing(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    with installed.owner() as session:
        session.execute(OLDER.encode())
    monkeypatch.setattr(schema, "STATEMENTS", (*schema.STATEMENTS, "SELECT 1/0"))
    with pytest.raises(psycopg.errors.DivisionByZero):
        installed.prepare()
    assert installed.ask("SELECT gate.reached('{}')") == (1,)
