"""Figures about seizures: exact, and pinned to a ledger position, so that they come out the same for ever.

The rules. Quantities are sums of exact decimals and are never added across units: every row has one unit, or none for
lines that state no quantity. A quantity is written as plain decimal digits without exponent and without trailing zeros
(`2077.9`, `1000`), one spelling for one number. `seizures` counts records and `lines` counts lines of goods in the row.
Seizures that were cancelled by the position asked for are left out. What peers sent us is left out unless their nodes
are asked for, since they count it themselves. A dimension that is not stated is null. Nothing personal is in reach.
"""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from psycopg import sql

from domain.seizure import Status
from projections.asking import AnyConnection, Unanswerable, holding, pinned, snapshot
from projections.filters import MONTH, SEIZURE, YEAR, Filters, conditions, handled
from projections.projection import Cursor
from projections.tables import READ, Tables

ALL_NODES = ("*",)
"""Asks for the figures of every node whose seizures are on record here."""

DIMENSIONS = {
    "section": "line.section",
    "substance": "line.substance",
    "year": YEAR,
    "month": MONTH,
    "office": "record.office",
    "subdivision": "record.subdivision",
    "country": "record.country",
    "origin": "line.origin",
    "outcome": "line.outcome",
    "unit": "line.unit",
}
SUBSTANCE_LIST = "line.substance_list"
OWN = sql.SQL("record.peer IS NULL")


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by the dimensions asked for, in their order, and the ledger position they hold for."""

    position: int
    rows: tuple[dict[str, Any], ...]


def seizure_statistics(  # noqa: PLR0913, PLR0917  # each a side from which figures are asked
    connection: AnyConnection,
    by: Sequence[str],
    where: Filters | None = None,
    as_of: int | None = None,
    nodes: Sequence[str] | None = None,
    tables: Tables = READ,
) -> Statistics:
    """Count seizures and lines and sum quantities by these dimensions (and always by unit), of our own node or `nodes`.

    A row is `{each dimension: text or null, "unit": ..., "quantity": decimal text or null, "seizures": n, "lines": n}`;
    years read `2024`, months `2024-05`. Where two lists use one substance code, both read `LIST:CODE`. Rows come
    ordered by their dimensions, nulls last. `as_of` defaults to the position the tables have reached.

    Raises:
        Unanswerable: a dimension, filter or position is not known.
    """
    wanted = [*dict.fromkeys(by)]
    for name in wanted:
        if name not in DIMENSIONS:
            raise Unanswerable(f"There is no dimension {name!r}: known are {', '.join(DIMENSIONS)}.")
    dimensions = [name for name in wanted if name != "unit"]
    with snapshot(connection, "seizures", hold=tables.hold) as (cursor, reached):
        position = pinned(as_of, reached)
        _select(cursor, dimensions, where or {}, nodes, None if as_of is None else position, tables.handling)
        rows = [_row(dimensions, line) for line in cursor]
    if "substance" in dimensions:
        _tell_lists_apart(rows)
    for row in rows:
        row.pop("", None)
    rows.sort(key=lambda row: [(row[name] is None, row[name] or "") for name in (*dimensions, "unit")])
    return Statistics(position=position, rows=tuple(rows))


def _select(  # noqa: PLR0913, PLR0917  # each a part of the question
    cursor: Cursor,
    dimensions: Sequence[str],
    where: Filters,
    nodes: Sequence[str] | None,
    as_of: int | None,
    handling: str | None,
) -> None:
    expressions = [DIMENSIONS[name] for name in dimensions]
    if "substance" in dimensions:
        expressions.append(SUBSTANCE_LIST)
    expressions.append(DIMENSIONS["unit"])
    limits = [(holding("record", as_of), []), (holding("line", as_of), []), *conditions(SEIZURE, where)]
    limits += handled(handling)
    if "status" not in where:
        limits.append((sql.SQL("record.status <> %s"), [Status.CANCELLED.value]))
    if nodes is None and "node" not in where:
        limits.append((OWN, []))
    elif nodes is not None and tuple(nodes) != ALL_NODES:
        limits.append((sql.SQL("record.node = ANY(%s)"), [list(nodes)]))
    names = [sql.Identifier(f"told_{number}") for number in range(len(expressions))]
    query = sql.SQL(  # seizure by seizure first: counting distinct seizures in one step would sort all lines
        "SELECT {names}, sum(quantity), count(*), sum(lines)::bigint FROM ("
        "SELECT {columns}, sum(line.quantity) AS quantity, count(*) AS lines"
        " FROM read.seizure AS record JOIN read.seizure_line AS line USING (record_id)"
        " WHERE {limits} GROUP BY {names}, record_id) AS by_seizure GROUP BY {names}"
    ).format(
        names=sql.SQL(", ").join(names),
        columns=sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(sql.SQL(expression), name)
            for expression, name in zip(expressions, names, strict=True)
        ),
        limits=sql.SQL(" AND ").join(limit for limit, _ in limits),
    )
    cursor.execute(query, [value for _, values in limits for value in values])


def _row(dimensions: Sequence[str], line: tuple[Any, ...]) -> dict[str, Any]:
    *told, unit, quantity, seizures, lines = line
    row: dict[str, Any] = dict(zip(dimensions, told, strict=False))
    if "substance" in dimensions:
        row[""] = told[-1]  # the code list, until the lists have been told apart
    return row | {"unit": unit, "quantity": plain(quantity), "seizures": seizures, "lines": lines}


def _tell_lists_apart(rows: Sequence[dict[str, Any]]) -> None:
    lists = Counter(code for code, _ in {(row["substance"], row[""]) for row in rows if row["substance"] is not None})
    for row in rows:
        if lists[row["substance"]] > 1:
            row["substance"] = f"{row['']}:{row['substance']}"


def plain(amount: Decimal | None) -> str | None:
    """An exact decimal in its one spelling: plain digits, no exponent, no trailing zeros."""
    if amount is None:
        return None
    digits = f"{amount:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
