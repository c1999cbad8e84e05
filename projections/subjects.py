"""What persons and businesses have in common as tables: a row for each record, and a row for each spelling of a name.

All of it is personal plaintext, and it keeps no past: what is taken back, merged apart or erased is gone from here with
the next entry. Who is erased has no row; who is restricted has one that says so, and no spelling by which to be found.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from domain.assertion import Subject
from domain.entry import Entry
from projections.folding import Chain, Step
from projections.names import keys, latin_name
from projections.projection import Cursor, Table
from projections.rows import array, replace_records
from projections.text import compact

NAME_COLUMNS = ("record_id", "name", "latin", "keys")
RECORD_COLUMNS = (
    "record_id",
    "name",
    "numbers",
    "merged",
    "statements",
    "restricted",
    "node",
    "peer",
    "instrument",
    "handling",
    "version",
    "position",
    "recorded_at",
)


def record_table(name: str, more: str, personal: Sequence[str]) -> Table:
    """The table of one row for each record; `more` defines its own columns, of which some are `personal`."""
    return Table(
        name,
        f"""CREATE TABLE {name} (
            record_id uuid PRIMARY KEY, name text, numbers text[] NOT NULL, merged uuid[] NOT NULL,
            statements integer NOT NULL, restricted text, node text NOT NULL, peer text, instrument text, handling text,
            version integer NOT NULL, position bigint NOT NULL, recorded_at timestamptz NOT NULL, {more})""",
        (
            f"CREATE INDEX {name}_numbers ON {name} USING gin (numbers)",
            f"CREATE INDEX {name}_merged ON {name} USING gin (merged)",
        ),
        personal=("name", "numbers", *personal),
    )


def name_table(name: str) -> Table:
    """The table of one row for each spelling of a name, with the keys under which it is found."""
    return Table(
        name,
        f"""CREATE TABLE {name} (
            record_id uuid NOT NULL, name text NOT NULL, latin text NOT NULL, keys text[] NOT NULL,
            PRIMARY KEY (record_id, name))""",
        (f"CREATE INDEX {name}_keys ON {name} USING gin (keys)",),
        personal=("name", "latin", "keys"),
    )


def write_records(
    cursor: Cursor, table: str, columns: Sequence[str], chains: Iterable[Chain], rows: Sequence[Sequence[Any]]
) -> None:
    """Put a row for each record in place of what stood; `columns` are the table's own, after those of every subject."""
    known = [chain.record_id for chain in chains if chain.before is not None]
    replace_records(cursor, table, (*RECORD_COLUMNS, *columns), known, rows)


def write_names(cursor: Cursor, table: str, chains: Iterable[Chain], spelled: Iterable[tuple[UUID, str]]) -> None:
    """Put the spellings of names in place of those that stood."""
    known = [chain.record_id for chain in chains if chain.before is not None]
    replace_records(cursor, table, NAME_COLUMNS, known, _name_rows(spelled))


def _name_rows(spelled: Iterable[tuple[UUID, str]]) -> Iterator[tuple[Any, ...]]:
    for record_id, name in dict.fromkeys(spelled):
        if found := keys(name):
            yield (record_id, name, latin_name(name), array(found))


def record_row(record_id: UUID, last: Step, name: str | None, numbers: Iterable[str]) -> tuple[Any, ...]:
    """What the tables of persons and of businesses hold alike."""
    subject: Subject = last.state
    entry: Entry = last.entry
    return (
        record_id,
        name,
        array(sorted({number for written in numbers if (number := compact(written))})),
        [merge.other for merge in subject.merged],
        sum(one.retracted is None for one in subject.statements),
        subject.restricted,
        last.origin.node,
        last.origin.peer,
        last.origin.instrument,
        last.origin.handling,
        entry.version,
        entry.position,
        entry.recorded_at,
    )
