"""A ledger with many entries in it, made quickly: what our own ledger stored, written again under new record ids.

Only rows go in this way that an ordinary command could have stored, byte for byte; the sealer numbers them like any
others. It is how a backlog, a history to replay and a table to vacuum are made in seconds.
"""

from typing import Any

import psycopg
from psycopg import sql

from bench.plain import copy_rows
from bench.server import Place
from bench.template import read_template, store_templates
from ledger.sealer import seal_once

LEDGER = sql.SQL("ledger.entry")
AT_ONCE = 5_000


def fill(place: Place, entries: int) -> int:
    """Record about so many entries in a fresh database, unsealed; the exact number comes back."""
    store_templates(place)
    with psycopg.connect(place.url, autocommit=True) as connection:
        template = read_template(connection)
        while (missing := entries - count(connection)) > 0:
            copy_rows(connection, template, LEDGER, template.take_transaction(min(AT_ONCE, missing)))
        return count(connection)


def seal_all(place: Place) -> int:
    """Seal whatever is waiting, in this process; the number of entries sealed."""
    sealed = 0
    with psycopg.connect(place.url, autocommit=True) as connection:
        while done := seal_once(connection):
            sealed += done
    return sealed


def count(connection: psycopg.Connection[Any]) -> int:
    """How many entries there are."""
    counted = connection.execute("SELECT count(*) FROM ledger.entry").fetchone()
    assert counted is not None
    entries: int = counted[0]
    return entries
