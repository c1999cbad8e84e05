"""Legal premises as they stand, for lists: what they cover, under which conditions, and whether they are in force.

The law itself (`release`) never asks this table: it folds the premise from the ledger. A premise's title is words typed
by hand and stays out of it.
"""

from collections.abc import Sequence

from domain.entry import Entry
from domain.premise import Premise
from projections.folding import Folding
from projections.projection import Cursor, Past, Table, open_names
from projections.rows import replace_records

NAME = "premises"
VERSION = 1
NAMES = open_names("premise")

FACTS = (
    "instrument",
    "kind",
    "parties",
    "purposes",
    "categories",
    "senders",
    "offence_types",
    "sections",
    "handling",
    "onward",
    "retention_days",
    "shows_attribution",
    "in_force_from",
    "until",
    "suspended",
    "ended",
)
COLUMNS = ("record_id", *FACTS, "node", "peer", "version", "position", "recorded_at")
FOLDING = Folding("premise", "premise_state")
TABLES = (
    Table(
        "premise",
        """CREATE TABLE premise (
            record_id uuid PRIMARY KEY, instrument text, kind text, parties text[] NOT NULL, purposes text[] NOT NULL,
            categories text[] NOT NULL, senders text[] NOT NULL, offence_types text[] NOT NULL,
            sections text[] NOT NULL, handling text, onward text, retention_days integer,
            shows_attribution boolean NOT NULL, in_force_from date, until date, suspended text, ended text,
            node text NOT NULL, peer text, version integer NOT NULL, position bigint NOT NULL,
            recorded_at timestamptz NOT NULL)""",
        ("CREATE INDEX premise_instrument ON premise (instrument)",),
    ),
    FOLDING.table,
)


def apply(cursor: Cursor, entries: Sequence[Entry], past: Past) -> None:
    """Bring the premises from before these entries to after them."""
    chains = FOLDING.chains(cursor, entries, past)
    rows = []
    for chain in chains:
        entry, origin, premise = chain.steps[-1]
        rows.append(
            (
                chain.record_id,
                *_facts(premise),
                origin.node,
                origin.peer,
                entry.version,
                entry.position,
                entry.recorded_at,
            )
        )
    known = [chain.record_id for chain in chains if chain.before is not None]
    replace_records(cursor, "premise", COLUMNS, known, rows)


def _facts(premise: Premise) -> tuple[object, ...]:
    facts = (getattr(premise, field) for field in FACTS)
    return tuple(list(fact) if isinstance(fact, tuple) else fact for fact in facts)
