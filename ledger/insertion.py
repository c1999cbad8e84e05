"""Lines and keys into their tables: one INSERT for few, COPY BINARY for many; always one transaction.

An INSERT goes to libpq directly, which waits without holding Python's lock, because a command's time is mostly this
call. COPY sends what is packed while the rest is still being decided. Writers take no lock on any table.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from struct import Struct
from typing import Any

import msgspec
import psycopg
from psycopg import errors, pq
from psycopg.pq.abc import PGresult

from ledger import binary
from ledger.binary import BOOL, BYTEA, INT4, NULL, TEXT, TIMESTAMPTZ, UUID, field, pack_bool, pack_int4, timestamp
from ledger.line import Draft
from ledger.sessions import Session, connect
from ledger.vault import WrappedKey

COPY_FROM_LINES = 40
CHUNK_BYTES = 32 * 1024

_TYPES = (UUID, INT4, TIMESTAMPTZ, TEXT, TEXT, BOOL, BYTEA, BYTEA, BYTEA, BYTEA, UUID, BYTEA)
_KEY_TYPES = (UUID, UUID, BYTEA, INT4, INT4, BYTEA)
_COLUMN_COUNT = 13

INSERT_ONE = """
    INSERT INTO ledger.entry (ordinal, record_id, version, recorded_at, node, name, personal, body,
                              attribution, attribution_salt, attribution_hash, key_id, provenance)
    VALUES (0, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
INSERT_MANY = """
    INSERT INTO ledger.entry (ordinal, record_id, version, recorded_at, node, name, personal, body,
                              attribution, attribution_salt, attribution_hash, key_id, provenance)
    SELECT ordinal::int4 - 1, record_id, version, recorded_at, node, name, personal, body,
           attribution, attribution_salt, attribution_hash, key_id, provenance
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) WITH ORDINALITY
      AS l(record_id, version, recorded_at, node, name, personal, body,
           attribution, attribution_salt, attribution_hash, key_id, provenance, ordinal)
"""
INSERT_KEYS = """
    WITH keys AS (INSERT INTO ledger.subject_key (key_id, record_id, subject_tag, version, epoch, wrapped)
                  SELECT * FROM unnest($13, $14, $15, $16, $17, $18))
"""
COPY = """
    COPY ledger.entry (ordinal, record_id, version, recorded_at, node, name, personal, body,
                       attribution, attribution_salt, attribution_hash, key_id, provenance)
    FROM STDIN (FORMAT BINARY)
"""
COPY_KEYS = """
    COPY ledger.subject_key (key_id, record_id, subject_tag, version, epoch, wrapped) FROM STDIN (FORMAT BINARY)
"""

_ARRAY_TYPES = tuple(binary.ARRAY_OF[oid] for oid in _TYPES)
_KEY_ARRAY_TYPES = tuple(binary.ARRAY_OF[oid] for oid in _KEY_TYPES)
STATEMENTS: dict[bytes, tuple[str, Sequence[int]]] = {
    b"ncen_one": (INSERT_ONE, _TYPES),
    b"ncen_many": (INSERT_MANY, _ARRAY_TYPES),
    b"ncen_with_keys": (INSERT_KEYS + INSERT_MANY, _ARRAY_TYPES + _KEY_ARRAY_TYPES),
}


RIVALS = errors.UniqueViolation, errors.DeadlockDetected
"""What the server says of those who want the same places: taken, or (wanted in another order) waiting in a circle."""
EPOCH_GUARD = "epoch_living"
"""The constraint by which the table of keys refuses what is wrapped under an epoch that is being ended."""


class Taken(Exception):  # noqa: N818  # an answer, not a fault
    """The place of a line in its record is taken; `was_in_doubt`: perhaps by an earlier try of the same command."""

    def __init__(self, *, was_in_doubt: bool = False) -> None:
        super().__init__()
        self.was_in_doubt = was_in_doubt


class InDoubt(Exception):  # noqa: N818  # an answer, not a fault
    """The connection broke before the answer came: the lines may be recorded or not."""


class Plan(msgspec.Struct, frozen=True):
    """The lines and keys of a command: all of them are recorded, or none."""

    drafts: Sequence[Draft]
    keys: Sequence[WrappedKey] = ()


def open_session(database_url: str) -> Session:
    """Open a session that is prepared for `insert`."""
    connection = connect(database_url)
    try:
        connection.execute("SET plan_cache_mode = force_generic_plan")  # there is one way to insert
        for name, (query, types) in STATEMENTS.items():
            _require_done(connection.pgconn.prepare(name, query.encode(), types))
    except BaseException:
        connection.close()
        raise
    return connection


def _require_done(result: PGresult) -> None:
    if result.status != pq.ExecStatus.COMMAND_OK:
        raise errors.error_from_result(result)


def insert(connection: Session, plans: Iterable[Plan]) -> None:
    """Insert the lines and keys of these plans in one statement and transaction, in a round trip.

    Raises:
        Taken: one of the places is taken; nothing was inserted.
        InDoubt: the connection broke.
        psycopg.Error: the server refused otherwise; nothing was inserted.
    """
    drafts: list[Draft] = []
    keys: list[WrappedKey] = []
    for plan in plans:
        drafts += plan.drafts
        keys += plan.keys
    name, values = _statement(drafts, keys)
    pgconn = connection.pgconn
    try:
        result = pgconn.exec_prepared(name, values, [1] * len(values), 1)  # type: ignore[arg-type]  # None is NULL there
    except psycopg.OperationalError as error:
        connection.close()
        raise InDoubt from error
    if result.status != pq.ExecStatus.COMMAND_OK:
        if pgconn.status == pq.ConnStatus.BAD:
            raise InDoubt
        fault = errors.error_from_result(result)
        raise Taken if _was_too_late(fault) else fault


def _was_too_late(fault: Exception) -> bool:
    """Whether all is well once it is decided anew: a place was taken, or the keys are of an epoch that has ended."""
    if isinstance(fault, errors.CheckViolation):
        return fault.diag.constraint_name == EPOCH_GUARD
    return isinstance(fault, RIVALS)


def _statement(drafts: Sequence[Draft], keys: Sequence[WrappedKey]) -> tuple[bytes, Sequence[bytes | None]]:
    if keys:
        return b"ncen_with_keys", _arrays(_TYPES, map(_values, drafts)) + _arrays(_KEY_TYPES, map(_key_values, keys))
    if len(drafts) > 1:
        return b"ncen_many", _arrays(_TYPES, map(_values, drafts))
    return b"ncen_one", _values(drafts[0])


def _arrays(types: Sequence[int], rows: Iterable[Sequence[bytes | None]]) -> list[bytes | None]:
    return [binary.array(oid, column) for oid, column in zip(types, zip(*rows, strict=True), strict=True)]


def _values(draft: Draft) -> Sequence[bytes | None]:
    return (
        draft.record_id,
        pack_int4(draft.version),
        timestamp(draft.recorded_at_us),
        draft.node,
        draft.name,
        pack_bool(draft.is_personal),
        draft.body,
        draft.attribution,
        draft.attribution_salt,
        draft.attribution_hash,
        draft.key_id,
        draft.provenance,
    )


def _key_values(key: WrappedKey) -> Sequence[bytes | None]:
    version = None if key.version is None else pack_int4(key.version)
    return key.key_id.bytes, key.record_id.bytes, key.subject_tag, version, pack_int4(key.epoch), key.wrapped


# ---------------------------------------------------------------- many lines


def copy(connection: Session, plans: Iterable[Plan]) -> None:
    """Record the lines and keys of all plans in one transaction; what is packed is sent while the rest is produced.

    Raises as `insert` does, and whatever the producer raises; nothing is recorded then.
    """
    producer = iter(plans)
    few: list[Plan] = []
    lines = 0
    for plan in producer:
        few.append(plan)
        lines += len(plan.drafts)
        if lines >= COPY_FROM_LINES:
            _certain(connection, lambda: _copy(connection, few, producer))
            return
    if lines:
        insert(connection, few)


def _certain(connection: Session, write: Callable[[], None]) -> None:
    try:
        write()
    except (*RIVALS, errors.CheckViolation) as fault:
        if _was_too_late(fault):
            raise Taken from None
        raise
    except psycopg.OperationalError as error:
        if connection.closed:
            raise InDoubt from error
        raise


def _copy(connection: Session, first: Iterable[Plan], rest: Iterable[Plan]) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        send(cursor, chain(first, rest))


def send(cursor: psycopg.Cursor[Any], plans: Iterable[Plan], *, first_ordinal: int = 0) -> None:
    """COPY lines, then keys, within a transaction that is open; the first line is its `first_ordinal`th, from 0."""
    keys: list[WrappedKey] = []
    ordinal = first_ordinal
    with cursor.copy(COPY) as sink:
        chunk, size = [binary.COPY_HEADER], 0
        for plan in plans:
            keys.extend(plan.keys)
            for draft in plan.drafts:
                row = _row(ordinal, draft)
                chunk.append(row)
                size += len(row)
                ordinal += 1
            if size >= CHUNK_BYTES:
                sink.write(b"".join(chunk))
                chunk, size = [], 0
        sink.write(b"".join((*chunk, binary.COPY_TRAILER)))
    if keys:
        count = binary.pack_int2(len(_KEY_TYPES))
        rows = [count + b"".join(map(field, _key_values(key))) for key in keys]
        with cursor.copy(COPY_KEYS) as sink:
            sink.write(b"".join((binary.COPY_HEADER, *rows, binary.COPY_TRAILER)))


_row_head = Struct("!hiii16siiiq").pack
_NO_MORE = NULL * 3
_names: dict[tuple[bytes, bytes, bool], bytes] = {}


def _row(ordinal: int, draft: Draft) -> bytes:
    named = draft.node, draft.name, draft.is_personal
    names = _names.get(named)
    if names is None:
        names = _names[named] = field(draft.node) + field(draft.name) + field(pack_bool(draft.is_personal))
    if draft.attribution_hash is None and draft.key_id is None and draft.provenance is None:
        rest = _NO_MORE
    else:
        rest = field(draft.attribution_hash) + field(draft.key_id) + field(draft.provenance)
    recorded_at = draft.recorded_at_us - binary.UNIX_TO_PG_US
    return b"".join(
        (
            _row_head(_COLUMN_COUNT, 4, ordinal, 16, draft.record_id, 4, draft.version, 8, recorded_at),
            names,
            field(draft.body),
            field(draft.attribution),
            field(draft.attribution_salt),
            rest,
        )
    )
