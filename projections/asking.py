"""How the tables are asked: in one snapshot, as of a ledger position, with words that are checked before they are used.

Every answer names the position it holds for. The tables are locked against being swapped before the snapshot is taken,
so that a rebuild cannot change them between two questions of one answer. What cannot be answered is refused with a
sentence and never answered in part.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import pq, sql
from psycopg.rows import tuple_row

from projections.catalogue import PROJECTIONS
from projections.projection import Cursor

AnyConnection = psycopg.Connection[Any]
Hold = Callable[[Cursor, Sequence[str]], tuple[int, int]]


class Unanswerable(Exception):  # noqa: N818  # an answer, not a fault
    """The question cannot be answered as it stands; the message is a sentence for the person who asked."""


class NotReady(Unanswerable):
    """The tables are not there yet, or are being built again: ask again in a while, for no answer would be complete."""


@contextmanager
def snapshot(connection: AnyConnection, *names: str, hold: Hold | None = None) -> Iterator[tuple[Cursor, int]]:
    """One consistent view of the tables of these projections, and the position up to which all of them have come.

    `hold` takes the place of locking the tables directly, for who has no right on them.

    Raises:
        NotReady: the tables do not hold yet what was sealed when they were made, or are not there.
        RuntimeError: the connection is in a transaction of its own, whose view may be an older one.
    """
    if connection.info.transaction_status != pq.TransactionStatus.IDLE:
        raise RuntimeError("a snapshot needs a connection without a transaction in progress")
    try:
        with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = '60s'")
            cursor.execute("SET LOCAL work_mem = '64MB'")  # figures over all lines are added up in memory
            position, found = (hold or held)(cursor, names)
            if found != len(names):
                raise NotReady("The tables have not been made yet: start the projector and ask again.")
            yield cursor, position
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName):
        raise NotReady("The tables are being made or rebuilt: ask again in a while.") from None
    except psycopg.errors.FeatureNotSupported:
        raise NotReady("This server is a standby, which holds no tables to search: ask the node itself.") from None
    except psycopg.errors.QueryCanceled:
        raise Unanswerable("The question took longer than a minute: ask a narrower one.") from None


def held(cursor: Cursor, names: Sequence[str]) -> tuple[int, int]:
    """Lock the tables of these projections; the position all of them have reached, and how many can answer.

    Raises:
        NotReady: some are being built.
    """
    cursor.execute(_lock(names))
    cursor.execute(
        "SELECT min(position), count(*) FROM read.position WHERE NOT is_fresh AND name = ANY(%s) AND position >= owed",
        [list(names)],
    )
    position, found = cursor.fetchone() or (0, 0)
    if found != len(names):
        raise being_built(cursor.execute(BUILDING, [list(names)]).fetchone())
    return position, found


BUILDING = """
    SELECT min(greatest(0, coalesce((SELECT max(position) FROM read.position WHERE name = wanted), 0))),
        (SELECT coalesce(max(position), 0) FROM ledger.sealed)
    FROM unnest(%s::text[]) AS wanted
"""
"""How far the slowest of some projections has been built, and how far the ledger is sealed."""


def being_built(reached: tuple[Any, ...] | None) -> NotReady:
    """Say how far the tables have been built, as `BUILDING` tells it."""
    at, head = reached or (0, 0)
    return NotReady(f"The tables are being built from the ledger: position {at} of {head}. Ask again in a while.")


def tables_of(names: Sequence[str]) -> list[str]:
    """The tables of these projections, in the order in which they are locked."""
    return sorted({table.name for name in names for table in PROJECTIONS[name].TABLES})


def _lock(names: Sequence[str]) -> sql.Composed:
    tables = ("position", *tables_of(names))
    every = sql.SQL(", ").join(sql.SQL("read.{}").format(sql.Identifier(table)) for table in tables)
    return sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(every)


def pinned(as_of: int | None, position: int) -> int:
    """The position that an answer holds for.

    Raises:
        Unanswerable: the tables have not come so far, or there is no such position.
    """
    if as_of is None:
        return position
    if as_of < 0:
        raise Unanswerable("A ledger position is a whole number from 0 on.")
    if as_of > position:
        raise Unanswerable(f"The tables have reached position {position} of the ledger, not {as_of} yet.")
    return as_of


def holding(alias: str, as_of: int | None) -> sql.Composable:
    """The condition that a row of open facts held at a position; None asks for what stands now."""
    row = sql.Identifier(alias)
    if as_of is None:
        return sql.SQL("{}.until_position IS NULL").format(row)
    return sql.SQL(
        "{row}.from_position <= {at} AND ({row}.until_position IS NULL OR {row}.until_position > {at})"
    ).format(row=row, at=sql.Literal(as_of))
