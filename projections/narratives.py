"""What was written by hand of seizures and offences, as folded words: personal, and reached through here alone.

Narratives, plates and document numbers can be searched in every spelling that `text` brings together. It keeps no past,
and an account that is taken back, replaced or erased can no longer be found.
"""

from collections.abc import Sequence
from typing import Any

from domain.entry import Entry
from projections.folding import Chain, Folding
from projections.projection import Cursor, Past, Table
from projections.rows import replace_records
from projections.text import vector

NAME = "narratives"
VERSION = 1
NAMES = frozenset(
    ("seizure.narrative-written", "seizure.plates-noted", "seizure.documents-noted", "offence.narrative-written")
)

COLUMNS = ("record_id", "kind", "words", "node", "peer", "instrument", "handling", "version", "position")
FOLDINGS = {kind: Folding(kind, f"narrative_{kind}_state") for kind in ("seizure", "offence")}
TABLES = (
    Table(
        "narrative",
        """CREATE TABLE narrative (
            record_id uuid PRIMARY KEY, kind text NOT NULL, words tsvector NOT NULL,
            node text NOT NULL, peer text, instrument text, handling text,
            version integer NOT NULL, position bigint NOT NULL)""",
        ("CREATE INDEX narrative_words ON narrative USING gin (words)",),
        personal=("words",),
    ),
    *(folding.table for folding in FOLDINGS.values()),
)


def apply(cursor: Cursor, entries: Sequence[Entry], past: Past) -> None:
    """Bring the searchable words from before these entries to after them."""
    for kind, folding in FOLDINGS.items():
        mine = [entry for entry in entries if entry.kind == kind]
        if not mine:
            continue
        chains = folding.chains(cursor, mine, past)
        rows = [row for chain in chains if (row := _row(kind, chain))[2]]
        known = [chain.record_id for chain in chains if chain.before is not None]
        replace_records(cursor, "narrative", COLUMNS, known, rows)


def _row(kind: str, chain: Chain) -> tuple[Any, ...]:
    entry, origin, state = chain.steps[-1]
    texts = (state.narrative,) if state.narrative else ()
    numbers = [noted.number for noted in (*state.plates, *state.documents)] if kind == "seizure" else []
    words = vector(texts, numbers)
    return (
        chain.record_id,
        kind,
        words,
        origin.node,
        origin.peer,
        origin.instrument,
        origin.handling,
        entry.version,
        entry.position,
    )
