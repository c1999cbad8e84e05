"""Accounts: passwords as argon2id, one-time codes (TOTP), enrolment, and lock-out with a warning before it.

A user and a wrong password that do not exist are answered alike, after the same work, and failures are counted for
names that nobody has just as for those somebody has. There is no default password: an account begins with an enrolment
code that is shown once, kept as a hash, and ends by itself.
"""

import hmac
import secrets
import string
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.user import User
from ledger.keyring import Keyring
from ledger.sessions import Session

MOST_FAILURES = 5
WARNED_FROM = 3
LOCKED_FOR = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(days=1)
ENROLMENT_FOR = timedelta(days=3)
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256
TOTP_SECONDS = 30
CODE_SIGNS = string.ascii_uppercase.replace("O", "").replace("I", "") + "23456789"
DOES_NOT_FIT = "User, password or code do not fit."

DECOY = "$argon2id$v=19$m=65536,t=3,p=4$IPd4SWu6lVTlDFl361UbEQ$Yhlr2f9TReIUDHnNbUrjKoSLkuszD8ReWRl7j4pccms"
"""A hash that nothing is known to fit, of the same parameters: the same work for who has no password."""

_hasher = PasswordHasher()  # argon2id, by RFC 9106's second recommendation


class NotAdmitted(Exception):  # noqa: N818  # an answer, not a fault
    """Nobody is let in by this: the message is the sentence for the person who asked."""


class Account(msgspec.Struct, frozen=True):
    """What is kept of an account beside its record in the ledger."""

    user: str
    password_hash: str | None
    totp_sealed: bytes | None
    totp_step: int
    enrolment_hash: str | None
    enrolment_until: datetime | None


def write(session: Session, record_id: UUID, user: User) -> None:
    """Let the account follow its record in the ledger: roles, office and cases; without a role no session holds."""
    assert user.user is not None  # noqa: S101  # a registered user has an identifier
    session.execute(
        "INSERT INTO access.account (user_id, record_id, roles, office, cases) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (user_id) DO UPDATE SET roles = excluded.roles, office = excluded.office, cases = excluded.cases",
        [user.user, record_id, [role.value for role in user.active_roles], user.office, list(user.cases)],
    )
    if not user.active_roles:
        shut_out(session, user.user)


def shut_out(session: Session, user: str) -> None:
    """End all sessions and tokens of a user."""
    session.execute("DELETE FROM access.session WHERE user_id = %s", [user])
    session.execute("DELETE FROM access.token WHERE user_id = %s", [user])


def enrol(session: Session, user: str, now: datetime) -> tuple[str, datetime]:
    """Make an enrolment code in place of password, one-time codes and sessions; return it and when it ends.

    Raises:
        NotAdmitted: there is no such account.
    """
    code = "-".join("".join(secrets.choice(CODE_SIGNS) for _ in range(5)) for _ in range(4))
    until = now + ENROLMENT_FOR
    with session.transaction():
        made = session.execute(
            "UPDATE access.account SET password_hash = NULL, totp_sealed = NULL, totp_step = 0, enrolment_hash = %s,"
            " enrolment_until = %s WHERE user_id = %s",
            [_hasher.hash(code), until, user],
        )
        if made.rowcount != 1:
            raise NotAdmitted("There is no account of this user.")
        shut_out(session, user)
    return code, until


def require_sound(password: str, user: str) -> None:
    """Refuse a password that is too short, too long, or hardly one (NIST SP 800-63B, 5.1.1.2).

    Raises:
        NotAdmitted: it is.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise NotAdmitted(f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.")
    if user in password.lower() or len(set(password)) < 5:
        raise NotAdmitted("This password is too easy to guess: leave out your identifier, and take more than 4 signs.")


def set_password(session: Session, user: str, password: str) -> None:
    """Give an account a password; its enrolment code ends, and so do its sessions.

    Raises:
        NotAdmitted: the password is too weak.
    """
    require_sound(password, user)
    with session.transaction():
        session.execute(
            "UPDATE access.account SET password_hash = %s, enrolment_hash = NULL, enrolment_until = NULL"
            " WHERE user_id = %s",
            [_hasher.hash(password), user],
        )
        session.execute("DELETE FROM access.session WHERE user_id = %s", [user])


def set_totp(session: Session, keyring: Keyring, user: str, secret: str, code: str, now: datetime) -> None:  # noqa: PLR0913, PLR0917  # as `check`
    """Ask for one-time codes of this secret from now on, once a code shows that the secret was taken over.

    Raises:
        NotAdmitted: the code is not of this secret.
    """
    step = _step_of(secret, code, now, after=0)
    if step is None:
        raise NotAdmitted("The code does not fit: is the clock of the device right?")
    nonce = secrets.token_bytes(12)
    sealed = nonce + AESGCM(_totp_key(keyring)).encrypt(nonce, secret.encode(), user.encode())
    session.execute(
        "UPDATE access.account SET totp_sealed = %s, totp_step = %s WHERE user_id = %s", [sealed, step, user]
    )


def check(session: Session, keyring: Keyring, user: str, password: str, code: str | None, now: datetime) -> None:  # noqa: PLR0913, PLR0917  # each a part of the question
    """Let in who knows the password (or the enrolment code) and, where it is asked for, the one-time code.

    Raises:
        NotAdmitted: something of it does not fit, or too much did not fit before.
    """
    tag = hmac.digest(keyring.index_key, b"ncen sign-in name" + user.encode(), "sha256")
    with session.transaction():  # what is counted here is committed before it is answered
        failures = _failures(session, tag, now)
        fits = failures < MOST_FAILURES and _fits(session, keyring, user, password, code, now)
        if failures >= MOST_FAILURES:
            _verify(DECOY, password)  # the same work, whatever the answer
        elif fits:
            session.execute("DELETE FROM access.failure WHERE name_tag = %s", [tag])
        else:
            failures += 1
            _count(session, tag, failures, now)
    if not fits:
        raise NotAdmitted(_answer(failures))


def _answer(failures: int) -> str:
    minutes = int(LOCKED_FOR.total_seconds() // 60)
    if failures >= MOST_FAILURES:
        return f"Too many failures: this user is locked for {minutes} minutes, whatever is entered."
    if failures >= WARNED_FROM:
        left = MOST_FAILURES - failures
        return f"{DOES_NOT_FIT} After {left} more failure{'' if left == 1 else 's'} it is locked for {minutes} minutes."
    return DOES_NOT_FIT


def _failures(session: Session, tag: bytes, now: datetime) -> int:
    session.execute("DELETE FROM access.failure WHERE locked_until <= %s OR last_at < %s", [now, now - FORGOTTEN_AFTER])
    session.execute("SELECT pg_advisory_xact_lock(hashtextextended(encode(%s, 'hex'), 0))", [tag])
    row = session.execute("SELECT failures FROM access.failure WHERE name_tag = %s", [tag]).fetchone()
    return int(row[0]) if row else 0


def _count(session: Session, tag: bytes, failures: int, now: datetime) -> None:
    session.execute(
        "INSERT INTO access.failure VALUES (%s, %s, %s, %s) ON CONFLICT (name_tag) DO UPDATE"
        " SET failures = excluded.failures, last_at = excluded.last_at, locked_until = excluded.locked_until",
        [tag, failures, now, now + LOCKED_FOR if failures >= MOST_FAILURES else None],
    )


def _fits(session: Session, keyring: Keyring, user: str, password: str, code: str | None, now: datetime) -> bool:  # noqa: PLR0913, PLR0917  # as `check`
    account = find(session, user)
    if account is None:
        _verify(DECOY, password)
        return False
    stored = account.password_hash
    if stored is None and account.enrolment_until is not None and account.enrolment_until > now:
        stored = account.enrolment_hash
    if not _verify(stored or DECOY, password) or stored is None:
        return False
    return account.totp_sealed is None or _takes_code(session, keyring, account, code or "", now)


def find(session: Session, user: str) -> Account | None:
    """The account of a user, or None."""
    row = session.execute(
        "SELECT user_id, password_hash, totp_sealed, totp_step, enrolment_hash, enrolment_until"
        " FROM access.account WHERE user_id = %s",
        [user],
    ).fetchone()
    return Account(*row) if row else None


def _takes_code(session: Session, keyring: Keyring, account: Account, code: str, now: datetime) -> bool:
    assert account.totp_sealed is not None  # noqa: S101  # narrows the type; asked by the caller
    nonce, sealed = account.totp_sealed[:12], account.totp_sealed[12:]
    secret = AESGCM(_totp_key(keyring)).decrypt(nonce, sealed, account.user.encode()).decode()
    step = _step_of(secret, code, now, after=account.totp_step)
    if step is None:
        return False
    session.execute("UPDATE access.account SET totp_step = %s WHERE user_id = %s", [step, account.user])
    return True


def _step_of(secret: str, code: str, now: datetime, *, after: int) -> int | None:
    """The time step whose code this is, one step early or late; never one that was used before (RFC 6238, 5.2)."""
    current = int(now.timestamp()) // TOTP_SECONDS
    totp = pyotp.TOTP(secret)
    for step in (current, current - 1, current + 1):
        if step > after and hmac.compare_digest(totp.at(step * TOTP_SECONDS).encode(), code.strip().encode()):
            return step
    return None


def _totp_key(keyring: Keyring) -> bytes:
    return HKDF(hashes.SHA256(), 32, None, b"ncen totp sealing v1").derive(keyring.index_key)


def _verify(stored: str, password: str) -> bool:
    """Whether a password fits; one that is longer than any never does, after the same work as every other."""
    try:
        _hasher.verify(stored, password[:LONGEST_PASSWORD])
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False
    return len(password) <= LONGEST_PASSWORD


def is_enrolling(session: Session, user: str) -> bool:
    """Whether the account has an enrolment code and no password yet."""
    account = find(session, user)
    return account is not None and account.password_hash is None


def require_password(session: Session, keyring: Keyring, user: str, password: str, now: datetime) -> None:
    """Refuse who does not know their own password; it counts as a failed sign-in.

    Raises:
        NotAdmitted: it does not fit.
    """
    account = find(session, user)
    if account is None or account.password_hash is None or not _verify(account.password_hash, password):
        check(session, keyring, user, password + "\x00", None, now)


class Listed(msgspec.Struct, frozen=True):
    """An account as it is listed."""

    user: str
    roles: tuple[str, ...]
    office: str | None
    cases: tuple[UUID, ...]
    means: str


def every(session: Session) -> list[Listed]:
    """All accounts by name, with what they sign in with."""
    rows = session.execute(
        "SELECT user_id, roles, office, cases, CASE WHEN password_hash IS NULL THEN 'enrolment code'"
        " WHEN totp_sealed IS NULL THEN 'password' ELSE 'password and code' END FROM access.account ORDER BY user_id"
    ).fetchall()
    return [Listed(row[0], tuple(row[1]), row[2], tuple(row[3]), row[4]) for row in rows]
