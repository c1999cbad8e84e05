"""What the processing log tells: who saw whom, who did what, what is to be reviewed, and whether the log is whole.

It is read as the log's own reader, who may read it and nothing else. The chain is recomputed line by line from what is
stored; the first line that does not fit is named, and so is what was asked and never answered.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import sql

from ledger import log_tree
from ledger.leaf import leaf_hash
from ledger.sessions import Session, connect

COLUMNS = (
    "number, at, operation, user_id, role, purpose, legal_basis, verb, justification, reference, is_break_glass,"
    " ticket, answers, records, peer, position, is_unmasking"
)
NO_HASH = b""


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the log: who did what to which records, when, for what and on what grounds."""

    number: int
    at: datetime
    operation: str
    user: str | None
    role: str | None
    purpose: str | None
    legal_basis: str | None
    verb: str
    justification: str | None
    reference: str | None
    is_break_glass: bool
    ticket: UUID
    answers: UUID | None
    records: tuple[UUID, ...]
    peer: str | None
    position: int | None
    is_unmasking: bool


class Gap(msgspec.Struct, frozen=True):
    """Something about the log that does not fit, and at which line."""

    number: int
    what: str


class Verdict(msgspec.Struct, frozen=True):
    """What the chain came to: how many lines, its last number and hash, and what does not fit."""

    lines: int
    last: int
    hash: str
    gaps: tuple[Gap, ...]


@contextmanager
def log_reader(reader_url: str) -> Iterator[Session]:
    """A session of the log's reader, by the address of its login (`access.logins`)."""
    with connect(reader_url) as session:
        yield session


def _lines(session: Session, condition: str, parameters: Sequence[Any]) -> list[Line]:
    query = f"SELECT {COLUMNS} FROM processing.log {condition}"  # noqa: S608  # our own words
    rows = session.execute(query.encode(), parameters).fetchall()
    return [Line(*(*row[:13], tuple(row[13]), *row[14:])) for row in rows]


def who_saw(session: Session, record: UUID, since: datetime | None) -> list[Line]:
    """Every consultation of a record: that it was opened, or shown by a search."""
    return _lines(
        session,
        "WHERE records @> ARRAY[%s] AND operation = 'consultation' AND (%s::timestamptz IS NULL OR at >= %s)"
        " ORDER BY number",
        [record, since, since],
    )


def what_did(session: Session, user: str, since: datetime | None, limit: int) -> list[Line]:
    """What somebody did, newest first."""
    return _lines(
        session,
        "WHERE user_id = %s AND (%s::timestamptz IS NULL OR at >= %s) ORDER BY number DESC LIMIT %s",
        [user, since, since, limit],
    )


def sample(session: Session, count: int, since: datetime, seed: str) -> list[Line]:
    """Consultations drawn at random; the same seed draws the same ones."""
    return _lines(
        session,
        "WHERE operation = 'consultation' AND answers IS NULL AND at >= %s"
        " ORDER BY sha256(convert_to(ticket::text || %s, 'UTF8')) LIMIT %s",
        [since, seed, count],
    )


def to_review(session: Session) -> list[Line]:
    """Broken glasses and unmaskings that nobody has reviewed yet, oldest first."""
    return _lines(
        session,
        "WHERE (is_break_glass OR is_unmasking) AND answers IS NULL AND NOT EXISTS"
        " (SELECT FROM processing.reviewed r WHERE r.ticket = log.ticket) ORDER BY number",
        [],
    )


def review(session: Session, ticket: UUID, finding: str, by: str) -> bool:
    """Record what a review of one of them found (as the owner); False where it is not there, or one's own."""
    return (
        session.execute(
            "INSERT INTO processing.reviewed (ticket, reviewed_by, finding) SELECT ticket, %s, %s FROM processing.log"
            " WHERE ticket = %s AND (is_break_glass OR is_unmasking) AND answers IS NULL AND user_id <> %s"
            " ON CONFLICT DO NOTHING",
            [by, finding, ticket, by],
        ).rowcount
        == 1
    )


def unanswered(session: Session) -> list[Line]:
    """Searches that were asked and never said what they showed: cut short between the two, or asked past ncen."""
    return _lines(
        session,
        "WHERE operation = 'consultation' AND answers IS NULL AND records = '{}'"
        " AND at < clock_timestamp() - interval '1 minute'"
        " AND NOT EXISTS (SELECT FROM processing.log a WHERE a.answers = log.ticket) ORDER BY number",
        [],
    )


class Duty(msgspec.Struct, frozen=True):
    """Two things done by one hand that two hands are to do."""

    user: str
    what: str
    record: UUID | None


def duties(session: Session) -> list[Duty]:
    """Where one person did what is another's to do: recorded and decided on it, or reviewed their own broken glass."""
    rows = session.execute(
        "SELECT DISTINCT a.user_id, 'merged what they had put on record themselves', record"
        " FROM processing.log a, unnest(a.records) AS record"
        " WHERE a.operation = 'combination' AND EXISTS (SELECT FROM processing.log b WHERE b.operation = 'collection'"
        " AND b.user_id = a.user_id AND b.records @> ARRAY[record])"
        " UNION SELECT DISTINCT a.user_id, 'erased what they had put on record themselves', record"
        " FROM processing.log a, unnest(a.records) AS record"
        " WHERE a.operation = 'erasure' AND EXISTS (SELECT FROM processing.log b WHERE b.operation = 'collection'"
        " AND b.user_id = a.user_id AND b.records @> ARRAY[record])"
        " UNION SELECT r.reviewed_by, 'reviewed a look of their own', l.records[1]"
        " FROM processing.reviewed r JOIN processing.log l ON l.ticket = r.ticket AND l.user_id = r.reviewed_by"
        " ORDER BY 1, 2"
    ).fetchall()
    return [Duty(*row) for row in rows]


# ---------------------------------------------------------------- the chain


def hash_of(before: bytes, row: tuple[Any, ...]) -> bytes:
    """The hash of a line after the one before it: SHA-256 over that hash and the line as a JSON array."""
    number, at_us, *told, ticket, answers, records, peer, position, digest, is_unmasking = row
    parts = [
        number,
        at_us,
        *told,
        str(ticket),
        answers and str(answers),
        [str(record) for record in records],
        peer,
        position,
        digest and digest.hex(),
        *([True] if is_unmasking else []),  # lines of before there were unmaskings hash as they did
    ]
    return hashlib.sha256(before + json.dumps(parts, ensure_ascii=False).encode()).digest()


_CHAIN = """
    SELECT l.number, (extract(epoch FROM at) * 1000000)::bigint, operation, user_id, role, purpose, legal_basis, verb,
        justification, reference, is_break_glass, ticket, answers, records, peer, position, digest, is_unmasking, hash,
        leaf
    FROM processing.log l LEFT JOIN processing.leaf t ON t.number = l.number
    WHERE l.number > %s ORDER BY l.number
"""


def head(session: Session) -> tuple[int, bytes]:
    """The number and hash of the last line."""
    row = session.execute("SELECT number, hash FROM processing.head").fetchone()
    return (int(row[0]), bytes(row[1])) if row else (0, NO_HASH)


def _start(session: Session, since: int) -> tuple[int, bytes]:
    """The line after which the chain is recomputed, and its hash: one of these lines, or the last that was erased."""
    row = session.execute(
        "SELECT last_number, last_hash FROM processing.dropped ORDER BY last_number DESC LIMIT 1"
    ).fetchone()
    number, before = row or (0, NO_HASH)
    if since > number:
        row = session.execute("SELECT hash FROM processing.log WHERE number = %s", [since]).fetchone()
        number, before = (since, bytes(row[0])) if row else (number, before)
    return number, before


def verify(session: Session, anchor: tuple[int, str] | None = None, *, since: int = 0) -> Verdict:
    """Recompute the chain, and compare it with its head, its tree, and with an anchor that was kept elsewhere.

    Only what follows the line `since` is recomputed.
    """
    with session.transaction(), session.cursor("chain") as cursor:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        number, before = _start(session, since)
        first, lines, gaps = number, 0, list[Gap]()
        cursor.execute(_CHAIN, [number])
        for *row, stored, leaf in cursor:
            if row[0] != number + 1:
                gaps.append(Gap(number + 1, "is missing" if row[0] > number else "is there twice"))
            elif hash_of(before, tuple(row)) != stored:
                gaps.append(Gap(row[0], "was changed, or what precedes it"))
            elif leaf is not None and leaf != leaf_hash(stored):
                gaps.append(Gap(row[0], "is another than in the log's tree"))
            if anchor is not None and row[0] == anchor[0] and stored.hex() != anchor[1]:
                gaps.append(Gap(row[0], "is another than when it was last verified"))
            number, before, lines = row[0], stored, lines + 1
        if head(session) != (number, before):
            gaps.append(Gap(number + 1, "is missing at the end"))
    if anchor is not None and anchor[0] > max(number, first):
        gaps.append(Gap(anchor[0], "was there when it was last verified, and is not any more"))
    return Verdict(lines, number, before.hex(), tuple(gaps))


class Erased(msgspec.Struct, frozen=True):
    """A month of the log that was erased: by whom and when, and the last line that it had."""

    month: str
    last: int
    rows: int
    at: datetime
    by: str


def erased(session: Session) -> list[Erased]:
    """The months that were erased, oldest first."""
    return [
        Erased(*row)
        for row in session.execute(
            "SELECT to_char(month, 'YYYY-MM'), last_number, rows, dropped_at, dropped_by FROM processing.dropped"
            " ORDER BY month"
        ).fetchall()
    ]


def drop_before(session: Session, month: str, by: str) -> list[str]:
    """Erase whole months before this one (2026-01), as the owner; the chain goes on from the last hash of what went.

    What went stays provable: the leaves of its lines were in the tree before, and stay there.

    Raises:
        Damaged: a line is missing before it could be taken into the tree.
    """
    log_tree.grow(session)
    names = session.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'processing.log'::regclass AND c.relname < %s ORDER BY c.relname",
        [f"log_{month.replace('-', '_')}"],
    ).fetchall()
    for (name,) in names:
        with session.transaction():
            table = sql.Identifier(name)
            session.execute("SELECT FROM processing.head FOR UPDATE")
            session.execute(
                sql.SQL(
                    "INSERT INTO processing.dropped (month, last_number, last_hash, rows, dropped_by)"
                    " SELECT {}, number, hash, (SELECT count(*) FROM processing.{}), {} FROM processing.{}"
                    " ORDER BY number DESC LIMIT 1"
                ).format(sql.Literal(f"{name[4:].replace('_', '-')}-01"), table, sql.Literal(by), table)
            )
            session.execute(sql.SQL("DROP TABLE processing.{}").format(table))
            session.execute(
                "SELECT processing.tell('erasure', %s, NULL, NULL, NULL, 'log drop', '{}', NULL, NULL)", [by]
            )
    return [name[4:].replace("_", "-") for (name,) in names]
