"""What is packed here is what PostgreSQL reads: every type of column that open facts have, with the odd values too."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.packing import copy_packed_rows

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXT,
    "text[]": st.lists(TEXT, max_size=3).map(tuple),
    "date": st.dates(),
    "timestamptz": st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda at: at.replace(tzinfo=UTC)),  # noqa: DTZ001  # given a zone at once
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**18), max_value=10**18),
    "boolean": st.booleans(),
    "bytea": st.binary(),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "uuid": st.uuids(),
    "uuid[]": st.lists(st.uuids(), max_size=3).map(tuple),
}
NAMES = [f"c{number}" for number in range(len(COLUMNS))]
ROWS = st.lists(st.tuples(*(st.none() | column for column in COLUMNS.values())), max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rows=ROWS)
def test_rows_are_read_as_they_were_packed(database_url: str, rows: list[tuple[Any, ...]]) -> None:
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        columns = ", ".join(f"{name} {kind}" for name, kind in zip(NAMES, COLUMNS, strict=True))
        cursor.execute(f"CREATE TEMPORARY TABLE packed (place serial, {columns})".encode())
        copy_packed_rows(cursor, "packed", NAMES, rows)
        cursor.execute(f"SELECT {', '.join(NAMES)} FROM packed ORDER BY place".encode())
        told = [tuple(tuple(value) if isinstance(value, list) else value for value in row) for row in cursor]
        assert told == rows
        connection.rollback()


def test_many_rows_go_in_one_by_one(database_url: str) -> None:
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE many (number integer, words text)")
        copy_packed_rows(cursor, "many", ("words", "number"), ((f"word {n}", n) for n in range(25_000)))
        cursor.execute("SELECT count(*), sum(number), count(DISTINCT words) FROM many")
        assert cursor.fetchone() == (25_000, 25_000 * 24_999 // 2, 25_000)


def test_a_type_that_is_not_packed_is_said_at_once(database_url: str) -> None:
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE odd (at interval)")
        with pytest.raises(KeyError):
            copy_packed_rows(cursor, "odd", ("at",), [(timedelta(1),)])


def test_equal_values_of_different_types_are_told_apart(database_url: str) -> None:
    """What is remembered is remembered by the type of the column, and 1 == Decimal(1) == True."""
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE alike (a integer, b numeric, c boolean, d numeric, e text)")
        copy_packed_rows(
            cursor,
            "alike",
            "abcde",
            [(1, Decimal(1), True, Decimal("1.00"), "1"), (1, Decimal("1.00"), True, None, "")],
        )
        cursor.execute("SELECT a, b::text, c, d::text, e FROM alike")
        assert cursor.fetchall() == [(1, "1", True, "1.00", "1"), (1, "1.00", True, None, "")]


def test_the_day_and_the_id_before_all_others(database_url: str) -> None:
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE first (day date, id uuid)")
        copy_packed_rows(cursor, "first", ("day", "id"), [(date(1, 1, 1), UUID(int=0))])
        cursor.execute("SELECT * FROM first")
        assert cursor.fetchone() == (date(1, 1, 1), UUID(int=0))
