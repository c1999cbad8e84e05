"""`ncen user …`: put users on record, grant and withdraw roles, assign cases, and let users in with codes and tokens.

On an open node the first user is made an administrator and closes the node for good. Roles are records of the ledger;
passwords, one-time codes and tokens lie apart from it, as hashes, and each is shown once or not at all.
"""

# ruff: noqa: D417  # a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, cast
from uuid import UUID

from cyclopts import App, Parameter

from cli import asking, output, show
from cli.acting import ACTING, Acting, opened, require_record, tell
from cli.login import typed_secret
from cli.output import Misused, NotAllowed, NotFound
from cli.settings import load
from cli.signing import connected, require_command, signing
from domain.attribution import Purpose, Role
from domain.user import (
    AssignCase,
    DisableUser,
    EnableUser,
    GrantRole,
    PlaceUser,
    RegisterUser,
    User,
    UserCommand,
    UserReason,
    WithdrawCase,
    WithdrawRole,
    record_id_of,
)

if TYPE_CHECKING:
    from access.callers import Caller
    from cli.settings import Settings
    from ledger.ledger import Ledger
    from ledger.sessions import Session

app = App(name="user", help="Put users on record, and grant and withdraw their roles.")
token = App(name="token", help="Make, list and revoke tokens, with which programs call single verbs.")
app.command(token)

Who = Annotated[str, Parameter(name="USER", help="The user's staff identifier.")]
Roles = Annotated[list[Role], Parameter(name="--role", help="A role. Repeatable.", show_choices=False)]
As = Annotated[Role | None, Parameter(name="--as-role", help="In which role you act, where you hold several.")]
FIRST = "The first user of a node is its administrator: give --role administrator."


def _act(user: str, command: UserCommand, acting: Acting, role: Role = Role.ADMINISTRATOR) -> None:
    """Carry out a command about a user, let the account follow the record, and tell what happened."""
    from access import accounts, schema

    with opened() as (ledger, settings), connected(settings) as session:
        by = acting.attribution(settings, role=role, purpose=Purpose.ADMINISTRATION)
        require_command(by.role, command)
        record_id = record_id_of(settings.node, user)
        if not isinstance(command, RegisterUser):
            _require_user(session, settings, user)
        recorded = ledger.execute(record_id, command, by, command_id=acting.command_id)
        if schema.is_closed(session):
            accounts.write(session, record_id, _as_it_stands(ledger, record_id))
    tell(recorded, recorded.version, None, prints_id=False)


def _as_it_stands(ledger: "Ledger", record_id: UUID) -> User:
    return cast("User", ledger.state(record_id, "user"))


def _require_user(session: "Session", settings: "Settings", user: str) -> None:
    from access.callers import user_of

    if user_of(session, settings.node, user) is None:
        raise NotFound("There is no such user on record.")


@app.command
def add(user: Who, /, *, role: Roles, office: str | None = None, acting_role: As = None) -> None:
    """Put a user on record and print a one-time enrolment code, with which they sign in first and set a password.

    On an open node this makes the first administrator, and closes the node for good: from then on every verb asks who
    is signed in.

    Args:
        office: The customs office in which they work, such as COBOG1.
    """
    from access import accounts, schema

    acting = Acting(role=acting_role, purpose=Purpose.ADMINISTRATION)
    command = asking.from_flags(
        {"user": user, "roles": role} | asking.given(office=office), RegisterUser, {"user": "USER", "roles": "--role"}
    )
    with opened() as (ledger, settings), connected(settings) as session:
        is_first = not schema.is_closed(session)
        if is_first and Role.ADMINISTRATOR not in role:
            raise Misused(FIRST)
        if is_first and output.manner.user is None and settings.user is None:
            output.manner.user = user  # nobody is there yet who could have asked for it
        by = acting.attribution(settings, role=Role.ADMINISTRATOR, purpose=Purpose.ADMINISTRATION)
        require_command(by.role, command)
        record_id = record_id_of(settings.node, user)
        recorded = ledger.execute(record_id, command, by)
        schema.prepare(session, settings.keys)
        accounts.write(session, record_id, _as_it_stands(ledger, record_id))
        code, until = accounts.enrol(session, user, datetime.now(UTC))
    output.show(
        {
            "user": user,
            "id": str(recorded.record_id),
            "enrolment_code": code,
            "until": until.isoformat(),
            "closed_the_node": is_first,
        },
        f"Enrolment code of {user}, shown this once and good until {until:%Y-%m-%d %H:%M}Z:",
        f"  {code}",
        f"They sign in with `ncen login {user} --enrol` and set a password.",
        *(["The node is closed from now on: every verb asks who is signed in."] if is_first else []),
    )


@app.command
def enrol(user: Who, /) -> None:
    """Print a new enrolment code, in place of a lost password; sessions, tokens and one-time codes of the user end."""
    from access import accounts

    with connected(load()) as session:
        _require_other(user)
        code, until = accounts.enrol(session, user, datetime.now(UTC))
    output.show(
        {"user": user, "enrolment_code": code, "until": until.isoformat()},
        f"Enrolment code of {user}, shown this once and good until {until:%Y-%m-%d %H:%M}Z:",
        f"  {code}",
    )


def _require_closed() -> "Caller":
    if signing.caller is None:
        raise Misused("This node is open: it has no users yet. `ncen user add` makes the first administrator.")
    return signing.caller


def _require_other(user: str) -> None:
    if _require_closed().user == user:
        raise NotAllowed("Nobody enrols themselves: ask another administrator, or change your password.")


@app.command
def grant(user: Who, role: Role, /, *, acting: Acting = ACTING) -> None:
    """Grant a user a role.

    Args:
        role: The role, such as analyst.
    """
    _act(user, GrantRole(role=role), acting)


@app.command
def revoke(user: Who, role: Role, /, *, acting: Acting = ACTING) -> None:
    """Withdraw a role from a user; it holds at once.

    Args:
        role: The role, such as analyst.
    """
    _act(user, WithdrawRole(role=role), acting)


@app.command
def place(user: Who, office: str | None = None, /, *, acting: Acting = ACTING) -> None:
    """Place a user in a customs office, or in none.

    Args:
        office: The office, such as COBOG1.
    """
    _act(user, asking.from_flags({"office": office}, PlaceUser), acting)


@app.command
def assign(user: Who, case: UUID, /, *, acting: Acting = ACTING) -> None:
    """Assign a seizure or offence to a user, who sees all of it from then on.

    Args:
        case: The id of the seizure or offence.
    """
    with opened() as (ledger, _):
        kind = require_record(ledger, case)[0].kind
    if kind not in {"seizure", "offence"}:
        raise NotFound(f"There is no seizure or offence with the id {case}.")
    _act(user, AssignCase(case=case), acting, Role.SUPERVISOR)


@app.command
def unassign(user: Who, case: UUID, /, *, acting: Acting = ACTING) -> None:
    """Take an assigned seizure or offence from a user.

    Args:
        case: The id of the seizure or offence.
    """
    _act(user, WithdrawCase(case=case), acting, Role.SUPERVISOR)


@app.command
def disable(user: Who, /, *, reason: UserReason, acting: Acting = ACTING) -> None:
    """Shut a user out: sessions and tokens end at once, and what they did stays on record.

    Args:
        reason: Why.
    """
    _act(user, DisableUser(reason=reason), acting)


@app.command
def enable(user: Who, /, *, acting: Acting = ACTING) -> None:
    """Let a user in again, who signs in anew."""
    _act(user, EnableUser(), acting)


@app.command(name="list")
def list_() -> None:
    """List the users of this node, with their roles and offices."""
    from access.accounts import every

    _require_closed()
    with connected(load()) as session:
        rows = every(session)
    output.show(
        {"users": [show.plain(row) for row in rows]},
        output.table(
            "",
            ("user", "roles", "office", "cases>", "signs in with"),
            ([row.user, ", ".join(row.roles) or "shut out", row.office, len(row.cases), row.means] for row in rows),
        ),
    )


@app.command(name="show")
def show_(user: Who, /) -> None:
    """Show a user as it stands: roles, office, cases, and whether they are shut out."""
    from cli.reading import print_record

    with opened() as (ledger, settings):
        entries = ledger.entries(record_id_of(settings.node, user), kind="user")
    if not entries:
        raise NotFound("There is no such user on record.")
    print_record(entries, None)


# ---------------------------------------------------------------- one's own means


@contextmanager
def _own() -> "Iterator[tuple[Session, Settings, Caller]]":
    caller = _require_closed()
    if caller.verbs is not None:
        raise NotAllowed("A token changes no means of signing in: sign in.")
    settings = load()
    with connected(settings) as session:
        yield session, settings, caller


@app.command
def password() -> None:
    """Change your own password; all your sessions end.

    The old one is typed first, then the new one (or they are two lines of standard input).
    """
    from access import accounts
    from ledger.keyring import Keyring

    with _own() as (session, settings, caller):
        old = typed_secret("Password until now")
        accounts.require_password(session, Keyring.open(settings.keys), caller.user, old, datetime.now(UTC))
        accounts.set_password(session, caller.user, typed_secret("New password"))
    output.show({"changed": True}, "The password is changed; sign in again.")


@app.command
def totp() -> None:
    """Ask for one-time codes (RFC 6238) at each of your sign-ins from now on.

    The secret is printed once, for the authenticator app; then a code of it is typed, to show that it was taken over.
    """
    import pyotp

    from access import accounts
    from ledger.keyring import Keyring

    with _own() as (session, settings, caller):
        secret = pyotp.random_base32()
        output.say(pyotp.TOTP(secret).provisioning_uri(name=caller.user, issuer_name=f"ncen {settings.node}"))
        output.say(f"Secret: {secret}")
        code = typed_secret("Code")
        accounts.set_totp(session, Keyring.open(settings.keys), caller.user, secret, code, datetime.now(UTC))
    output.show({"asked": True}, "One-time codes are asked for from now on.")


@token.command(name="add")
def add_token(*, name: str, verb: list[str], role: Role | None = None, days: int = 90) -> None:
    """Make a token for single verbs in one role, print it once; a program gives it as NCEN_TOKEN.

    Args:
        name: What it is for, such as nightly-figures.
        verb: A verb that it may call, such as "stats seizures". Repeatable.
        role: The role in which it acts; the only one you hold when nothing is said.
        days: For how many days it holds.
    """
    from access import callers

    with _own() as (session, _, caller):
        secret, made = callers.make_token(
            session,
            caller,
            name=name,
            role=role or (caller.roles[0] if len(caller.roles) == 1 else _several(caller.roles)),
            verbs=verb,
            days=days,
            now=datetime.now(UTC),
        )
    output.show(
        {"token": secret, **show.plain(made)},
        f"Token {made.token_id}, shown this once and good until {made.until:%Y-%m-%d}:",
        f"  {secret}",
    )


def _several(roles: tuple[Role, ...]) -> Role:
    raise Misused(f"Say in which role the token acts: --role {' or '.join(roles)}.")


@token.command(name="list")
def list_tokens() -> None:
    """List your tokens: never their secrets."""
    from access import callers

    with _own() as (session, _, caller):
        found = callers.tokens(session, caller.user)
    output.show(
        {"tokens": [show.plain(one) for one in found]},
        output.table(
            "",
            ("id", "name", "role", "verbs", "until"),
            ([one.token_id, one.name, one.role, ", ".join(one.verbs), f"{one.until:%Y-%m-%d}"] for one in found),
        ),
    )


@token.command(name="revoke")
def revoke_token(token_id: UUID, /) -> None:
    """End a token of yours; it holds at once.

    Args:
        token_id: Its id, as `user token list` gives it.
    """
    from access import callers

    with _own() as (session, _, caller):
        if not callers.revoke_token(session, caller.user, token_id):
            raise NotFound("There is no such token of yours.")
    output.show({"revoked": str(token_id)}, "The token is revoked.")
