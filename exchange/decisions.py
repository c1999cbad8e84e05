"""Decisions about entries for a peer, as rows that are never changed: of one entry the newest counts."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import msgspec

from domain.entry import Entry
from exchange.release import Release, Withheld
from ledger.sessions import Session


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision: released under `number` where `reason` is None, else withheld; on which premise, if on any."""

    position: int
    decision: int
    record_id: UUID
    version: int
    reason: str | None
    premise_id: UUID | None
    premise_version: int | None
    number: int | None
    decided_at: datetime
    epoch: int = 0
    """Of which epoch of the feed its number is."""

    def says(self, verdict: Release | Withheld) -> bool:
        """Whether a verdict says the same, on the same premise in the same version."""
        if isinstance(verdict, Release):
            return False  # what is withheld and released now is news
        known = verdict.premise
        premise = (known.record_id, known.premise.version) if known else (None, None)
        return (self.reason, self.premise_id, self.premise_version) == (verdict.reason, *premise)


COLUMNS = "position, decision, record_id, version, reason, premise_id, premise_version, number, decided_at, epoch"
NEWEST = f"SELECT DISTINCT ON (position) {COLUMNS} FROM exchange.decision WHERE peer = %s"  # noqa: S608  # our own columns
IN_ORDER = " ORDER BY position, decision DESC"


def _decision(row: Sequence[object]) -> Decision:
    return msgspec.convert(dict(zip(COLUMNS.split(", "), row, strict=True)), Decision)


def newest_of(connection: Session, peer: str, record_ids: Collection[UUID]) -> dict[int, Decision]:
    """The newest decisions about all entries of these records, by position."""
    query = f"{NEWEST} AND record_id = ANY(%s){IN_ORDER}"
    rows = connection.execute(query, [peer, list(record_ids)]).fetchall()
    return {row[0]: _decision(row) for row in rows}


def newest_between(connection: Session, peer: str, after: int, until: int) -> dict[int, Decision]:
    """The newest decisions about the entries at positions after `after`, up to `until`, by position."""
    query = f"{NEWEST} AND position > %s AND position <= %s{IN_ORDER}"
    rows = connection.execute(query, [peer, after, until]).fetchall()
    return {row[0]: _decision(row) for row in rows}


def all_of(connection: Session, peer: str, record_id: UUID) -> list[Decision]:
    """Every decision about the entries of a record, oldest first within each entry."""
    query = f"SELECT {COLUMNS} FROM exchange.decision WHERE peer = %s AND record_id = %s ORDER BY position, decision"  # noqa: S608  # our own columns
    return [_decision(row) for row in connection.execute(query, [peer, record_id]).fetchall()]


def make(
    connection: Session,
    peer: str,
    made: Sequence[tuple[Entry, Release | Withheld, int | None]],
    now: datetime,
    epoch: int = 0,
) -> None:
    """Write down decisions, each after those that were taken about the same entry before; numbers where released."""
    rows = []
    for entry, verdict, number in made:
        known = verdict.premise
        premise = (known.record_id, known.premise.version) if known else (None, None)
        reason = str(verdict.reason) if isinstance(verdict, Withheld) else None
        rows.append((entry.position or 0, entry.record_id, entry.version, reason, *premise, number))
    write(connection, peer, rows, now, epoch)


Row: TypeAlias = tuple[int, UUID, int, str | None, UUID | None, int | None, int | None]
"""Position, record, version, reason, premise, its version, number."""


def write(connection: Session, peer: str, made: Sequence[Row], now: datetime, epoch: int = 0) -> None:
    """Write down decisions as rows; the newest of an entry gets the highest decision number."""
    if not made:
        return
    rows = connection.execute(
        "SELECT position, max(decision) FROM exchange.decision "
        "WHERE peer = %s AND position = ANY(%s) GROUP BY position",
        [peer, [row[0] for row in made]],
    )
    latest: dict[int, int] = dict(rows.fetchall())
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY exchange.decision (peer, {COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(["text", "int8", "int4", "uuid", "int4", "text", "uuid", "int4", "int8", "timestamptz", "int4"])
        for position, *rest in made:
            latest[position] = latest.get(position, 0) + 1
            copy.write_row((peer, position, latest[position], *rest, now, epoch))
