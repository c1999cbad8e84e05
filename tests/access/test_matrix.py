"""The matrix at the door of the command: every verb stands in it, and each role gets through where it says so.

Each verb is called by a user of each role without any words: who may not is refused for lack of right, and who may is
told what is missing, or answered. Nothing that is not named gets through.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cyclopts import App

from access import accounts, callers, schema
from cli.main import app
from cli.output import ExitCode
from domain.attribution import Attribution, Purpose, Role
from domain.permissions import HOST, VERBS
from domain.user import RegisterUser, User, record_id_of
from ledger.ledger import Ledger
from ledger.sessions import connect
from tests.cli.closed import Closed

BOSS = Attribution(actor="boss", role=Role.ADMINISTRATOR, purpose=Purpose.ADMINISTRATION, legal_basis="XA:CUSTOMS-ACT")
GRANTED = [role for role in Role if role is not Role.NODE]


def verbs(parent: App = app, before: tuple[str, ...] = ()) -> Iterator[str]:
    """Every verb that the command knows, as it is typed."""
    for name in parent:
        if name.startswith("-"):
            continue
        below = list(verbs(parent[name], (*before, name)))
        yield from below or [" ".join((*before, name))]


def test_every_verb_stands_in_the_matrix() -> None:
    missing = sorted(set(verbs()) - set(VERBS))
    assert not missing, f"say in domain/permissions.py which roles may call {missing}: until then nobody may"


@pytest.fixture
def callers_of(tmp_path: Path, database_url: str) -> dict[Role, Closed]:
    """A closed node, with a user of each role signed in by a token-like session."""
    home = tmp_path / "home"
    made: dict[Role, Closed] = {}
    home.mkdir()
    with Ledger.open(database_url, node="XA", keys=home / "keys") as ledger, connect(database_url) as session:
        schema.prepare(session, home / "keys")
        for role in GRANTED:
            user = f"one-{role}"[:32]
            ledger.execute(record_id_of("XA", user), RegisterUser(user=user, roles=(role,)), BOSS)
            accounts.write(session, record_id_of("XA", user), User(user=user, roles=(role,)))
            secret, _ = callers.begin(session, user, datetime.now(UTC))
            node = Closed(home, database_url)
            made[role] = node.as_(role, token=secret)
    return made


def test_each_role_gets_through_where_the_matrix_says_so_and_nowhere_else(callers_of: dict[Role, Closed]) -> None:
    wrong = [
        (role.value, verb, is_let)
        for verb in sorted(set(verbs()))
        if VERBS[verb] != HOST
        for role in GRANTED
        if (is_let := callers_of[role].is_let(verb.split())) != (role in VERBS[verb])
    ]
    assert not wrong


def test_a_verb_that_the_matrix_does_not_name_is_refused(
    callers_of: dict[Role, Closed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.permissions.VERBS", {})
    monkeypatch.setattr("access.callers.VERBS", {})
    assert not any(callers_of[role].is_let(["search"]) for role in GRANTED)


def test_nobody_gets_through_without_a_session(callers_of: dict[Role, Closed]) -> None:
    nobody = callers_of[Role.OFFICER].as_("nobody")
    assert not any(nobody.is_let(verb.split()) for verb in sorted(set(verbs())) if VERBS[verb] != HOST)


def test_a_secret_that_was_made_up_opens_nothing(callers_of: dict[Role, Closed]) -> None:
    guesser = callers_of[Role.OFFICER].as_("guesser", token="ncen_" + "a" * 43)
    assert guesser.run("search").returncode == ExitCode.NOT_ALLOWED
