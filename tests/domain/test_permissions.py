"""The permission matrix: every command is in it, what it does not name is refused, and roles are kept apart."""

from itertools import product

import pytest

from domain.attribution import Role
from domain.permissions import COMMANDS, HOST, SIGHTS, VERBS, WATCHING, Scope, conflicting, may_call, may_command
from domain.records import COMMANDS as EVERY_COMMAND

EXPECTED = {
    Role.OFFICER: ({"record-seizure", "register-person"}, {"validate-seizure", "register-premise", "register-user"}),
    Role.ANALYST: (set(), {"record-seizure", "assert-about-person", "merge-person"}),
    Role.SUPERVISOR: ({"validate-seizure", "assign-case", "merge-person"}, {"register-user", "erase-person"}),
    Role.CUSTODIAN: (set(), {"correct-seizure"}),
    Role.DATA_MANAGER: ({"restate-seizure"}, {"write-narrative", "register-person"}),
    Role.CONTACT_POINT: (set(), {"record-seizure", "register-premise"}),
    Role.DATA_PROTECTION_OFFICER: ({"restrict-person"}, {"record-seizure", "register-user"}),
    Role.AUDITOR: (set(), set(COMMANDS)),
    Role.LEGAL_OFFICER: ({"register-premise"}, {"record-seizure"}),
    Role.ADMINISTRATOR: ({"register-user"}, {"record-seizure", "register-person", "validate-seizure"}),
    Role.NODE: ({"receive-notice"}, {"record-seizure"}),
}


@pytest.mark.parametrize("tag", EVERY_COMMAND)
def test_every_command_stands_in_the_matrix(tag: str) -> None:
    assert COMMANDS.get(tag), f"say in domain/permissions.py which roles may {tag}: until then nobody may"


@pytest.mark.parametrize("role", EXPECTED)
def test_each_role_may_what_its_office_asks_and_no_more(role: Role) -> None:
    may, may_not = EXPECTED[role]
    assert all(may_command(role, tag) for tag in may)
    assert not any(may_command(role, tag) for tag in may_not)


@pytest.mark.parametrize("role", Role)
def test_what_is_not_named_is_refused(role: Role) -> None:
    assert not may_command(role, "no-such-command")
    assert not may_call([role], "no such verb")


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_verb_asks_for_one_of_its_roles(verb: str) -> None:
    allowed = VERBS[verb]
    if allowed == HOST:
        assert may_call([], verb)
        return
    assert not may_call([], verb)
    for role in Role:
        assert may_call([role], verb) == (role in allowed)


def test_each_role_has_a_sight() -> None:
    assert set(SIGHTS) == set(Role)


def test_only_those_who_watch_see_restricted_subjects() -> None:
    assert {role for role, sight in SIGHTS.items() if sight.sees_restricted} == WATCHING


def test_who_keeps_the_machine_sees_no_personal_data() -> None:
    assert SIGHTS[Role.ADMINISTRATOR].scope is Scope.NONE
    assert not any(may_call([Role.ADMINISTRATOR], verb) for verb in ("person show", "search", "history"))


@pytest.mark.parametrize(("one", "other"), list(product(sorted(WATCHING), sorted(set(Role) - WATCHING))))
def test_roles_that_watch_are_held_alone(one: Role, other: Role) -> None:
    assert conflicting([one, other]) is not None


def test_roles_that_do_not_conflict_are_held_together() -> None:
    assert conflicting([Role.OFFICER, Role.SUPERVISOR]) is None
    assert conflicting(list(WATCHING)) is None
