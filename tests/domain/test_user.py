"""Rules of a user: who is granted what, that nobody changes their own rights, and who watches does nothing else."""

from uuid import UUID

import pytest

from domain.attribution import Role
from domain.user import (
    AssignCase,
    CaseAssigned,
    CaseWithdrawn,
    DisableUser,
    EnableUser,
    GrantRole,
    PlaceUser,
    RegisterUser,
    RoleGranted,
    RoleWithdrawn,
    UserDisabled,
    UserEnabled,
    UserPlaced,
    UserReason,
    UserRegistered,
    WithdrawCase,
    WithdrawRole,
    record_id_of,
)
from tests.domain.given import acting, folded, given

CASE = UUID("0192f3a0-7c1b-7000-8000-000000000001")
ADMINISTRATOR = acting("boss", Role.ADMINISTRATOR)
ANNA = (UserRegistered(user="anna"), RoleGranted(role=Role.OFFICER))


def test_a_user_is_registered_with_roles_and_an_office() -> None:
    asked = RegisterUser(user="anna", roles=(Role.SUPERVISOR, Role.OFFICER), office="COBOG1")
    given().when(asked, ADMINISTRATOR).then(
        UserRegistered(user="anna"),
        RoleGranted(role=Role.OFFICER),
        RoleGranted(role=Role.SUPERVISOR),
        UserPlaced(office="COBOG1"),
    ).and_again()


def test_nobody_is_registered_twice_or_without_a_role() -> None:
    given(*ANNA).when(RegisterUser(user="anna", roles=(Role.ANALYST,)), ADMINISTRATOR).refused("already on record")
    given().when(RegisterUser(user="anna", roles=()), ADMINISTRATOR).refused("at least one role")


def test_the_role_of_the_machine_is_granted_to_nobody() -> None:
    given().when(RegisterUser(user="anna", roles=(Role.NODE,)), ADMINISTRATOR).refused("machine's own")


@pytest.mark.parametrize("watching", [Role.AUDITOR, Role.DATA_PROTECTION_OFFICER])
def test_who_watches_does_nothing_that_is_watched(watching: Role) -> None:
    given(*ANNA).when(GrantRole(role=watching), ADMINISTRATOR).refused("at once")
    given().when(RegisterUser(user="x", roles=(watching, Role.ADMINISTRATOR)), ADMINISTRATOR).refused("at once")


def test_roles_are_granted_and_withdrawn() -> None:
    given(*ANNA).when(GrantRole(role=Role.ANALYST), ADMINISTRATOR).then(RoleGranted(role=Role.ANALYST)).and_again()
    given(*ANNA).when(WithdrawRole(role=Role.OFFICER), ADMINISTRATOR).then(RoleWithdrawn(role=Role.OFFICER)).and_again()


def test_nobody_changes_their_own_rights() -> None:
    given(*ANNA).when(GrantRole(role=Role.ADMINISTRATOR), acting("anna")).refused("their own rights")
    given(*ANNA).when(EnableUser(), acting("anna")).refused("their own rights")


def test_a_user_is_placed_in_an_office() -> None:
    given(*ANNA).when(PlaceUser(office="COBOG1"), ADMINISTRATOR).then(UserPlaced(office="COBOG1")).and_again()


def test_cases_are_assigned_and_taken_back() -> None:
    given(*ANNA).when(AssignCase(case=CASE), ADMINISTRATOR).then(CaseAssigned(case=CASE)).and_again()
    given(*ANNA, CaseAssigned(case=CASE)).when(WithdrawCase(case=CASE), ADMINISTRATOR).then(
        CaseWithdrawn(case=CASE)
    ).and_again()


def test_who_is_shut_out_has_no_role_until_let_in_again() -> None:
    shut = (*ANNA, UserDisabled(reason=UserReason.LEFT))
    given(*ANNA).when(DisableUser(reason=UserReason.LEFT), ADMINISTRATOR).then(
        UserDisabled(reason=UserReason.LEFT)
    ).and_again()
    assert folded(ANNA).active_roles == (Role.OFFICER,)
    assert folded(shut).active_roles == ()
    given(*shut).when(EnableUser(), ADMINISTRATOR).then(UserEnabled()).and_again()
    assert folded((*shut, UserEnabled())).active_roles == (Role.OFFICER,)


def test_an_identifier_is_one_record_at_a_node() -> None:
    assert record_id_of("XA", "anna") == record_id_of("XA", "anna")
    assert record_id_of("XA", "anna") != record_id_of("XB", "anna")
    assert record_id_of("XA", "anna") != record_id_of("XA", "anne")


def test_there_must_be_a_user_to_change() -> None:
    given().when(EnableUser(), ADMINISTRATOR).refused("no such user")
