"""The bytes that the baseline writes: the very rows that our ledger stored for the same commands.

So "the same bytes" is not a claim: body, attribution, salts and all other columns are read back from `ledger.entry`
and written again under new record ids into a table made LIKE it, with the same columns, defaults and indexes, but
without our triggers. Columns that have a default (the transaction id) are left to the server, as we leave them.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from bench.facts import BY, NODE, new_id, now, seizures
from bench.server import Place
from ledger.ledger import Asked, Ledger, Recorded

TABLE = sql.SQL("bench.entry")
Values = list[Any]


class Template:
    """The stored rows of our commands, grouped by command, ready to be written again."""

    def __init__(self, columns: Sequence[tuple[str, str]], deeds: list[list[Values]]) -> None:
        """Take the columns (name, type) and the rows of each command."""
        self.names = [name for name, _ in columns]
        self.types = [kind for _, kind in columns]
        self._deeds = deeds
        self._record = self.names.index("record_id")
        self._moment = self.names.index("recorded_at")
        self._ordinal = self.names.index("ordinal")
        self._next = 0

    @property
    def columns(self) -> sql.Composed:
        """The columns' names, as SQL."""
        return sql.SQL(", ").join(sql.Identifier(name) for name in self.names)

    def take(self) -> list[Values]:
        """The rows of the next command, under a new record id, recorded now."""
        deed = self._deeds[self._next]
        self._next = (self._next + 1) % len(self._deeds)
        record, moment = new_id(), now()
        return [self._again(values, record, moment) for values in deed]

    def take_transaction(self, commands: int) -> list[Values]:
        """The rows of so many commands, numbered as our ledger numbers what one transaction records."""
        rows = [row for _ in range(commands) for row in self.take()]
        for ordinal, row in enumerate(rows):
            row[self._ordinal] = ordinal
        return rows

    def _again(self, values: Values, record: UUID, moment: dt.datetime) -> Values:
        fresh = values.copy()
        fresh[self._record] = record
        fresh[self._moment] = moment
        return fresh


def store_templates(place: Place, *, with_accounts: bool = False) -> None:
    """Record the invented seizures once with our ledger and make the empty table that is equal to its own."""
    with Ledger.open(place.url, node=NODE, keys=Path(place.folder)) as ledger:
        asked = [
            Asked(record_id=new_id(), command=command, command_id=new_id())
            for command in seizures(with_accounts=with_accounts)
        ]
        answers = ledger.execute_all(asked, BY)
    assert all(isinstance(answer, Recorded) for answer in answers)
    with psycopg.connect(place.url) as connection:
        connection.execute("CREATE SCHEMA bench")
        connection.execute("CREATE TABLE bench.entry (LIKE ledger.entry INCLUDING ALL)")


def read_template(connection: psycopg.Connection[Any]) -> Template:
    """Read the rows back; every reader gets a template of its own."""
    columns = connection.execute(
        """
        SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = 'ledger.entry'::regclass AND attnum > 0 AND NOT attisdropped
          AND NOT atthasdef AND attidentity = '' AND attgenerated = ''
        ORDER BY attnum
        """
    ).fetchall()
    names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns)
    query = sql.SQL("SELECT record_id, {} FROM ledger.entry ORDER BY xid, ordinal").format(names)
    deeds: dict[UUID, list[Values]] = {}
    for record_id, *values in connection.execute(query, binary=True):
        deeds.setdefault(record_id, []).append(values)
    return Template(columns, list(deeds.values()))
