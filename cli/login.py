"""`ncen login`, `logout`, `whoami`: begin a session at a closed node, end it, and tell whose it is.

A password is typed without showing it, or read as the first line of standard input where nobody sits at a terminal; it
never stands on the command line. A first sign-in takes an enrolment code in place of the password and sets one.
"""

# ruff: noqa: D417  # a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

import getpass
import sys
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from cli import output
from cli.output import Misused, NotAllowed
from cli.settings import load
from cli.signing import connected, keep_session, secret_of, session_file


def typed_secret(words: str) -> str:
    """A secret as typed at a terminal, unseen, or the next line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{words}: ")
    return sys.stdin.readline().rstrip("\r\n")


def login(
    user: str,
    /,
    *,
    enrol: Annotated[
        bool, Parameter(help="It is the first sign-in: with an enrolment code, to set a password.")
    ] = False,
    code: Annotated[str | None, Parameter(help="The one-time code, where the account asks for one.")] = None,
) -> None:
    """Sign in at a closed node; the lines that follow act as this user until `ncen logout` or the session's end.

    With --enrol, first the enrolment code and then the new password are typed (or are two lines of standard input).

    Args:
        user: Your staff identifier.
    """
    from access import accounts, callers
    from access.schema import is_closed
    from ledger.keyring import Keyring

    settings, now = load(), datetime.now(UTC)
    with connected(settings) as session:
        if not is_closed(session):
            raise Misused("This node is open: it has no users yet. `ncen user add` makes the first administrator.")
        password = typed_secret("Enrolment code" if enrol else "Password")
        accounts.check(session, Keyring.open(settings.keys), user, password, code, now)
        is_new = accounts.is_enrolling(session, user)
        if is_new and not enrol:
            raise NotAllowed("This is an enrolment code: sign in with --enrol, and set a password.")
        if is_new:
            accounts.set_password(session, user, typed_secret("New password"))
        secret, until = callers.begin(session, user, now)
        caller = callers.caller(session, settings.node, secret, now)
    keep_session(settings, user, secret, until)
    roles = [role.value for role in caller.roles]
    output.show(
        {"user": user, "roles": roles, "until": until.isoformat()},
        f"Signed in as {user} ({', '.join(roles)}) until {until:%Y-%m-%d %H:%M}Z.",
    )


def logout() -> None:
    """End the session that was begun here, at the node and on this machine."""
    from access import callers
    from access.schema import is_closed

    settings = load()
    path = session_file(settings)
    was_there = path.exists()
    if was_there:
        with connected(settings) as session:
            secret = secret_of(settings)
            if secret is not None and is_closed(session):
                callers.end(session, secret)
        path.unlink()
    output.show({"ended": was_there}, "Signed out." if was_there else "Nobody was signed in here.")


def whoami() -> None:
    """Tell who is signed in, in which roles, and until when."""
    from access import callers
    from access.schema import is_closed

    settings = load()
    with connected(settings) as session:
        if not is_closed(session):
            output.show(
                {"open": True, "user": output.manner.user or settings.user},
                "This node is open: it has no users yet, and who acts is told with --as.",
            )
            return
        secret = secret_of(settings)
        if secret is None:
            raise NotAllowed("Nobody is signed in: `ncen login USER`, or set NCEN_TOKEN.")
        caller = callers.caller(session, settings.node, secret, datetime.now(UTC))
    roles = [role.value for role in caller.roles]
    verbs = sorted(caller.verbs) if caller.verbs is not None else None
    told = f"{caller.user}, as {', '.join(roles)}, until {caller.until:%Y-%m-%d %H:%M}Z"
    output.show(
        {"open": False, "user": caller.user, "roles": roles, "verbs": verbs, "until": caller.until.isoformat()},
        told + (f", for {', '.join(verbs)}" if verbs else "") + ".",
    )
