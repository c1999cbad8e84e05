"""A rival: the table of today's state with an audit trigger, as most offices have it.

A row a seizure with a column a fact, the goods as jsonb, who and why beside them, and a trigger that writes each change
as jsonb into an audit table in the same transaction. Its author's rules are left out; the values lie ready.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import psycopg

from bench.facts import BY, new_id, now, seizures
from bench.server import Place
from bench.writing import Shape, Write
from domain.seizure import RecordSeizure

TABLES = """
CREATE TABLE seizure (
  id uuid PRIMARY KEY, kind text NOT NULL, office text NOT NULL, country text NOT NULL, subdivision text,
  occurred_on date NOT NULL, direction text, detection text, concealment text, conveyance text, route text[],
  goods jsonb NOT NULL, changed_by text NOT NULL, changed_as text NOT NULL, purpose text NOT NULL,
  legal_basis text NOT NULL, changed_at timestamptz NOT NULL
);
CREATE TABLE audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seizure_id uuid NOT NULL, deed text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(), before jsonb, after jsonb
);
CREATE INDEX ON audit (seizure_id);
CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO audit (seizure_id, deed, before, after) VALUES (NEW.id, TG_OP, to_jsonb(OLD), to_jsonb(NEW));
  RETURN NULL;
END $$;
CREATE TRIGGER kept AFTER INSERT OR UPDATE ON seizure FOR EACH ROW EXECUTE FUNCTION keep_audit();
"""
TYPES = ("uuid", *["text"] * 4, "date", *["text"] * 4, "text[]", "jsonb", *["text"] * 4, "timestamptz")
INSERT = f"INSERT INTO seizure VALUES ({', '.join(f'%s::{kind}' for kind in TYPES)})"


class AuditedTable:
    """An INSERT a command, prepared, autocommit; a batch is one COPY, the fastest way in that fires triggers."""

    def prepare(self, place: Place) -> None:
        """Make table, audit table and trigger."""
        with psycopg.connect(place.url) as connection:
            connection.execute(TABLES)

    @contextlib.contextmanager
    def writers(self, place: Place, shape: Shape) -> Iterator[Callable[[], Write]]:
        """Give each thread a connection of its own."""
        facts = [_values(command) for command in seizures()]
        with contextlib.ExitStack() as stack:

            def make() -> Write:
                connection = stack.enter_context(psycopg.connect(place.url, autocommit=True))
                return _write(connection, facts, shape.batch)

            yield make


def _write(connection: psycopg.Connection[Any], facts: list[list[Any]], batch: int) -> Write:
    number = 0

    def write() -> None:
        nonlocal number
        rows = []
        for _ in range(batch):
            rows.append([new_id(), *facts[number % len(facts)], now()])
            number += 1
        if batch == 1:
            connection.execute(INSERT, rows[0], prepare=True)
            return
        with connection.cursor() as cursor, cursor.copy("COPY seizure FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    return write


def _values(command: RecordSeizure) -> list[Any]:
    place = command.place
    circumstances = (command.direction, command.detection, command.concealment, command.conveyance)
    return [
        str(command.kind),
        command.office,
        place.country,
        place.subdivision,
        command.occurred_on,
        *(None if code is None else str(code) for code in circumstances),
        list(command.route),
        msgspec.json.encode(command.goods).decode(),
        BY.actor,
        str(BY.role),
        str(BY.purpose),
        BY.legal_basis,
    ]
