"""How rows reach PostgreSQL: in bulk, and for open facts with the positions between which they held.

A row of open facts is never overwritten. What changes closes the row that stood (`until_position`) and adds one
(`from_position`); within a batch only the outcome is written. So every figure can be asked again as of a past position.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from psycopg import sql

from domain.entry import Entry
from projections.packing import copy_packed_rows
from projections.projection import Cursor

Key = tuple[Any, ...]

NO_DAY = date(1, 1, 1)
"""Where a record whose day is not known stands in a list by day: at its end."""


def copy_rows(cursor: Cursor, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Add rows to a table."""
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with cursor.copy(into) as copy:
        for row in rows:
            copy.write_row(row)


def drop_records(cursor: Cursor, table: str, record_ids: Sequence[UUID]) -> None:
    """Drop all rows of these records from a table."""
    cursor.execute(
        sql.SQL("DELETE FROM {} WHERE record_id = ANY(%s::uuid[])").format(sql.Identifier(table)),
        [plain_array(record_ids)],
    )


def replace_records(
    cursor: Cursor, table: str, columns: Sequence[str], known: Sequence[UUID], rows: Iterable[Sequence[Any]]
) -> None:
    """Put rows in place of all that the table held of the records `known` to it; for tables that keep no past."""
    if known:
        drop_records(cursor, table, known)
    copy_rows(cursor, table, columns, rows)


def plain_array(values: Iterable[Any]) -> str:
    """A PostgreSQL array literal of numbers or ids, which need no quotes: much quicker than a list."""
    return f"{{{','.join([value.hex if type(value) is UUID else str(value) for value in values])}}}"


def array(values: Sequence[str]) -> str:
    """A PostgreSQL text array literal; some times quicker than a list where there are many."""
    if not values:
        return "{}"
    text = '","'.join(values)
    if "\\" in text or text.count('"') > 2 * (len(values) - 1):
        text = '","'.join(value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return f'{{"{text}"}}'


class History:
    """The rows of one table that a batch opens and closes."""

    def __init__(self, table: str, key: Sequence[str], columns: Sequence[str]) -> None:
        """Name the table, the columns that tell its things apart (the record id first), and its facts."""
        self._table = table
        self._key = tuple(key)
        self._columns = (*key, "from_position", "until_position", "version", "recorded_at", *columns)
        self._until = len(self._key) + 1
        self._rows: list[list[Any]] = []
        self._closed: list[tuple[Any, ...]] = []

    def open(self, key: Key, entry: Entry, facts: Sequence[Any]) -> list[Any]:
        """Say what holds of a thing from an entry on; gives the row, by which it can be closed again."""
        row = [*key, entry.position, None, entry.version, entry.recorded_at, *facts]
        self._rows.append(row)
        return row

    def close(self, key: Key, row: list[Any] | None, entry: Entry) -> None:
        """Say that a row holds no longer from an entry on; None is the row that stood before the batch."""
        if row is None:
            self._closed.append((*key, entry.position))
        else:
            row[self._until] = entry.position

    def write(self, cursor: Cursor) -> None:
        """Write what the batch has come to."""
        if self._closed:
            self._close(cursor)
        if self._rows:
            copy_packed_rows(cursor, self._table, self._columns, self._rows)

    def _close(self, cursor: Cursor) -> None:
        """Close rows that stood before the batch.

        Each is looked up by itself through the primary key, which LATERAL and LIMIT leave the planner no choice about:
        without statistics (and fresh tables have none) it would read the whole table for each batch.
        """
        types = ("uuid", *("integer" for _ in self._key[1:]), "bigint")
        statement = sql.SQL(
            "UPDATE {table} AS stood SET until_position = found.until_position FROM ("
            "SELECT one.place, told.until_position FROM unnest({arrays}) AS told ({key}, until_position) CROSS JOIN"
            " LATERAL (SELECT ctid AS place FROM {table} AS known WHERE {same}"
            " AND coalesce(known.until_position, -1) = -1 LIMIT 1) AS one"
            ") AS found WHERE stood.ctid = found.place"
        ).format(
            table=sql.Identifier(self._table),
            arrays=sql.SQL(", ").join(sql.SQL(f"%s::{of}[]") for of in types),
            key=sql.SQL(", ").join(map(sql.Identifier, self._key)),
            same=sql.SQL(" AND ").join(
                sql.SQL("known.{0} = told.{0}").format(sql.Identifier(column)) for column in self._key
            ),
        )
        cursor.execute(statement, [plain_array(column) for column in zip(*self._closed, strict=True)])
