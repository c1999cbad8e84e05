"""The tables of persons and businesses, of words written by hand and of parts in cases, as search asks them.

All of it is personal plaintext. `READ` asks the tables themselves, as an open node does; a closed node puts a gate in
its place, which answers the same questions as far as the caller may see, and only for a ticket.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from psycopg import sql

from projections.asking import held
from projections.filters import Condition
from projections.projection import Cursor

MOST_CANDIDATES = 300
"""How many candidates of one question are compared word by word."""
MOST_SHARING = 5_000
"""How many names that share some key are ranked by how many they share."""
NAMES = {"person": "person_name", "business": "business_name"}

Ways = Sequence[Sequence[list[str]]]
Found = list[tuple[UUID, str]]


class Tables(Protocol):
    """What search asks of the tables that name someone; `handling` is the tightest code whose open facts are shown."""

    @property
    def handling(self) -> str | None:
        """The tightest handling code of what is shown, or None for any."""

    def hold(self, cursor: Cursor, names: Sequence[str]) -> tuple[int, int]:
        """Hold the tables of these projections still; the position all have reached, and how many there are."""

    def sharing(self, cursor: Cursor, kind: str, ways: Ways) -> Found:
        """Names that share a key of each list in one of the ways, those that share most keys first."""

    def by_number(self, cursor: Cursor, kind: str, number: str) -> Found:
        """Those that have this number, with the name to show."""

    def described(self, cursor: Cursor, kind: str, record_ids: Sequence[UUID]) -> Mapping[UUID, dict[str, Any]]:
        """What the tables hold of these records, by column."""

    def merged(self, cursor: Cursor, kind: str, record_ids: Sequence[UUID]) -> list[tuple[UUID, list[UUID]]]:
        """Records that were merged with others, as far as these are among either."""

    def newest(self, cursor: Cursor, kind: str, limit: int, after: UUID | None) -> list[UUID]:
        """Records from the newest on, or those that follow one."""

    def told(self, kind: str, query: str) -> Condition:
        """The condition that what was written of a case fits these words."""

    def cases_of(self, parties: Sequence[UUID]) -> Condition:
        """The condition that one of these has a part in a case."""


class ReadTables:
    """The tables themselves."""

    handling: str | None = None

    def hold(self, cursor: Cursor, names: Sequence[str]) -> tuple[int, int]:
        """Lock the tables against being swapped."""
        return held(cursor, names)

    def sharing(self, cursor: Cursor, kind: str, ways: Ways) -> Found:
        """As `Tables` says."""
        every = sorted({key for way in ways for keys in way for key in keys})
        conditions = sql.SQL(" OR ").join(
            sql.SQL("({})").format(sql.SQL(" AND ").join(sql.SQL("keys && %s::text[]") for _ in way)) for way in ways
        )
        cursor.execute(
            sql.SQL(
                "SELECT record_id, name FROM (SELECT record_id, name, keys FROM read.{} WHERE {} LIMIT %s) AS sharing"
                " ORDER BY cardinality(ARRAY(SELECT unnest(keys) INTERSECT SELECT unnest(%s::text[]))) DESC,"
                " record_id, name LIMIT %s"
            ).format(sql.Identifier(NAMES[kind]), conditions),
            [*(keys for way in ways for keys in way), MOST_SHARING, every, MOST_CANDIDATES],
        )
        return cursor.fetchall()

    def by_number(self, cursor: Cursor, kind: str, number: str) -> Found:
        """As `Tables` says; who is restricted is not found."""
        cursor.execute(
            sql.SQL(
                "SELECT record_id, coalesce(name, '') FROM read.{} WHERE numbers @> ARRAY[%s]"
                " AND restricted IS NULL LIMIT 100"
            ).format(sql.Identifier(kind)),
            [number],
        )
        return cursor.fetchall()

    def described(self, cursor: Cursor, kind: str, record_ids: Sequence[UUID]) -> Mapping[UUID, dict[str, Any]]:
        """As `Tables` says."""
        cursor.execute(
            sql.SQL("SELECT * FROM read.{} WHERE record_id = ANY(%s)").format(sql.Identifier(kind)), [list(record_ids)]
        )
        columns = [column.name for column in cursor.description or ()]
        return {row[0]: dict(zip(columns, row, strict=True)) for row in cursor}

    def merged(self, cursor: Cursor, kind: str, record_ids: Sequence[UUID]) -> list[tuple[UUID, list[UUID]]]:
        """As `Tables` says."""
        cursor.execute(
            sql.SQL(
                "SELECT record_id, merged FROM read.{} WHERE merged && %s OR (record_id = ANY(%s) AND merged <> '{{}}')"
            ).format(sql.Identifier(kind)),
            [list(record_ids), list(record_ids)],
        )
        return cursor.fetchall()

    def newest(self, cursor: Cursor, kind: str, limit: int, after: UUID | None) -> list[UUID]:
        """As `Tables` says; who is restricted is not listed."""
        cursor.execute(
            sql.SQL(
                "SELECT record_id FROM read.{} WHERE restricted IS NULL AND (%s::uuid IS NULL OR record_id < %s)"
                " ORDER BY record_id DESC LIMIT %s"
            ).format(sql.Identifier(kind)),
            [after, after, limit],
        )
        return [record_id for (record_id,) in cursor]

    def told(self, kind: str, query: str) -> Condition:
        """As `Tables` says."""
        condition = (
            "record.record_id IN (SELECT record_id FROM read.narrative WHERE kind = %s AND words @@ %s::tsquery)"
        )
        return sql.SQL(condition), [kind, query]

    def cases_of(self, parties: Sequence[UUID]) -> Condition:
        """As `Tables` says."""
        condition = "record.record_id IN (SELECT record_id FROM read.party WHERE party = ANY(%s))"
        return sql.SQL(condition), [sorted(parties)]


READ = ReadTables()
