"""The baseline: plain INSERT and COPY of the same bytes into an equal table, a connection for each writer.

It is the least that anybody could do: no rules, no seals, no encoding (the bytes lie ready), no answer to a repeated
command, no numbering that a reader could trust. No sealer runs beside it.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg import pq, sql
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.numeric import Int4

from bench.facts import VARIETY, new_id
from bench.server import Place
from bench.template import TABLE, Template, Values, read_template, store_templates
from bench.writing import Shape, Write

POSTGRES_EPOCH_US = 946_684_800_000_000


class Inserts:
    """One prepared INSERT a command; a batch is one INSERT … SELECT FROM unnest with typed binary arrays."""

    with_accounts = False

    def prepare(self, place: Place) -> None:
        """Make the equal table."""
        store_templates(place, with_accounts=self.with_accounts)

    @contextlib.contextmanager
    def writers(self, place: Place, shape: Shape) -> Iterator[Callable[[], Write]]:
        """Give each thread a connection of its own."""
        with contextlib.ExitStack() as stack:

            def make() -> Write:
                connection = stack.enter_context(psycopg.connect(place.url, autocommit=True))
                return self._write(connection, read_template(connection), shape.batch)

            yield make

    def _write(self, connection: psycopg.Connection[Any], template: Template, batch: int) -> Write:
        cursor = connection.cursor()
        single, many = (query.as_bytes(connection) for query in (_insert(template), _insert_many(template)))

        def write() -> None:
            rows = template.take_transaction(batch)
            if len(rows) == 1:
                cursor.execute(single, rows[0], prepare=True)
            else:
                cursor.execute(many, [list(column) for column in zip(*rows, strict=True)], prepare=True)

        return write


class InsertsWithAccounts(Inserts):
    """The same for commands of which every second one also has a personal event: two rows, one statement."""

    with_accounts = True


class Copies(Inserts):
    """A batch is one COPY … FROM STDIN (FORMAT BINARY) in a transaction of its own."""

    def _write(self, connection: psycopg.Connection[Any], template: Template, batch: int) -> Write:
        def write() -> None:
            copy_rows(connection, template, TABLE, template.take_transaction(batch))

        return write


class RawInserts(Inserts):
    """One INSERT a command through libpq itself, values packed beforehand: the least that Python can do."""

    def _write(self, connection: psycopg.Connection[Any], template: Template, batch: int) -> Write:
        assert batch == 1
        numbered = ", ".join(f"${number}::{kind}" for number, kind in enumerate(template.types, start=1))
        query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(TABLE, template.columns, sql.SQL(numbered))
        prepared = connection.pgconn.prepare(b"raw", query.as_bytes(connection))
        assert prepared.status == pq.ExecStatus.COMMAND_OK, prepared.error_message
        rows, formats = _packed(connection, template), [1] * len(template.types)
        record, moment = template.names.index("record_id"), template.names.index("recorded_at")
        number = 0

        def write() -> None:
            nonlocal number
            values = rows[number % len(rows)].copy()
            number += 1
            values[record] = new_id().bytes
            values[moment] = ((time.time_ns() // 1000) - POSTGRES_EPOCH_US).to_bytes(8, "big")
            result = connection.pgconn.exec_prepared(b"raw", values, formats, 1)
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise RuntimeError(result.error_message.decode())

        return write


def _packed(connection: psycopg.Connection[Any], template: Template) -> list[list[Any]]:
    rows = [row for _ in range(VARIETY) for row in template.take()]
    formats = [PyFormat.BINARY] * len(template.types)
    for row in rows:
        row[:] = [Int4(value) if type(value) is int else value for value in row]  # a statement's parameter is no int2
    return [list(Transformer(connection).dump_sequence(row, formats)) for row in rows]


def copy_rows(
    connection: psycopg.Connection[Any], template: Template, table: sql.Composable, rows: list[Values]
) -> None:
    """COPY rows into a table that has the template's columns."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(table, template.columns)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(template.types)
        for row in rows:
            copy.write_row(row)


def _insert(template: Template) -> sql.Composed:
    values = sql.SQL(", ").join(sql.SQL("%b::{}").format(sql.SQL(kind)) for kind in template.types)
    return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(TABLE, template.columns, values)


def _insert_many(template: Template) -> sql.Composed:
    arrays = sql.SQL(", ").join(sql.SQL("%b::{}[]").format(sql.SQL(kind)) for kind in template.types)
    return sql.SQL("INSERT INTO {} ({}) SELECT * FROM unnest({})").format(TABLE, template.columns, arrays)
