"""How rows reach PostgreSQL: in bulk, and for open facts with the positions between which they held.

A row of open facts is never overwritten. What changes closes the row that stood (`until_position`) and adds one
(`from_position`); within a batch only the outcome is written. So every figure can be asked again as of a past position.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from psycopg import sql

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
        sql.SQL("DELETE FROM {} WHERE record_id = ANY(%s)").format(sql.Identifier(table)), [list(record_ids)]
    )


def replace_records(
    cursor: Cursor, table: str, columns: Sequence[str], known: Sequence[UUID], rows: Iterable[Sequence[Any]]
) -> None:
    """Put rows in place of all that the table held of the records `known` to it; for tables that keep no past."""
    if known:
        drop_records(cursor, table, known)
    copy_rows(cursor, table, columns, rows)


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
        self._open: dict[Key, list[Any] | None] = {}

    def tell(self, key: Key, place: tuple[int, int, Any], facts: Sequence[Any] | None) -> None:
        """Say what holds of a thing from a place (position, version, recorded at) on; None: nothing any more."""
        position = place[0]
        stood = self._open.get(key)
        if stood is not None:
            stood[self._until] = position
        elif key in self._open:
            self._closed.append((*key, position))
        if facts is None:
            self._open.pop(key, None)
            return
        row = [*key, position, None, place[1], place[2], *facts]
        self._rows.append(row)
        self._open[key] = row

    def stands(self, key: Key) -> None:
        """Say that the table holds an open row of this thing from before the batch."""
        self._open[key] = None

    def write(self, cursor: Cursor) -> None:
        """Write what the batch has come to."""
        if self._closed:
            self._close(cursor)
        if self._rows:
            copy_rows(cursor, self._table, self._columns, self._rows)

    def _close(self, cursor: Cursor) -> None:
        types = ("uuid", *("integer" for _ in self._key[1:]), "bigint")
        statement = sql.SQL(
            "UPDATE {table} AS stood SET until_position = told.until_position"
            " FROM unnest({arrays}) AS told ({key}, until_position)"
            " WHERE {same} AND stood.until_position IS NULL"
        ).format(
            table=sql.Identifier(self._table),
            arrays=sql.SQL(", ").join(sql.SQL(f"%s::{of}[]") for of in types),
            key=sql.SQL(", ").join(map(sql.Identifier, self._key)),
            same=sql.SQL(" AND ").join(
                sql.SQL("stood.{0} = told.{0}").format(sql.Identifier(column)) for column in self._key
            ),
        )
        cursor.execute(statement, [list(column) for column in zip(*self._closed, strict=True)])
