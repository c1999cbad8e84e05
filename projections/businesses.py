"""Businesses as they stand, with their names and numbers for search: held to be personal, reached through here alone.

A sole trader's name is a person's, so the whole table counts as personal plaintext.
"""

from collections.abc import Iterator, Sequence
from uuid import UUID

from domain.business import Business
from domain.entry import Entry
from domain.identity import BusinessName, BusinessNameKind
from projections.folding import Folding
from projections.projection import Cursor, Past, all_names
from projections.subjects import name_table, record_row, record_table, write_names, write_records

NAME = "businesses"
VERSION = 2
NAMES = all_names("business")

OWN_COLUMNS = ("countries", "roles", "is_closed")
FOLDING = Folding("business", "business_state")
TABLES = (
    record_table("business", "countries text[] NOT NULL, roles text[] NOT NULL, is_closed boolean NOT NULL", ()),
    name_table("business_name"),
    FOLDING.table,
)


def apply(cursor: Cursor, entries: Sequence[Entry], past: Past) -> None:
    """Bring businesses and their names from before these entries to after them."""
    chains = FOLDING.chains(cursor, entries, past)
    rows = []
    spelled: list[tuple[UUID, str]] = []
    for chain in chains:
        last = chain.steps[-1]
        business: Business = last.state
        if business.erased is not None:
            continue
        countries = {one.country for one in business.addresses} | {one.country for one in business.identifiers}
        rows.append(
            (
                *record_row(chain.record_id, last, shown_name(business.names), _numbers(business)),
                sorted(country for country in countries if country),
                sorted({held.role.value for held in business.roles}),
                bool(business.closures),
            )
        )
        if business.restricted is None:
            spelled.extend((chain.record_id, name) for name in spellings(business.names))
    write_records(cursor, "business", OWN_COLUMNS, chains, rows)
    write_names(cursor, "business_name", chains, spelled)


def shown_name(names: Sequence[BusinessName]) -> str | None:
    """The name to show first: the latest that is said to be registered, else the latest of no kind, else the latest."""
    for kind in (BusinessNameKind.REGISTERED, None):
        if fitting := [name.name for name in names if name.kind is kind]:
            return fitting[-1]
    return names[-1].name if names else None


def spellings(names: Sequence[BusinessName]) -> Iterator[str]:
    """All that a business's names may be written as."""
    for name in names:
        yield name.name
        if name.transliteration:
            yield name.transliteration


def _numbers(business: Business) -> Iterator[str]:
    yield from (identifier.number for identifier in business.identifiers)
    yield from (contact.value for contact in business.contacts)
