"""Epochs: the living keys are wrapped anew, and the key under which the dead could still be opened is destroyed.

A deleted key lives on in dead tuples, in the write-ahead log, in dumps and in backups; when the key of its epoch is
gone, none of these copies opens. A rotation can be killed at any moment and is taken up again where it stood. While it
runs others go on writing: from its beginning the table itself refuses keys of an older epoch, so that none can slip in
behind the sweep, and who is refused wraps anew.
"""

import contextlib
import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import errors, pq

from ledger import binary, erasure
from ledger.errors import Conflict, Damaged, NotFound
from ledger.insertion import EPOCH_GUARD
from ledger.keyring import Keyring
from ledger.sessions import READ_TIMEOUT_MS, Session, connect
from ledger.vault import FORMAT_VERSION, NONCE_BYTES, WRAPPING_LABEL

AT_ONCE = 10_000
TURN = (0x6E63656E, 0x6570)
"""The lock of who rotates: "ncen", "ep"."""
FILLFACTOR = 45
"""Leaves room in each page for the next wrapping, which then touches no index."""
GUARD_WAIT = "200ms"
"""How long writers may have to wait for the guard to be set; then it gives way and tries again."""
GUARD_TRIES = 120
GUARD_PAUSE_S = 0.5

_NONCE_END = 1 + NONCE_BYTES
_PAGE = """
    SELECT uuid_send(key_id), uuid_send(record_id), subject_tag, version, epoch, wrapped
    FROM ledger.subject_key WHERE key_id > %s AND epoch < %s ORDER BY key_id LIMIT %s
"""
_REWRAP = b"""
    UPDATE ledger.subject_key k SET epoch = $3, wrapped = u.wrapped
    FROM unnest($1, $2) AS u (key_id, wrapped) WHERE k.key_id = u.key_id AND k.epoch < $3
"""
_TYPES = (binary.ARRAY_OF[binary.UUID], binary.ARRAY_OF[binary.BYTEA], binary.INT4)


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation did: the epoch it leads to, how many keys were wrapped anew, which epochs were destroyed."""

    epoch: int
    rewrapped: int
    destroyed: tuple[int, ...]
    seconds: float


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the vault stands: the newest epoch and its age, and the keys by epoch; `lost` open with no key at hand."""

    epoch: int
    began_at: datetime
    keys: dict[int, int]
    lost: int
    erased: int
    not_destroyed: int


def standing(database_url: str, keys: Path) -> Standing:
    """Return how the vault stands.

    Raises:
        Unsafe: others may read the keys.
        psycopg.OperationalError: the server cannot be reached.
    """
    keyring = Keyring.open(keys)
    at_hand = set(keyring.epochs())
    with connect(database_url, statement_timeout_ms=READ_TIMEOUT_MS) as session:
        erasure.prepare(session)
        counted = session.execute("SELECT epoch, count(*) FROM ledger.subject_key GROUP BY epoch ORDER BY epoch")
        by_epoch: dict[int, int] = dict(counted.fetchall())
        row = session.execute(
            "SELECT count(*) FILTER (WHERE erased_at IS NOT NULL), count(*) FILTER (WHERE destroyed_at IS NULL)"
            " FROM ledger.erasure"
        ).fetchone()
    erased, not_destroyed = row or (0, 0)
    return Standing(
        epoch=keyring.epoch,
        began_at=began_at(keyring, keyring.epoch),
        keys=by_epoch,
        lost=sum(count for epoch, count in by_epoch.items() if epoch not in at_hand),
        erased=erased,
        not_destroyed=not_destroyed,
    )


def began_at(keyring: Keyring, epoch: int) -> datetime:
    """Return when the key of an epoch was made, by the clock of the file system."""
    return datetime.fromtimestamp(keyring.epoch_file(epoch).stat().st_mtime, UTC)


def rotate(database_url: str, keys: Path) -> Rotated:
    """Begin a new epoch, wrap all living keys under it, destroy the old ones; or end what another began.

    Raises:
        Conflict: another rotation is at work, or somebody holds the table of keys for too long.
        Damaged: a key in the vault was changed; its epoch is not destroyed.
        psycopg.OperationalError: the server is gone; the next call goes on.
    """
    began = time.monotonic()
    keyring = Keyring.open(keys)
    with connect(database_url, statement_timeout_ms=READ_TIMEOUT_MS) as session, _turn(session):
        erasure.prepare(session)
        there = keyring.epochs()
        target = there[-1] + 1 if len(there) == 1 else there[-1]  # several are there: one was begun and not ended
        keyring.begin_epoch(target)
        _guard(session, target)
        rewrapped = _sweep(database_url, session, keyring, target)
        destroyed = tuple(_destroy_old(session, keyring, target))
    return Rotated(epoch=target, rewrapped=rewrapped, destroyed=destroyed, seconds=time.monotonic() - began)


@contextlib.contextmanager
def _turn(session: Session) -> Iterator[None]:
    row = session.execute("SELECT pg_try_advisory_lock(%s, %s)", TURN).fetchone()
    if row != (True,):
        raise Conflict("Another rotation of the vault is at work.")
    try:
        yield
    finally:
        with contextlib.suppress(psycopg.OperationalError):
            session.execute("SELECT pg_advisory_unlock(%s, %s)", TURN)


def _guard(session: Session, epoch: int) -> None:
    """Have the table refuse keys of older epochs; when this returns, no transaction with such a key is under way."""
    wanted = f"CHECK ((epoch >= {epoch})) NOT VALID"
    found = session.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'ledger.subject_key'::regclass AND conname = %s",
        [EPOCH_GUARD],
    ).fetchone()
    if found == (wanted,):
        return
    for _ in range(GUARD_TRIES):
        try:
            with session.transaction():
                session.execute(f"SET LOCAL lock_timeout = '{GUARD_WAIT}'".encode())
                session.execute(
                    f"ALTER TABLE ledger.subject_key SET (fillfactor = {FILLFACTOR}),"
                    f" DROP CONSTRAINT IF EXISTS {EPOCH_GUARD},"
                    f" ADD CONSTRAINT {EPOCH_GUARD} {wanted}".encode()
                )
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            time.sleep(GUARD_PAUSE_S)
        else:
            return
    raise Conflict("Somebody holds the table of keys for a long time (a dump?): rotate when it is done.")


# ---------------------------------------------------------------- wrapping anew


def _sweep(database_url: str, session: Session, keyring: Keyring, target: int) -> int:
    """Wrap anew what is wrapped under older epochs; the server writes a batch while the next one is being wrapped."""
    _read_by_key(session)
    wrapping = _Wrapping(keyring, target)
    after, count = bytes(16), 0
    with ThreadPoolExecutor(1, "ncen-rewrap") as threads, connect(database_url) as writing:
        _read_by_key(writing)
        written: Future[None] | None = None
        while rows := _page(session, after, target):
            after = rows[-1][0]
            made = wrapping.anew(rows)
            if written is not None:
                written.result()
            written = threads.submit(_write, writing, made, target)
            count += len(made)
        if written is not None:
            written.result()
    return count


def _read_by_key(session: Session) -> None:
    names = ["enable_hashjoin", "enable_mergejoin", "enable_seqscan"]
    session.execute("SELECT set_config(name, 'off', false) FROM unnest(%s::text[]) AS name", [names])


def _page(session: Session, after: bytes, target: int) -> list[tuple[Any, ...]]:

    return session.cursor(binary=True).execute(_PAGE, [UUID(bytes=after), target, AT_ONCE], prepare=True).fetchall()


def _write(session: Session, made: Sequence[tuple[bytes, bytes]], target: int) -> None:
    if not made:
        return
    ids, wrapped = zip(*made, strict=True)
    values = [binary.array(binary.UUID, ids), binary.array(binary.BYTEA, wrapped), binary.pack_int4(target)]
    result = session.pgconn.exec_params(_REWRAP, values, _TYPES, [1] * 3, 1)
    if result.status != pq.ExecStatus.COMMAND_OK:
        raise errors.error_from_result(result)


class _Wrapping:
    """Wraps keys under a new epoch, with the ciphers of the old ones kept at hand."""

    def __init__(self, keyring: Keyring, target: int) -> None:
        self._keyring = keyring
        self._target = target.to_bytes(4, "big")
        self._encrypt = AESGCM(keyring.epoch_key(target)).encrypt
        self._old: dict[int, AESGCM | None] = {}

    def anew(self, rows: Sequence[tuple[Any, ...]]) -> list[tuple[bytes, bytes]]:
        """Return id and new wrapping of each key; those whose epoch was destroyed before are passed over.

        Raises:
            Damaged: a key was changed.
        """
        made = []
        random = secrets.token_bytes(NONCE_BYTES * len(rows))
        for number, (key_id, record_id, tag, version, epoch, wrapped) in enumerate(rows):
            cipher = self._cipher(epoch)
            if cipher is None:
                continue
            place = WRAPPING_LABEL + key_id + record_id + tag + (version or 0).to_bytes(4, "big")
            try:
                secret = cipher.decrypt(wrapped[1:_NONCE_END], wrapped[_NONCE_END:], place + epoch.to_bytes(4, "big"))
            except (InvalidTag, ValueError):
                secret = None
            if secret is None or wrapped[:1] != FORMAT_VERSION:
                raise Damaged(f"The key {key_id.hex()} was changed, so its epoch {epoch} is not destroyed.")
            nonce = random[NONCE_BYTES * number : NONCE_BYTES * (number + 1)]
            made.append((key_id, FORMAT_VERSION + nonce + self._encrypt(nonce, secret, place + self._target)))
        return made

    def _cipher(self, epoch: int) -> AESGCM | None:
        if epoch not in self._old:
            try:
                self._old[epoch] = AESGCM(self._keyring.epoch_key(epoch))
            except NotFound:
                self._old[epoch] = None
        return self._old[epoch]


def _destroy_old(session: Session, keyring: Keyring, target: int) -> Iterator[int]:
    """Destroy the keys of older epochs, each only when no key is wrapped under it any more."""
    for epoch in keyring.epochs():
        if epoch >= target:
            continue
        row = session.execute("SELECT EXISTS (SELECT FROM ledger.subject_key WHERE epoch = %s)", [epoch]).fetchone()
        if row != (False,):
            raise Conflict(f"There are keys left under epoch {epoch}: it is not destroyed. Rotate once more.")
        keyring.destroy_epoch(epoch)
        yield epoch
    session.execute(
        "UPDATE ledger.erasure SET destroyed_at = now() WHERE erased_at < %s AND destroyed_at IS NULL",
        [began_at(keyring, target)],
    )
