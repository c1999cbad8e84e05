"""Who had which part in a seizure or an offence, by record id: personal, and reached through here alone.

A link says that a person or business had a part in a case, which tells of the person even without a name; so it keeps
no past, and it goes when its event is erased.
"""

from collections.abc import Sequence

from domain.entry import Entry
from projections.folding import Folding
from projections.projection import Cursor, Past, Table
from projections.rows import replace_records

NAME = "parties"
VERSION = 1
NAMES = frozenset(f"{kind}.party-{what}" for kind in ("seizure", "offence") for what in ("named", "withdrawn"))

COLUMNS = (
    "record_id",
    "kind",
    "party",
    "is_business",
    "role",
    "category",
    "node",
    "peer",
    "instrument",
    "handling",
    "version",
    "position",
)
FOLDINGS = {kind: Folding(kind, f"party_{kind}_state") for kind in ("seizure", "offence")}
TABLES = (
    Table(
        "party",
        """CREATE TABLE party (
            record_id uuid NOT NULL, kind text NOT NULL, party uuid NOT NULL, is_business boolean NOT NULL,
            role text NOT NULL, category text, node text NOT NULL, peer text, instrument text, handling text,
            version integer NOT NULL, position bigint NOT NULL, PRIMARY KEY (record_id, party, role))""",
        ("CREATE INDEX party_party ON party (party)",),
    ),
    *(folding.table for folding in FOLDINGS.values()),
)


def apply(cursor: Cursor, entries: Sequence[Entry], past: Past) -> None:
    """Bring the links from before these entries to after them."""
    for kind, folding in FOLDINGS.items():
        mine = [entry for entry in entries if entry.kind == kind]
        if not mine:
            continue
        chains = folding.chains(cursor, mine, past)
        rows = [
            (
                chain.record_id,
                kind,
                party.party,
                party.is_business,
                party.role,
                party.category,
                last.origin.node,
                last.origin.peer,
                last.origin.instrument,
                last.origin.handling,
                last.entry.version,
                last.entry.position,
            )
            for chain in chains
            for last in chain.steps[-1:]
            for party in last.state.parties
        ]
        known = [chain.record_id for chain in chains if chain.before is not None]
        replace_records(cursor, "party", COLUMNS, known, rows)
