"""`ncen login`, `logout`, `whoami`: begin a session at a closed node, end it, and tell whose it is.

A password is typed without showing it, or read as the first line of standard input where nobody sits at a terminal; it
never stands on the command line. A first sign-in takes an enrolment code in place of the password and sets one.
"""

# ruff: noqa: D417  # a flag is described where it is declared: in the docstring or beside its type; cyclopts reads both

import getpass
import re
import sys
import unicodedata
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from cyclopts import Parameter

from cli import output
from cli.output import Misused, NotAllowed
from cli.settings import load
from cli.signing import connected, keep_session, secret_of, session_file
from domain import forms
from domain.attribution import UserId

MOST_TYPED_BYTES = 4096


def typed_secret(words: str) -> str:
    """A secret as typed at a terminal, unseen, or the next line of standard input; in one form of its letters.

    A letter with an accent comes as one sign or as two, by keyboard: NFKC makes them the same (NIST SP 800-63B).

    Raises:
        Misused: it is longer than any secret, no text, or holds what no keyboard types.
    """
    if sys.stdin.isatty():
        told = getpass.getpass(f"{words}: ").encode(errors="surrogateescape")
    else:
        told = sys.stdin.buffer.readline(MOST_TYPED_BYTES + 1)
    if len(told) > MOST_TYPED_BYTES:
        raise Misused(f"{words}: it is longer than any, and was not looked at.")
    try:
        text = unicodedata.normalize("NFKC", told.decode().rstrip("\r\n"))
    except UnicodeDecodeError:
        raise Misused(f"{words}: it is no text in UTF-8.") from None
    if output.CONTROL.search(text):
        raise Misused(f"{words}: it holds a sign that is not seen; type it, in place of pasting it.")
    return text


def _known_form(user: str, code: str | None) -> str | None:
    """Refuse what is neither a user nor a one-time code before anything is counted; return the code as plain digits."""
    try:
        forms.convert(user, UserId)
    except msgspec.ValidationError:
        raise Misused("USER is a staff identifier (officer-01), never a name.") from None
    plain = None if code is None else unicodedata.normalize("NFKC", code[:MOST_TYPED_BYTES]).strip()
    if plain is not None and re.fullmatch(r"[0-9]{6}", plain) is None:
        raise Misused("--code is a one-time code of six digits.")
    return plain


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

    settings, now, code = load(), datetime.now(UTC), _known_form(user, code)
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
