"""How an erasure reaches the tables, and what is left of it in their files.

The projector looks for erasures that nobody has told the projections of, whoever made them (an officer, a peer's
notice, a restore), and asks for the records concerned to be told again. A deleted row stays in its file until the table
is written anew, in the server's statistics, and in the write-ahead log until its segments are gone: `clear` sees to all
three, and says what it could not do.
"""

import logging
import threading
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import psycopg
from psycopg import errors, sql

from domain.records import is_personal
from ledger import erasure
from ledger.erasure import Erasure
from ledger.sessions import Session, connect
from projections import positions
from projections.catalogue import PROJECTIONS

LOOK_S = 0.5
LONGEST_BACK_OFF_S = 5.0
CLEAR_TIMEOUT_MS = 3_600_000
LOCK_WAIT = "10s"
"""How long readers may have to wait behind a table that is to be written anew."""
MOST_SEGMENTS = 400
log = logging.getLogger(__name__)


class Cleared(msgspec.Struct, frozen=True, kw_only=True):
    """What was done about the files: erasures now cleared, tables written anew, log segments left behind."""

    erasures: int
    tables: int
    segments: int
    left: tuple[str, ...] = ()
    """What could not be done, in sentences."""


def run(database_url: str, *, stop: threading.Event) -> None:
    """Have told again whom an erasure concerns, until told to stop."""
    back_off_s = LOOK_S
    while not stop.is_set():
        try:
            with connect(database_url) as session:
                while not stop.wait(LOOK_S):
                    retell(database_url, session)
                    back_off_s = LOOK_S
        except Exception as error:  # noqa: BLE001  # it never gives up
            log.warning("forgetting waits after %s", type(error).__name__)
            stop.wait(back_off_s)
            back_off_s = min(back_off_s * 2, LONGEST_BACK_OFF_S)


def retell(database_url: str, session: Session) -> int:
    """Ask projections to tell again what erasures concern that they do not know of; return how many erasures."""
    asked = erasure.listed(session, "erased_at IS NOT NULL AND retold_at IS NULL")
    if asked:
        positions.retell(database_url, _records(asked))
        session.execute(
            "UPDATE ledger.erasure SET retold_at = %s WHERE erasure_id = ANY(%s)",
            [datetime.now(UTC), [one.erasure_id for one in asked]],
        )
    return len(asked)


def is_forgotten(database_url: str, erasures: list[Erasure]) -> bool:
    """Whether every projection has told the records of these erasures again."""
    with connect(database_url) as session:
        return not erasure.listed(
            session, "erasure_id = ANY(%s) AND retold_at IS NULL", [[one.erasure_id for one in erasures]]
        ) and not _is_being_told(session, _records(erasures))


def _records(erasures: list[Erasure]) -> list[UUID]:
    return list({record_id for one in erasures for record_id in (*one.records, one.subject)})


def _is_being_told(session: Session, records: list[UUID]) -> bool:
    try:
        row = session.execute(
            "SELECT EXISTS (SELECT FROM read.retelling WHERE record_id = ANY(%s))", [records]
        ).fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return False
    return row == (True,)


# ---------------------------------------------------------------- files


def clear(database_url: str) -> Cleared:
    """Write anew the tables from which somebody was erased, with their statistics, and leave old log segments behind.

    Raises:
        psycopg.OperationalError: the server is gone.
    """
    with connect(database_url, statement_timeout_ms=CLEAR_TIMEOUT_MS) as session:
        waiting = erasure.listed(session, "erased_at IS NOT NULL AND cleared_at IS NULL")
        ready = [one for one in waiting if one.retold_at is not None]
        if not ready or _is_being_told(session, _records(ready)):
            why = ("Projections have not yet told again what the erasures concern.",) if waiting else ()
            return Cleared(erasures=0, tables=0, segments=0, left=why)
        tables = personal_tables(session)
        left = [sentence for table in tables if (sentence := _write_anew(session, table))]
        left += _rewrite_statistics(session)
        segments, kept = turn_log(session)
        left += kept
        if not left:
            session.execute(
                "UPDATE ledger.erasure SET cleared_at = %s WHERE erasure_id = ANY(%s)",
                [datetime.now(UTC), [one.erasure_id for one in ready]],
            )
    return Cleared(erasures=0 if left else len(ready), tables=len(tables), segments=segments, left=tuple(left))


def personal_tables(session: Session) -> list[str]:
    """Return the tables in schema `read` that hold personal plaintext, as far as they are there."""
    names = {
        table.name
        for projection in PROJECTIONS.values()
        if any(map(is_personal, projection.NAMES))
        for table in projection.TABLES
    }
    rows = session.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'read' AND tablename = ANY(%s) ORDER BY 1", [list(names)]
    )
    return [name for (name,) in rows]


def _write_anew(session: Session, table: str) -> str | None:
    try:
        session.execute(f"SET lock_timeout = '{LOCK_WAIT}'".encode())
        session.execute(sql.SQL("VACUUM (FULL, ANALYZE) read.{}").format(sql.Identifier(table)))
    except errors.LockNotAvailable:
        return f"The table read.{table} was in use for too long to be written anew."
    finally:
        session.execute("RESET lock_timeout")
    return None


def _rewrite_statistics(session: Session) -> list[str]:
    """The server keeps samples of values for its planner: the old ones go as well."""
    try:
        session.execute("VACUUM (FULL) pg_catalog.pg_statistic")
    except (errors.InsufficientPrivilege, psycopg.Warning):
        return ["This role may not rewrite the server's statistics."]
    return []


def turn_log(session: Session) -> tuple[int, list[str]]:
    """Leave the segments of the write-ahead log behind that hold what was erased; return how many, and what remained.

    They are removed, not renamed for later use; those that were renamed before are written over.
    """
    try:
        session.execute("ALTER SYSTEM SET wal_recycle = off")
        session.execute("SELECT pg_reload_conf()")
    except errors.InsufficientPrivilege:
        return 0, ["This role may not turn the write-ahead log: old segments stay until the server reuses them."]
    try:
        turned = _switch(session)
    finally:
        session.execute("ALTER SYSTEM RESET wal_recycle")
        session.execute("SELECT pg_reload_conf()")
    return turned, []


def _switch(session: Session) -> int:
    """Go through all segments that are there now, and have them removed by checkpoints."""
    row = session.execute("SELECT count(*), max(name) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'").fetchone()
    last = str(row[1]) if row else ""
    turned = 0
    while turned < MOST_SEGMENTS:
        session.execute("SELECT pg_logical_emit_message(false, 'ncen', 'turn'), pg_switch_wal()")
        turned += 1
        row = session.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
        if row is None or str(row[0]) > last:
            break
    for _ in range(2):  # a checkpoint keeps what the one before it needs
        session.execute("SELECT pg_logical_emit_message(false, 'ncen', 'turn'), pg_switch_wal()")
        session.execute("CHECKPOINT")
    return turned + 2
