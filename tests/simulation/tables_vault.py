"""What stands for the SQL of the vault: subjects' keys, erasures, and the guard that refuses keys of an older epoch."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg import errors

from ledger import epochs, insertion
from ledger.erasure import Erasure
from tests.simulation.disk import Row, Transaction
from tests.simulation.session import Answer, Rows, Session, array_elements, copy_into, statement
from tests.simulation.tables_ledger import ENTRY, insert_entry
from tests.simulation.world import EPOCH

WRAPPED = ("key_id", "record_id", "subject_tag", "version", "epoch", "wrapped")
GUARD_WAIT_S = 0.2
COLUMNS = ", ".join(Erasure.__struct_fields__)


def _number(raw: bytes | None) -> int | None:
    return None if raw is None else int.from_bytes(raw, "big", signed=True)


class Guarded(errors.CheckViolation):
    """The table refuses a key of an epoch that is being ended."""

    def __init__(self) -> None:
        """Say which constraint refuses it."""
        field = psycopg.pq.DiagnosticField.CONSTRAINT_NAME
        super().__init__("a check", info={field: insertion.EPOCH_GUARD.encode()})


def _insert_keys(transaction: Transaction, rows: Rows) -> None:
    server = transaction.server
    server.world.wait_until(lambda: server.locks.get(("guard", ())) in {None, transaction} or transaction.is_over)
    for key_id, record_id, tag, version, epoch, wrapped in rows:
        guard = transaction.get("guard")
        row = {
            "key_id": UUID(bytes=key_id),
            "record_id": UUID(bytes=record_id),
            "subject_tag": tag,
            "version": _number(version),
            "epoch": _number(epoch),
            "wrapped": wrapped,
        }
        if guard is not None and row["epoch"] < guard["epoch"]:
            raise Guarded
        transaction.insert("subject_key", (row["key_id"],), row)


# -- ledger.insertion


@statement(insertion.INSERT_KEYS + insertion.INSERT_MANY)
def insert_with_keys(_: Session, transaction: Transaction, values: Sequence[Any]) -> Answer:
    """INSERT of lines and of keys, which both come as arrays."""
    columns = list(map(array_elements, values))
    _insert_keys(transaction, list(zip(*columns[len(ENTRY) :], strict=True)))
    lines = list(zip(*columns[: len(ENTRY)], strict=True))
    for ordinal, fields in enumerate(lines):
        insert_entry(transaction, ordinal, fields)
    return [], len(lines)


@copy_into(insertion.COPY_KEYS)
def copy_keys(transaction: Transaction, rows: Rows) -> None:
    """COPY of keys."""
    _insert_keys(transaction, rows)


# -- ledger.vault


def _keys(rows: Sequence[Row | None]) -> Answer:
    found = [tuple(row[column] for column in WRAPPED) for row in rows if row is not None]
    return found, len(found)


_WRAPPED = "SELECT key_id, record_id, subject_tag, version, epoch, wrapped FROM ledger.subject_key WHERE"


@statement(f"{_WRAPPED} key_id = ANY(%s)")
def find(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The keys of these ids."""
    return _keys([transaction.get("subject_key", key_id) for key_id in parameters[0]])


# -- ledger.erasure


@statement("SELECT to_regclass('ledger.erasure_unfinished')")
def is_prepared(_: Session, __: Transaction, ___: Sequence[Any]) -> Answer:
    """Whether the table of erasures is there: it is."""
    return [("ledger.erasure_unfinished",)], 1


def listed(transaction: Transaction, keep: Any) -> Answer:  # noqa: ANN401  # says of a row whether it is wanted
    """Rows of ledger.erasure as `erasure.listed` asks for them: by name, oldest first."""
    rows = [row for row in transaction.rows("erasure").values() if keep(row)]
    rows.sort(key=lambda row: (row["asked_at"], row["erasure_id"]))
    found: Any = [dict(row) for row in rows]
    return found, len(found)


def _listing(condition: str, keep: Any) -> None:  # noqa: ANN401  # says of a row and parameters whether it is wanted
    @statement(f"SELECT {COLUMNS} FROM ledger.erasure WHERE {condition} ORDER BY asked_at, erasure_id")
    def list_(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
        return listed(transaction, lambda row: keep(row, parameters))


_listing("subject = %s", lambda row, asked: row["subject"] == asked[0])
_listing("erasure_id = ANY(%s)", lambda row, asked: row["erasure_id"] in asked[0])
_listing("erased_at IS NULL", lambda row, _: row["erased_at"] is None)
_listing("erased_at IS NOT NULL", lambda row, _: row["erased_at"] is not None)
_listing(
    "erasure_id = ANY(%s) AND erased_at IS NULL",
    lambda row, asked: row["erasure_id"] in asked[0] and row["erased_at"] is None,
)
_listing(
    "erased_at IS NOT NULL AND retold_at IS NULL",
    lambda row, _: row["erased_at"] is not None and row["retold_at"] is None,
)


@statement("SELECT name, node FROM ledger.entry WHERE record_id = %s ORDER BY version LIMIT 1")
def first_entry(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """What a record began with."""
    mine = [row for row in transaction.rows("entry").values() if row["record_id"] == parameters[0]]
    first = min(mine, key=lambda row: row["version"], default=None)
    return ([], 0) if first is None else ([(first["name"], first["node"])], 1)


@statement("SELECT count(*) FROM ledger.subject_key WHERE subject_tag = ANY(%s)")
def count_keys(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How many keys there are of these subjects."""
    return [(sum(row["subject_tag"] in parameters[0] for row in transaction.rows("subject_key").values()),)], 1


@statement(
    "INSERT INTO ledger.erasure (erasure_id, subject, kind, grounds, attribution, asked_at) "
    "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
def intend(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Record what is to be done, unless it is recorded."""
    erasure_id, subject, kind, grounds, attribution, asked_at = parameters
    transaction.lock("erasure", erasure_id)
    if transaction.get("erasure", erasure_id) is not None:
        return [], 0
    row: Row = dict.fromkeys(Erasure.__struct_fields__) | {
        "erasure_id": erasure_id,
        "subject": subject,
        "kind": kind,
        "grounds": str(grounds),
        "attribution": attribution,
        "asked_at": asked_at,
        "keys": [],
        "records": [],
    }
    transaction.put("erasure", (erasure_id,), row)
    return [], 1


@statement("SELECT DISTINCT record_id, node FROM ledger.entry WHERE record_id = ANY(%s)")
def makers(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Which of these records are here, and who made them."""
    found = (row for row in transaction.rows("entry").values() if row["record_id"] in parameters[0])
    rows = list(dict.fromkeys((row["record_id"], row["node"]) for row in found))
    return rows, len(rows)


@statement("SELECT DISTINCT subject_tag FROM ledger.subject_key WHERE subject_tag = ANY(%s)")
def tags_with_keys(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Of which subjects there are keys."""
    tags = {row["subject_tag"] for row in transaction.rows("subject_key").values()}
    rows = [(tag,) for tag in parameters[0] if tag in tags]
    return rows, len(rows)


@statement("DELETE FROM ledger.erasure WHERE erasure_id = ANY(%s) AND erased_at IS NULL")
def give_up(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Give up what a rule forbids."""
    for erasure_id in parameters[0]:
        transaction.lock("erasure", erasure_id)
        row = transaction.get("erasure", erasure_id)
        if row is not None and row["erased_at"] is None:
            transaction.delete("erasure", (erasure_id,))
    return [], len(parameters[0])


@statement(
    "SELECT erasure_id FROM ledger.erasure WHERE erasure_id = ANY(%s) AND erased_at IS NULL "
    "ORDER BY erasure_id FOR UPDATE"
)
def still_pending(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Those that nobody has finished, held."""
    found = []
    for erasure_id in sorted(parameters[0]):
        transaction.lock("erasure", erasure_id)
        row = transaction.get("erasure", erasure_id)
        if row is not None and row["erased_at"] is None:
            found.append((erasure_id,))
    return found, len(found)


@statement(
    "DELETE FROM ledger.subject_key WHERE subject_tag = ANY(%s) OR record_id = ANY(%s) "
    "RETURNING key_id, record_id, subject_tag"
)
def delete_keys(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Delete the keys of subjects, and all in their own records."""
    tags, records = parameters
    rows = [
        row
        for _, row in sorted(transaction.rows("subject_key").items())
        if row["subject_tag"] in tags or row["record_id"] in records
    ]
    gone = [row for row in rows if transaction.delete("subject_key", (row["key_id"],))]
    return [(row["key_id"], row["record_id"], row["subject_tag"]) for row in gone], len(gone)


@statement("SELECT key_id, count(*) FROM ledger.entry WHERE record_id = ANY(%s) AND key_id = ANY(%s) GROUP BY key_id")
def count_entries(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """How many entries were sealed under each key."""
    records, keys = parameters
    counts: dict[UUID, int] = {}
    for row in transaction.rows("entry").values():
        if row["record_id"] in records and row["key_id"] in keys:
            counts[row["key_id"]] = counts.get(row["key_id"], 0) + 1
    return list(counts.items()), len(counts)


@statement("UPDATE ledger.erasure SET erased_at = %s, keys = %s, records = %s, certificate = %s WHERE erasure_id = %s")
def erased(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """It is done."""
    at, keys, records, certificate, erasure_id = parameters
    values = {"erased_at": at, "keys": list(keys), "records": list(records), "certificate": certificate}
    return [], int(transaction.update("erasure", (erasure_id,), **values))


# -- ledger.epochs


@statement("SELECT pg_try_advisory_lock(%s, %s)")
def try_lock(session: Session, _: Transaction, parameters: Sequence[Any]) -> Answer:
    """Take a lock that lasts as long as the session."""
    holder = session.server.advisory.setdefault(tuple(parameters), session)
    return [(holder is session,)], 1


@statement("SELECT pg_advisory_unlock(%s, %s)")
def unlock(session: Session, _: Transaction, parameters: Sequence[Any]) -> Answer:
    """Let go of a lock."""
    if session.server.advisory.get(tuple(parameters)) is session:
        del session.server.advisory[tuple(parameters)]
    return [(True,)], 1


@statement(
    "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE conrelid = 'ledger.subject_key'::regclass AND conname = %s"
)
def guard_stands(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
    """The guard, as PostgreSQL writes it."""
    guard = transaction.get("guard")
    return ([], 0) if guard is None else ([(f"CHECK ((epoch >= {guard['epoch']})) NOT VALID",)], 1)


@statement(f"SET LOCAL lock_timeout = '{epochs.GUARD_WAIT}'")
def guard_wait(_: Session, __: Transaction, ___: Sequence[Any]) -> Answer:
    """How long the guard waits for writers: GUARD_WAIT_S."""
    return [], -1


def _set_guard(epoch: int) -> None:
    @statement(
        f"ALTER TABLE ledger.subject_key SET (fillfactor = {epochs.FILLFACTOR}), "
        f"DROP CONSTRAINT IF EXISTS {insertion.EPOCH_GUARD}, "
        f"ADD CONSTRAINT {insertion.EPOCH_GUARD} CHECK ((epoch >= {epoch})) NOT VALID"
    )
    def set_guard(_: Session, transaction: Transaction, __: Sequence[Any]) -> Answer:
        """Take the table for itself, so that no writer is under way, and refuse older epochs from now on."""
        server = transaction.server
        transaction.lock("guard")

        def is_alone() -> bool:
            return not any(
                other is not transaction and other.writes.get("subject_key") for other in server.active.values()
            )

        if not server.world.wait_for(is_alone, GUARD_WAIT_S):
            raise errors.LockNotAvailable("the table is in use")
        transaction.put("guard", (), {"epoch": epoch})
        return [], -1


for _epoch in range(2, 40):
    _set_guard(_epoch)


@statement(epochs._PAGE)
def page(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The next keys under older epochs, by id."""
    after, epoch, most = parameters
    rows = sorted(transaction.rows("subject_key").items())
    found = [row for (key_id,), row in rows if key_id > after and row["epoch"] < epoch][:most]
    return [
        (
            row["key_id"].bytes,
            row["record_id"].bytes,
            row["subject_tag"],
            row["version"],
            row["epoch"],
            row["wrapped"],
        )
        for row in found
    ], len(found)


@statement(epochs._REWRAP)
def rewrap(_: Session, transaction: Transaction, values: Sequence[Any]) -> Answer:
    """Put new wrappings in place of older ones."""
    ids, wrapped, raw_epoch = values
    epoch = _number(raw_epoch)
    for key_id, anew in zip(array_elements(ids), array_elements(wrapped), strict=True):
        assert key_id is not None
        key = UUID(bytes=key_id)
        transaction.lock("subject_key", key)
        row = transaction.get("subject_key", key)
        if row is not None and row["epoch"] < epoch:
            transaction.update("subject_key", (key,), epoch=epoch, wrapped=anew)
    return [], -1


@statement("SELECT EXISTS (SELECT FROM ledger.subject_key WHERE epoch = %s)")
def has_keys(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """Whether there are keys under an epoch."""
    return [(any(row["epoch"] == parameters[0] for row in transaction.rows("subject_key").values()),)], 1


@statement("UPDATE ledger.erasure SET destroyed_at = now() WHERE erased_at < %s AND destroyed_at IS NULL")
def destroyed(_: Session, transaction: Transaction, parameters: Sequence[Any]) -> Answer:
    """The epoch keys under which copies of the erased keys lie are gone, by the account of whoever rotates."""
    done = 0
    for key, row in sorted(transaction.rows("erasure").items()):
        if row["erased_at"] is not None and row["erased_at"] < parameters[0] and row["destroyed_at"] is None:
            done += transaction.update("erasure", key, destroyed_at=EPOCH)
    return [], done
