"""A user: who may sign in at this node, in which roles, at which office, and with which cases.

Who granted what to whom, and when, stands in the ledger like everything else; a user is a staff identifier and never a
name. Nobody changes their own rights, and nobody holds a role that watches beside one that is watched. Passwords,
tokens and sessions are no part of a record: they lie apart, as hashes.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, assert_never
from uuid import UUID, uuid5

import msgspec
from msgspec import Meta

from domain.attribution import Occasion, Role, UserId
from domain.codes import NodeCode, OfficeCode
from domain.event import Command, Erased, Event
from domain.permissions import conflicting
from domain.refused import Refused

KIND = "user"
NAMESPACE = UUID("6e63656e-7573-8572-8000-000000000001")

Roles = Annotated[tuple[Role, ...], Meta(max_length=12)]


class UserReason(StrEnum):
    """Why a user was shut out."""

    LEFT = "left"
    LEAVE = "leave"
    CHANGE_OF_DUTIES = "change-of-duties"
    SECURITY_INCIDENT = "security-incident"
    MISUSE = "misuse"
    ENTRY_ERROR = "entry-error"


def record_id_of(node: NodeCode, user: UserId) -> UUID:
    """The record of a user at a node: the same identifier is the same record, so that it is given once."""
    return uuid5(NAMESPACE, f"{node}/{user}")


# ---------------------------------------------------------------- what happened


class UserRegistered(Event, frozen=True, kw_only=True, tag="user.registered"):
    """A user was put on record."""

    user: UserId


class RoleGranted(Event, frozen=True, kw_only=True, tag="user.role-granted"):
    """The user was granted a role."""

    role: Role


class RoleWithdrawn(Event, frozen=True, kw_only=True, tag="user.role-withdrawn"):
    """A role was withdrawn from the user."""

    role: Role


class UserPlaced(Event, frozen=True, kw_only=True, tag="user.placed"):
    """The user was placed in a customs office; None places them in none."""

    office: OfficeCode | None


class CaseAssigned(Event, frozen=True, kw_only=True, tag="user.case-assigned"):
    """A seizure or offence was assigned to the user."""

    case: UUID


class CaseWithdrawn(Event, frozen=True, kw_only=True, tag="user.case-withdrawn"):
    """A seizure or offence is no longer assigned to the user."""

    case: UUID


class UserDisabled(Event, frozen=True, kw_only=True, tag="user.disabled"):
    """The user was shut out."""

    reason: UserReason


class UserEnabled(Event, frozen=True, kw_only=True, tag="user.enabled"):
    """The user was let in again."""


UserEvent = (
    UserRegistered
    | RoleGranted
    | RoleWithdrawn
    | UserPlaced
    | CaseAssigned
    | CaseWithdrawn
    | UserDisabled
    | UserEnabled
)

# ---------------------------------------------------------------- what is asked


class RegisterUser(Command, frozen=True, kw_only=True, tag="register-user", omit_defaults=True):
    """Put a user on record, with roles and an office."""

    user: UserId
    roles: Roles
    office: OfficeCode | None = None


class GrantRole(Command, frozen=True, kw_only=True, tag="grant-role"):
    """Grant the user a role."""

    role: Role


class WithdrawRole(Command, frozen=True, kw_only=True, tag="withdraw-role"):
    """Withdraw a role from the user."""

    role: Role


class PlaceUser(Command, frozen=True, kw_only=True, tag="place-user"):
    """Place the user in a customs office, or in none."""

    office: OfficeCode | None


class AssignCase(Command, frozen=True, kw_only=True, tag="assign-case"):
    """Assign a seizure or offence to the user."""

    case: UUID


class WithdrawCase(Command, frozen=True, kw_only=True, tag="withdraw-case"):
    """Take an assigned seizure or offence from the user."""

    case: UUID


class DisableUser(Command, frozen=True, kw_only=True, tag="disable-user"):
    """Shut the user out."""

    reason: UserReason


class EnableUser(Command, frozen=True, kw_only=True, tag="enable-user"):
    """Let the user in again."""


UserCommand = RegisterUser | GrantRole | WithdrawRole | PlaceUser | AssignCase | WithdrawCase | DisableUser | EnableUser

# ---------------------------------------------------------------- how it stands


class User(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A user as it stands."""

    user: UserId | None = None
    roles: tuple[Role, ...] = ()
    office: OfficeCode | None = None
    cases: tuple[UUID, ...] = ()
    disabled: UserReason | None = None

    @property
    def active_roles(self) -> tuple[Role, ...]:
        """The roles in which the user may act now: none while shut out."""
        return () if self.disabled is not None else self.roles


def decide(user: User | None, command: UserCommand, occasion: Occasion) -> tuple[UserEvent, ...]:
    """Answer a command with what happens: events, none (nothing to do), or Refused."""
    match command, user:
        case RegisterUser(), None:
            return _registered(command)
        case RegisterUser(), User():
            if _folded(_registered(command)) == user:
                return ()
            raise Refused("This user is already on record.")
        case _, None:
            raise Refused("There is no such user on record.")
        case _, User():
            if occasion.actor == user.user:
                raise Refused("Nobody changes their own rights: ask another administrator.")
            return tuple(_changed(user, command))
    raise AssertionError("every command is answered above")


def _registered(command: RegisterUser) -> tuple[UserEvent, ...]:
    roles = tuple(sorted(set(command.roles)))
    if not roles:
        raise Refused("A user needs at least one role.")
    _require_fitting(roles)
    placed = () if command.office is None else (UserPlaced(office=command.office),)
    return (UserRegistered(user=command.user), *(RoleGranted(role=role) for role in roles), *placed)


def _require_fitting(roles: tuple[Role, ...]) -> None:
    if Role.NODE in roles:
        raise Refused("The role `node` is the machine's own, and is granted to nobody.")
    if (two := conflicting(roles)) is not None:
        raise Refused(f"Nobody is {two[0]} and {two[1]} at once: who watches does nothing that is watched.")


def _changed(user: User, command: UserCommand) -> Iterator[UserEvent]:
    match command:
        case GrantRole(role=role):
            if role not in user.roles:
                _require_fitting((*user.roles, role))
                yield RoleGranted(role=role)
        case WithdrawRole(role=role):
            if role in user.roles:
                yield RoleWithdrawn(role=role)
        case PlaceUser(office=office):
            if office != user.office:
                yield UserPlaced(office=office)
        case AssignCase(case=case):
            if case not in user.cases:
                yield CaseAssigned(case=case)
        case WithdrawCase(case=case):
            if case in user.cases:
                yield CaseWithdrawn(case=case)
        case DisableUser(reason=reason):
            if user.disabled is None:
                yield UserDisabled(reason=reason)
        case EnableUser():
            if user.disabled is not None:
                yield UserEnabled()
        case RegisterUser():
            raise AssertionError("answered by decide")
        case _:
            assert_never(command)


def evolve(user: User | None, event: UserEvent | Erased, _occasion: Occasion) -> User:
    """The user after an event; it never fails, since what happened, happened."""
    return evolved(user or User(), event)


def evolved(user: User, event: UserEvent | Erased) -> User:
    """The user after an event."""
    change = msgspec.structs.replace
    match event:
        case UserRegistered(user=name):
            return change(user, user=name)
        case RoleGranted(role=role):
            return change(user, roles=tuple(sorted({*user.roles, role})))
        case RoleWithdrawn(role=role):
            return change(user, roles=tuple(held for held in user.roles if held != role))
        case UserPlaced(office=office):
            return change(user, office=office)
        case CaseAssigned(case=case):
            return change(user, cases=tuple(sorted({*user.cases, case})))
        case CaseWithdrawn(case=case):
            return change(user, cases=tuple(held for held in user.cases if held != case))
        case UserDisabled(reason=reason):
            return change(user, disabled=reason)
        case UserEnabled():
            return change(user, disabled=None)
        case Erased():
            return user
        case _:
            assert_never(event)


def _folded(events: tuple[UserEvent, ...]) -> User:
    user = User()
    for event in events:
        user = evolved(user, event)
    return user
