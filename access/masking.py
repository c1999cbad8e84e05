"""Masking: what an analyst sees of persons and businesses, which is pseudonyms, and nothing of what is said of them.

Whether a record is masked to a caller is one predicate, asked within the gate, so that no verb can forget it. What is
said of the record's subject (names, births, numbers, words) stays in the database with its key. A link, which says that
somebody had a part or that two are one, leaves sealed, and is opened to pseudonyms here and nowhere else.
"""

from collections.abc import Collection, Iterable
from enum import Enum
from uuid import UUID

from msgspec.structs import replace

from domain.entry import Entry
from domain.event import Masked, PersonalEvent, wire_name
from domain.pseudonym import Pseudonym, pseudonym_of
from domain.records import PERSONAL_EVENTS
from ledger.keyring import Keyring
from projections.search import SUBJECTS, Found, Hit

LINKS = sorted(wire_name(event) for event in PERSONAL_EVENTS if event.subject_field is not None)
"""Personal events that tell of a record other than their own: who had a part, and who is one with whom."""
TOLD_MASKED = ("record_id", "node", "peer", "instrument", "handling", "version", "position", "statements")
"""What is told of a masked person or business that is listed; nothing else of its row leaves the database."""

FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION gate.links() RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$ SELECT ARRAY['{"', '".join(LINKS)}'] $$;

-- THE predicate of masking: the caller looks as one who is masked, and has no role in which they see all of the record.
CREATE OR REPLACE FUNCTION gate.is_masked(eyes gate.eyes, record uuid) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN eyes.masked AND NOT EXISTS (
        SELECT FROM access.sight s WHERE s.role = ANY (eyes.others) AND gate.level(
            (eyes.user_id, eyes.office, eyes.cases, s.scope, s.sees_restricted, s.handling, false, s.role, false,
             '{{}}'::text[])::gate.eyes, record) = 2);
END $$;

-- A listed row of somebody who is masked.
CREATE OR REPLACE FUNCTION gate.as_masked(told jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_object_agg(key, value) || '{{"name": null, "masked": true}}'::jsonb
    FROM jsonb_each(told) WHERE key = ANY (ARRAY['{"', '".join(TOLD_MASKED)}'])
$$;

-- Whoever is masked looks for no name, number or words: what is found would tell whose pseudonym it is.
CREATE OR REPLACE FUNCTION gate.refuse_masked() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what is said of persons is masked to this role' USING ERRCODE = 'NC423';
END $$;
"""  # noqa: S608  # our own names
"""They stand between need-to-know, which they ask, and the gate, which asks them."""


def masked_entry(entry: Entry, keys: Keyring, *, is_kept: bool) -> Entry:
    """An entry of a record that is masked to the caller; `is_kept` where what it says was kept in the database."""
    is_of_subject = entry.kind in SUBJECTS
    shown = pseudonym_of(keys.pseudonym_key, entry.record_id) if is_of_subject else entry.record_id
    event = entry.event
    if is_kept:
        event = Masked(entry.name, shown if is_of_subject else None)
    elif isinstance(event, PersonalEvent):
        event = _masked_link(event, entry, keys)
    return replace(entry, record_id=shown, event=event, command_id=None)  # which may be the id of the record


def _masked_link(event: PersonalEvent, entry: Entry, keys: Keyring) -> PersonalEvent | Masked:
    """A link to a pseudonym, with its codes and without its words."""
    if event.subject_field is None:  # was to be kept in the database: it is not shown either
        return Masked(entry.name)
    values = {name: getattr(event, name) for name in event.__struct_fields__}
    untold = {name: None for name, value in values.items() if not isinstance(value, Enum | bool)}
    return replace(
        event, **untold | {event.subject_field: pseudonym_of(keys.pseudonym_key, values[event.subject_field])}
    )


def masked_found(found: Found, keys: Keyring, clear: Collection[UUID]) -> Found:
    """What a search found, with pseudonyms in the place of persons and businesses who are not seen in the `clear`."""

    def shown(record: UUID) -> UUID:
        return record if record in clear else pseudonym_of(keys.pseudonym_key, record)

    def masked(hit: Hit) -> Hit:
        one_with = tuple(shown(other) for other in hit.one_with)
        return replace(hit, record_id=shown(hit.record_id), one_with=one_with)

    if not found.hits or found.hits[0].kind not in SUBJECTS:
        return found
    following = None if found.next is None else str(pseudonym_of(keys.pseudonym_key, found.hits[-1].record_id))
    return replace(found, hits=tuple(map(masked, found.hits)), next=following)


def subject_of(pseudonym: Pseudonym, subjects: Iterable[UUID], keys: Keyring) -> UUID | None:
    """Whose pseudonym it is, among persons and businesses whom the caller sees; None where it is nobody's."""
    secret = keys.pseudonym_key
    return next((one for one in subjects if pseudonym_of(secret, one) == pseudonym), None)
