"""Persons as they stand, with all their names and numbers for search: personal plaintext, reached through here alone.

Every assertion that stands counts, from whichever source; nothing is chosen as the truth but the name to show first.
"""

from collections.abc import Iterator, Sequence
from uuid import UUID

from domain.entry import Entry
from domain.identity import NameKind, PersonName
from domain.person import Person
from projections.folding import Folding
from projections.projection import Cursor, Past, all_names
from projections.subjects import name_table, record_row, record_table, write_names, write_records

NAME = "persons"
VERSION = 2
NAMES = all_names("person")

OWN_COLUMNS = ("born_on", "born_year", "nationalities")
FOLDING = Folding("person", "person_state")
TABLES = (
    record_table("person", "born_on date, born_year integer, nationalities text[] NOT NULL", OWN_COLUMNS),
    name_table("person_name"),
    FOLDING.table,
)


def apply(cursor: Cursor, entries: Sequence[Entry], past: Past) -> None:
    """Bring persons and their names from before these entries to after them."""
    chains = FOLDING.chains(cursor, entries, past)
    rows = []
    spelled: list[tuple[UUID, str]] = []
    for chain in chains:
        last = chain.steps[-1]
        person: Person = last.state
        if person.erased is not None:
            continue
        births = person.births
        rows.append(
            (
                *record_row(chain.record_id, last, shown_name(person.names), _numbers(person)),
                next((birth.on for birth in reversed(births) if birth.on), None),
                next((birth.on.year if birth.on else birth.year for birth in reversed(births)), None),
                sorted({nationality.country for nationality in person.nationalities}),
            )
        )
        if person.restricted is None:
            spelled.extend((chain.record_id, name) for name in spellings(person.names))
    write_records(cursor, "person", OWN_COLUMNS, chains, rows)
    write_names(cursor, "person_name", chains, spelled)


def shown_name(names: Sequence[PersonName]) -> str | None:
    """The name to show first: the latest that is said to be current, else the latest of no kind, else the latest."""
    for kind in (NameKind.CURRENT, None):
        if fitting := [name.full for name in names if name.kind is kind]:
            return fitting[-1]
    return names[-1].full if names else None


def spellings(names: Sequence[PersonName]) -> Iterator[str]:
    """All that a person's names may be written as."""
    for name in names:
        yield name.full
        if name.transliteration:
            yield name.transliteration
        if name.given and name.family:
            yield f"{name.given} {name.family}"


def _numbers(person: Person) -> Iterator[str]:
    yield from (document.number for document in person.documents)
    yield from (contact.value for contact in person.contacts)
