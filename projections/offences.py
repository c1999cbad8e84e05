"""Offences: open facts, each statement of them with the positions between which it held; names no one.

An offence need not have a seizure. Its parties are kept apart (`parties`), since they are personal. `penalties` lists
the kinds of penalty that stand, never amounts added up: they may be in several currencies.
"""

from collections.abc import Sequence
from typing import Any

from domain.entry import Entry
from domain.offence import Offence
from projections.folding import Folding, Origin
from projections.projection import Cursor, Past, Table, open_names
from projections.rows import NO_DAY, History

NAME = "offences"
VERSION = 1
NAMES = open_names("offence")

FACTS = (
    "offence_type",
    "office",
    "country",
    "subdivision",
    "locode",
    "occurred_on",
    "listed_on",
    "provision",
    "status",
    "status_on",
    "is_cancelled",
    "seizures",
    "penalties",
    "source",
    "node",
    "peer",
    "instrument",
    "handling",
)

_OFFENCE = Table(
    "offence",
    """CREATE TABLE offence (
        record_id uuid NOT NULL, from_position bigint NOT NULL, until_position bigint, version integer NOT NULL,
        recorded_at timestamptz NOT NULL,
        offence_type text, office text, country text, subdivision text, locode text, occurred_on date,
        listed_on date NOT NULL, provision text, status text NOT NULL, status_on date, is_cancelled boolean NOT NULL,
        seizures uuid[] NOT NULL,
        penalties text[] NOT NULL, source text,
        node text NOT NULL, peer text, instrument text, handling text,
        PRIMARY KEY (record_id, from_position))""",
    (
        "CREATE INDEX offence_newest ON offence (listed_on, record_id) WHERE until_position IS NULL",
        "CREATE INDEX offence_seizures ON offence USING gin (seizures) WHERE until_position IS NULL",
    ),
    is_open=True,
)

FOLDING = Folding("offence", "offence_state")
TABLES = (_OFFENCE, FOLDING.table)


def apply(cursor: Cursor, entries: Sequence[Entry], past: Past) -> None:
    """Bring the offences from before these entries to after them."""
    history = History("offence", ("record_id",), FACTS)
    for chain in FOLDING.chains(cursor, entries, past):
        key = (chain.record_id,)
        stood: tuple[Any, ...] | None = None
        row: list[Any] | None = None
        if chain.before is not None:
            stood = _facts(chain.before.state, chain.before.origin)
        for entry, origin, state in chain.steps:
            facts = _facts(state, origin)
            if facts != stood:
                if stood is not None:
                    history.close(key, row, entry)
                row = history.open(key, entry, facts)
                stood = facts
    history.write(cursor)


def _facts(offence: Offence, origin: Origin) -> tuple[Any, ...]:
    place = offence.place
    return (
        offence.offence_type,
        offence.office,
        place.country if place else None,
        place.subdivision if place else None,
        place.locode if place else None,
        offence.occurred_on,
        offence.occurred_on or NO_DAY,
        offence.provision,
        offence.status,
        offence.status_on,
        offence.is_cancelled,
        offence.seizures,
        tuple([line.penalty.kind.value for line in offence.penalties if line.lifted is None]),
        offence.source,
        origin.node,
        origin.peer,
        origin.instrument,
        origin.handling,
    )
