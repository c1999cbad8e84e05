"""The logins of those who only read: one for the gate, one for the processing log, each a PostgreSQL role of its own.

A session of such a login is its role from the beginning: there is no owner behind it to whom `RESET ROLE` would lead.
Name and password are random, lie in the keys folder (0600), and reach the server as a SCRAM verifier only. Where ncen
may not make roles, an administrator of the server makes them as the files say.
"""

import secrets
from enum import StrEnum
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from domain import forms
from ledger.errors import Unsafe
from ledger.sessions import Session
from ledger.whole_file import make_whole

GROUP = "ncen_login"
"""All logins of one server's nodes belong to it: it has no right, and tells them apart in pg_hba.conf."""
MOST_BYTES = 1_024


class Reading(StrEnum):
    """What somebody reads by a login."""

    GATE = "reader"
    LOG = "log-reader"


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A role of the server that may log in."""

    role: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.role})"


def file_of(keys: Path, reading: Reading) -> Path:
    """Where a login is kept."""
    return keys / f"{reading}.login"


def known(keys: Path, reading: Reading) -> Login:
    """The login that was made.

    Raises:
        Unsafe: it is missing, others may read it, or it is none.
    """
    path = file_of(keys, reading)
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if path.stat().st_mode & 0o077:
            raise Unsafe(f"Others may read {path}: make it its owner's alone (chmod 600).")
        login: Login = forms.from_json(raw, Login)
    except FileNotFoundError:
        raise Unsafe(f"{path} is missing: `ncen down`, then `ncen up`, makes a new login of the reader.") from None
    except (OSError, msgspec.DecodeError):
        raise Unsafe(f"{path} cannot be read: remove it, and `ncen up` makes a new login.") from None
    return login


def made(keys: Path, reading: Reading) -> Login:
    """The login that was made, or a new one."""
    path = file_of(keys, reading)
    if not path.exists():
        role = f"ncen_{reading.replace('-', '_')}_{secrets.token_hex(4)}"
        make_whole(path, msgspec.json.encode(Login(role, secrets.token_urlsafe(32))))
    return known(keys, reading)


def url(database_url: str, keys: Path, reading: Reading) -> str:
    """The address of a node's database for this login.

    Raises:
        Unsafe: there is none.
    """
    login = known(keys, reading)
    return make_conninfo(database_url, user=login.role, password=login.password)


def prepare(session: Session, keys: Path) -> dict[Reading, str]:
    """Let the server know the logins, with the passwords of their files; return the name of each role.

    To be called in a transaction.

    Raises:
        Unsafe: the role is not there, and we may not make one.
    """
    names = {}
    for reading in Reading:
        login = made(keys, reading)
        try:
            with session.transaction():
                _write(session, login)
        except psycopg.errors.InsufficientPrivilege:
            if not _is_there(session, login.role):
                raise Unsafe(_to_be_made(login, file_of(keys, reading))) from None
        names[reading] = login.role
    return names


def _to_be_made(login: Login, path: Path) -> str:
    return (
        f"The database's user may not make roles. Let an administrator of the server make a role {login.role} that may "
        f"log in with the password in {path} and has no other right, or write another's name and password there; then "
        "ask again."
    )


def _is_there(session: Session, role: str) -> bool:
    row = session.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    return row == (True,)


def _write(session: Session, login: Login) -> None:
    role = sql.Identifier(login.role)
    if not _is_there(session, login.role):
        session.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    verifier = session.pgconn.encrypt_password(login.password.encode(), login.role.encode(), b"scram-sha-256")
    session.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(verifier.decode())))
    if session.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (True,):
        _group(session, role)


def _group(session: Session, role: sql.Identifier) -> None:
    """Put a role into the group by which our own server's pg_hba.conf knows that it gives a password."""
    try:
        with session.transaction():
            session.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(GROUP)))
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        pass
    session.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(GROUP), role))
