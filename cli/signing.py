"""Who is signed in, and whether they may call the verb: asked once for every line, before the verb begins.

An open node (one that never had a user) asks nobody. A closed one lets through only verbs of the host, and callers
whose role the permission matrix lets call the verb; what the matrix does not name is refused. The secret of a session
lies in a file of the caller's own (0600), a token in NCEN_TOKEN.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cli import output
from cli.output import Misused, NotAllowed
from cli.processes import write_durably
from domain.permissions import may_command, needs_sign_in
from ledger import given_file

if TYPE_CHECKING:
    from access.callers import Caller
    from cli.settings import Settings
    from domain.attribution import Role
    from domain.event import Command
    from ledger.sessions import Session

SECRET = re.compile(r"(ncen_)?[A-Za-z0-9_-]{20,100}")
MOST_SESSION_BYTES = 4096
SIGN_IN = "This node asks who you are: `ncen login USER`, or set NCEN_TOKEN."


class Signing:
    """Who calls the verb of this line, and which; nobody, on an open node."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.caller: Caller | None = None
        self.verb = ""
        self.acting: Role | None = None
        """The role that was chosen for this line."""

    def admit(self, verb: str) -> None:
        """Find out who calls, and whether they may.

        Raises:
            NotAllowed: nobody is signed in, or this role may not.
            psycopg.OperationalError: the server cannot be reached.
        """
        self.caller, self.verb, self.acting = None, verb, None
        if not needs_sign_in(verb):
            return
        from access.accounts import NotAdmitted
        from access.callers import caller
        from cli.settings import load

        settings = load()
        with connected(settings) as session:
            if not _is_closed(session):
                return
            secret = secret_of(settings)
            if secret is None:
                raise NotAllowed(SIGN_IN)
            try:
                self.caller = caller(session, settings.node, secret, datetime.now(UTC))
            except NotAdmitted as answer:
                raise NotAllowed(f"{answer} {SIGN_IN}") from None
        _require_own_name(self.caller, output.manner.user or settings.user)
        if not self.caller.may_call(verb):
            held = ", ".join(self.caller.roles)
            raise NotAllowed(f"`ncen {verb}` is not for the role {held}{' of this token' * bool(self.caller.verbs)}.")

    def role(self, told: "Role | None", usual: "Role | None" = None) -> "Role":
        """As `_role`, and remember it for this line."""
        self.acting = self._role(told, usual)
        return self.acting

    def _role(self, told: "Role | None", usual: "Role | None") -> "Role":
        """The role in which the caller acts: as told, the only one that may, or the one that is usual for the verb.

        Raises:
            NotAllowed: they do not hold it, or it may not call the verb.
            Misused: several could be meant.
        """
        assert self.caller is not None  # noqa: S101  # asked on a closed node only
        allowed = self.caller.may_call(self.verb)
        if told is not None:
            if told not in allowed:
                raise NotAllowed(f"You may not do this as {told}: you may as {', '.join(allowed)}.")
            return told
        if len(allowed) == 1:
            return allowed[0]
        if usual in allowed:
            assert usual is not None  # noqa: S101  # None is in no tuple of roles
            return usual
        raise Misused(f"Say in which role you act: --role {' or '.join(allowed)}.")


signing = Signing()


def _require_own_name(caller: "Caller", named: str | None) -> None:
    if named is not None and named != caller.user:
        raise NotAllowed(f"You are signed in as {caller.user}, and act in no other name (--as, NCEN_USER).")


def require_command(role: "Role", command: "Command") -> None:
    """Refuse a command that the caller's role may not give; on an open node, none.

    Raises:
        NotAllowed: the matrix does not let this role give it.
    """
    tag = str(command.__struct_config__.tag)
    if signing.caller is not None and not may_command(role, tag):
        raise NotAllowed(f"The role {role} may not {tag.replace('-', ' ')}.")


@contextmanager
def connected(settings: "Settings") -> "Iterator[Session]":
    """A session with the node's database, as its owner."""
    from cli.supervisor import database_url
    from ledger.sessions import connect

    with connect(database_url(settings)) as session:
        yield session


def _is_closed(session: "Session") -> bool:
    """As `access.schema.is_closed`, without importing all of it where a node is open."""
    found = session.execute("SELECT to_regclass('access.account')").fetchone()
    return found != (None,) and session.execute("SELECT EXISTS (SELECT FROM access.account)").fetchone() == (True,)


# ---------------------------------------------------------------- the caller's own file


def secret_of(settings: "Settings") -> str | None:
    """The secret with which this line is called: a token, or that of the session that was begun here."""
    if token := os.environ.get("NCEN_TOKEN"):
        if SECRET.fullmatch(token) is None:
            raise NotAllowed(f"What NCEN_TOKEN holds is no token. {SIGN_IN}")
        return token
    path = session_file(settings)
    try:
        if path.stat().st_mode & 0o077:
            raise NotAllowed(f"Others may read {path}: remove it and sign in again.")
        secret = str(json.loads(given_file.read(path, MOST_SESSION_BYTES))["secret"])
    except FileNotFoundError:
        return None
    except (OSError, given_file.Unusable, ValueError, KeyError, TypeError, RecursionError):
        secret = ""
    if SECRET.fullmatch(secret) is None:
        raise NotAllowed(f"{path} cannot be read: sign in again.")
    return secret


def session_file(settings: "Settings") -> Path:
    """Where the session with this node is kept: in the caller's own configuration folder."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    config = Path(given) if given.startswith("/") else Path.home() / ".config"
    place = hashlib.sha256(str(settings.home).encode()).hexdigest()[:16]
    return config / "ncen" / f"session-{place}.json"


def keep_session(settings: "Settings", user: str, secret: str, until: datetime) -> Path:
    """Keep a session for the lines that follow, for the caller alone."""
    path = session_file(settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    path.unlink(missing_ok=True)
    write_durably(path, json.dumps({"user": user, "secret": secret, "until": until.isoformat()}))
    path.chmod(0o600)
    return path
