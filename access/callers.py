"""Who calls: sessions and tokens, and the user behind them as the ledger has it.

A secret is random, is kept by its holder alone and stored as a hash. The roles in which somebody may act are read from
the user's record in the ledger at every call, so that what was withdrawn there holds at once, whatever a table says.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from access import accounts
from access.accounts import NotAdmitted
from domain import records
from domain.attribution import Role, UserId
from domain.permissions import VERBS, Host
from domain.user import User, record_id_of
from ledger import line
from ledger.sessions import Session

SESSION_FOR = timedelta(hours=10)
IDLE_FOR = timedelta(hours=1)
NOTED_EVERY = timedelta(minutes=1)
LONGEST_TOKEN = timedelta(days=366)
TOKEN_MARK = "ncen_"  # noqa: S105  # what secret scanners know our tokens by
_RECORD = f"""
    SELECT {line.ENTRY_COLUMNS} FROM ledger.entry e
    LEFT JOIN ledger.sealed s ON s.record_id = e.record_id AND s.version = e.version
    WHERE e.record_id = %s ORDER BY e.version
"""  # noqa: S608  # our own columns


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls, in which roles they may act, and by which secret; `verbs` narrows a token down."""

    user: UserId
    roles: tuple[Role, ...]
    secret: str
    verbs: frozenset[str] | None = None
    until: datetime

    def may_call(self, verb: str) -> tuple[Role, ...]:
        """The roles of the caller that may call this verb: none where nobody may."""
        if self.verbs is not None and verb not in self.verbs:
            return ()
        allowed = VERBS.get(verb, frozenset[Role | Host]())
        return tuple(role for role in self.roles if role in allowed)

    def __repr__(self) -> str:
        return f"Caller({self.user})"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is listed: never its secret."""

    token_id: UUID
    user: str
    name: str
    role: str
    verbs: tuple[str, ...]
    until: datetime


def hashed(secret: str) -> bytes:
    """The form in which a secret is stored; it is random, so that a plain hash tells nothing of it."""
    return hashlib.sha256(secret.encode()).digest()


def user_of(session: Session, node: str, user: UserId) -> User | None:
    """A user as the ledger has it at this moment; its events name no one, and need no key."""
    rows = line.rows(session, _RECORD, [record_id_of(node, user)])
    state: User | None = records.fold(line.entries(rows, {}))
    return state


def begin(session: Session, user: UserId, now: datetime) -> tuple[str, datetime]:
    """Begin a session of a user who was let in; return its secret and when it ends."""
    secret, until = secrets.token_urlsafe(32), now + SESSION_FOR
    with session.transaction():
        session.execute(
            "DELETE FROM access.session WHERE until < %s OR used_at < %s", [now, now - IDLE_FOR]
        )  # nobody is served by them any more
        session.execute(
            "INSERT INTO access.session (secret_hash, user_id, begun_at, used_at, until) VALUES (%s, %s, %s, %s, %s)",
            [hashed(secret), user, now, now, until],
        )
    return secret, until


def end(session: Session, secret: str) -> None:
    """End a session."""
    session.execute("DELETE FROM access.session WHERE secret_hash = %s", [hashed(secret)])


def caller(session: Session, node: str, secret: str, now: datetime) -> Caller:
    """Who it is that this secret belongs to.

    Raises:
        NotAdmitted: the session or token has ended, or the user may no longer act.
    """
    is_token = secret.startswith(TOKEN_MARK)
    found = _token(session, secret, now) if is_token else _session(session, secret, now)
    if found is None:
        raise NotAdmitted("This token does not hold (any more)." if is_token else "The session has ended: sign in.")
    name, until, verbs, role = found
    user = user_of(session, node, name)
    if user is not None:
        _follow(session, node, user)
    roles = () if user is None else user.active_roles
    if role is not None:
        roles = tuple(held for held in roles if held == role)
    if not roles:
        raise NotAdmitted("This user has no role in which to act (any more).")
    return Caller(user=name, roles=roles, secret=secret, verbs=verbs, until=until)


def _session(session: Session, secret: str, now: datetime) -> tuple[str, datetime, None, None] | None:
    row = session.execute(
        "SELECT user_id, until, used_at FROM access.session WHERE secret_hash = %s AND until > %s AND used_at > %s",
        [hashed(secret), now, now - IDLE_FOR],
    ).fetchone()
    if row is None:
        return None
    if now - row[2] > NOTED_EVERY:
        session.execute("UPDATE access.session SET used_at = %s WHERE secret_hash = %s", [now, hashed(secret)])
    return row[0], row[1], None, None


def _token(session: Session, secret: str, now: datetime) -> tuple[str, datetime, frozenset[str], str] | None:
    row = session.execute(
        "SELECT user_id, until, verbs, role FROM access.token WHERE secret_hash = %s AND until > %s",
        [hashed(secret), now],
    ).fetchone()
    return None if row is None else (row[0], row[1], frozenset(row[2]), row[3])


def _follow(session: Session, node: str, user: User) -> None:
    """Let the account say what the ledger says, where something has come between them."""
    row = session.execute("SELECT roles, office, cases FROM access.account WHERE user_id = %s", [user.user]).fetchone()
    if row != ([role.value for role in user.active_roles], user.office, list(user.cases)):
        assert user.user is not None  # noqa: S101  # a registered user has an identifier
        accounts.write(session, record_id_of(node, user.user), user)


def make_token(  # noqa: PLR0913  # each says what the token may
    session: Session, by: Caller, *, name: str, role: Role, verbs: Sequence[str], days: int, now: datetime
) -> tuple[str, Token]:
    """Make a token of the caller's for these verbs in this role; return its secret, which is shown once, and the token.

    Raises:
        NotAdmitted: the caller may not do it, or a token cannot last so long.
    """
    if by.verbs is not None:
        raise NotAdmitted("A token makes no tokens: sign in.")
    if not timedelta() < timedelta(days=days) <= LONGEST_TOKEN:
        raise NotAdmitted(f"A token lasts from 1 to {LONGEST_TOKEN.days} days.")
    for verb in verbs:
        if role not in by.may_call(verb):
            raise NotAdmitted(f"You may not call `{verb}` as {role}, and so no token of yours may.")
    secret, until = TOKEN_MARK + secrets.token_urlsafe(32), now + timedelta(days=days)
    row = session.execute(
        "INSERT INTO access.token (secret_hash, user_id, name, verbs, role, made_at, until)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING token_id",
        [hashed(secret), by.user, name, sorted(verbs), role, now, until],
    ).fetchone()
    assert row is not None  # noqa: S101  # RETURNING gives the row
    told = Token(token_id=row[0], user=by.user, name=name, role=role, verbs=tuple(sorted(verbs)), until=until)
    return secret, told


def tokens(session: Session, user: UserId) -> list[Token]:
    """The tokens of a user, those that end first before the others."""
    rows = session.execute(
        "SELECT token_id, user_id, name, role, verbs, until FROM access.token WHERE user_id = %s ORDER BY until", [user]
    ).fetchall()
    return [
        Token(token_id=one, user=name, name=told, role=role, verbs=tuple(verbs), until=until)
        for one, name, told, role, verbs, until in rows
    ]


def revoke_token(session: Session, user: UserId, token_id: UUID) -> bool:
    """End a token of a user; False when there is none."""
    return (
        session.execute("DELETE FROM access.token WHERE user_id = %s AND token_id = %s", [user, token_id]).rowcount == 1
    )
