"""Search over all that is on record: by filters, by words, by name; a hit says where it comes from and why it is one.

Seizures and offences come newest first and are paged by key, never by offset, and never counted in full. Words are
looked for in what was written by hand; a name leads to persons and businesses, or to the cases they have a part in.
Open facts can be asked as of a past ledger position; words and names keep no past and are always asked as they stand.
"""

import base64
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from psycopg import sql

from projections import people
from projections import text as folding
from projections.asking import AnyConnection, Unanswerable, holding, pinned, snapshot
from projections.filters import OFFENCE, SEIZURE, Condition, Filters, conditions, handled
from projections.names import Part
from projections.people import LIKELY, Named
from projections.projection import Cursor
from projections.summaries import of_offences, of_seizures, of_subject
from projections.tables import READ, Tables

MOST_HITS = 1_000
MOST_NAMED = 100
LONGEST_QUESTION = 1_000
CASES = {"seizure": SEIZURE, "offence": OFFENCE}
SUBJECTS = ("person", "business")
SOURCES = {"seizure": "seizures", "offence": "offences", "person": "persons", "business": "businesses"}


class Hit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record that was found. `summary` tells open facts only; `name` and `matched` are personal."""

    kind: str
    record_id: UUID
    node: str
    peer: str | None = None
    instrument: str | None = None
    handling: str | None = None
    version: int
    position: int
    occurred_on: date | None = None
    summary: str
    name: str | None = None
    score: float | None = None
    matched: tuple[Part, ...] = ()
    one_with: tuple[UUID, ...] = ()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was found as of a position; `next` is what to give as `after` for the following page, or None."""

    position: int
    hits: tuple[Hit, ...]
    next: str | None = None


def search(  # noqa: PLR0913  # a search is asked from as many sides as an officer asks from, each by its name
    connection: AnyConnection,
    *,
    kind: str | None = None,
    text: str | None = None,
    name: str | None = None,
    filters: Filters | None = None,
    limit: int = 20,
    after: str | None = None,
    as_of: int | None = None,
    tables: Tables = READ,
) -> Found:
    """Find records of one kind (`seizure`, `offence`, `person`, `business`), or both sorts of party for a bare name.

    Raises:
        Unanswerable: a kind, filter, position or page is not known, or what is asked keeps no past.
    """
    kinds = _kinds(kind, name)
    _require_words(text, name)
    if not 1 <= limit <= MOST_HITS:
        raise Unanswerable(f"At most {MOST_HITS} hits can be asked for at once, and at least one.")
    with snapshot(connection, *_sources(kinds, text, name), hold=tables.hold) as (cursor, reached):
        position = pinned(as_of, reached)
        if kinds[0] in CASES:
            found = _cases(cursor, kinds[0], _Asked(text, name, filters or {}, limit, after, as_of, tables))
        else:
            if as_of is not None:
                raise Unanswerable("Names keep no past: ask for persons and businesses as they stand now.")
            if filters:
                raise Unanswerable("Persons and businesses are found by name or number, not by filters.")
            found = _subjects(cursor, kinds, name or text, limit, after, tables)
    return Found(position=position, hits=found[0], next=found[1])


def _require_words(words: str | None, name: str | None) -> None:
    for told in (words, name):
        if told is not None and len(told) > LONGEST_QUESTION:
            raise Unanswerable(f"At most {LONGEST_QUESTION} characters can be looked for at once.")
        if told is not None and not folding.folded(told):
            raise Unanswerable("There is no word to look for in the text that was given.")


def _kinds(kind: str | None, name: str | None) -> tuple[str, ...]:
    if kind is None:
        return ("seizure",) if name is None else SUBJECTS
    if kind not in SOURCES:
        raise Unanswerable(f"There is no kind {kind!r} to search: known are {', '.join(SOURCES)}.")
    return (kind,)


def _sources(kinds: Sequence[str], words: str | None, name: str | None) -> list[str]:
    """The projections that the question is put to, and no more: each is held still while it is answered."""
    sources = {SOURCES[kind] for kind in kinds}
    if kinds[0] in CASES:
        sources |= {"narratives"} if words is not None else set()
        sources |= {"parties", "persons", "businesses"} if name is not None else set()
    return sorted(sources)


class _Asked(msgspec.Struct, frozen=True):
    text: str | None
    name: str | None
    filters: Filters
    limit: int
    after: str | None
    as_of: int | None
    tables: Tables


Page = tuple[tuple[Hit, ...], str | None]


def _cases(cursor: Cursor, kind: str, asked: _Asked) -> Page:
    limits = [
        (holding("record", asked.as_of), []),
        *handled(asked.tables.handling),
        *_by_filters(kind, asked),
        *_by_words(kind, asked.text, asked.tables),
        *_by_party(cursor, asked.name, asked.tables),
        *_after(asked.after),
    ]
    cursor.execute(
        sql.SQL(
            "SELECT record_id, listed_on, occurred_on, node, peer, instrument, handling, version, from_position"
            " FROM read.{} AS record WHERE {} ORDER BY listed_on DESC, record_id DESC LIMIT %s"
        ).format(sql.Identifier(kind), sql.SQL(" AND ").join(limit for limit, _ in limits)),
        [*(value for _, values in limits for value in values), asked.limit + 1],
    )
    rows = cursor.fetchall()
    shown = rows[: asked.limit]
    summaries = (of_seizures if kind == "seizure" else of_offences)(cursor, [row[0] for row in shown], asked.as_of)
    hits = tuple(
        Hit(
            kind=kind,
            record_id=row[0],
            occurred_on=row[2],
            node=row[3],
            peer=row[4],
            instrument=row[5],
            handling=row[6],
            version=row[7],
            position=row[8],
            summary=summaries[row[0]],
        )
        for row in shown
    )
    return hits, _token(shown[-1][1], shown[-1][0]) if len(rows) > asked.limit else None


def _by_filters(kind: str, asked: _Asked) -> list[Condition]:
    fields = CASES[kind]
    found = conditions(fields, asked.filters, of_line=False)
    of_lines = conditions(fields, asked.filters, of_line=True)
    if of_lines:  # all of them must hold of one and the same line
        one_line = sql.SQL(
            "EXISTS (SELECT FROM read.seizure_line AS line WHERE line.record_id = record.record_id AND {} AND {})"
        ).format(holding("line", asked.as_of), sql.SQL(" AND ").join(condition for condition, _ in of_lines))
        found.append((one_line, [value for _, values in of_lines for value in values]))
    return found


def _by_words(kind: str, words: str | None, tables: Tables) -> list[Condition]:
    if words is None:
        return []
    query = folding.query(words)
    if not query:
        raise Unanswerable("There is no word to look for in the text that was given.")
    return [tables.told(kind, query)]


def _by_party(cursor: Cursor, name: str | None, tables: Tables) -> list[Condition]:
    """Cases in which somebody of this name has a part; a name leads to those it is likely to mean."""
    if name is None:
        return []
    named = [one for one in people.find(cursor, name, SUBJECTS, MOST_NAMED, tables) if one.score >= LIKELY]
    known = {one.record_id for one in named}
    for kind in SUBJECTS:
        ids = [one.record_id for one in named if one.kind == kind]
        known.update(other for others in people.merged_with(cursor, kind, ids, tables).values() for other in others)
    return [tables.cases_of(sorted(known))]


def _after(token: str | None) -> list[Condition]:
    if token is None:
        return []
    try:
        day, _, record_id = base64.urlsafe_b64decode(token).decode("ascii").partition(" ")
        values = [date.fromisoformat(day), UUID(record_id)]
    except ValueError:
        raise Unanswerable("This is not the mark of a following page.") from None
    return [(sql.SQL("(record.listed_on, record.record_id) < (%s, %s)"), values)]


def _token(day: date, record_id: UUID) -> str:
    return base64.urlsafe_b64encode(f"{day.isoformat()} {record_id}".encode()).decode("ascii")


def following(record_id: UUID) -> str:
    """The mark of the page that follows a person or business in a list."""
    return _token(date.min, record_id)


def _subjects(  # noqa: PLR0913, PLR0917  # each a part of the question
    cursor: Cursor, kinds: Sequence[str], name: str | None, limit: int, after: str | None, tables: Tables
) -> Page:
    if name is not None:
        if after is not None:
            raise Unanswerable("Names come best first and have no following page: ask for more hits at once.")
        return _hits(cursor, people.find(cursor, name, kinds, limit, tables), tables), None
    start = _after(after)
    ids = tables.newest(cursor, kinds[0], limit + 1, start[0][1][1] if start else None)
    named = [Named(kind=kinds[0], record_id=one, name="", score=0.0, parts=()) for one in ids[:limit]]
    return _hits(cursor, named, tables), following(ids[limit - 1]) if len(ids) > limit else None


def _hits(cursor: Cursor, named: Sequence[Named], tables: Tables) -> tuple[Hit, ...]:
    described: dict[UUID, dict[str, Any]] = {}
    one_with: dict[UUID, tuple[UUID, ...]] = {}
    for kind in SUBJECTS:
        ids = [one.record_id for one in named if one.kind == kind]
        if ids:
            described |= tables.described(cursor, kind, ids)
            one_with |= people.merged_with(cursor, kind, ids, tables)
    return tuple(
        _hit(one, described[one.record_id], one_with[one.record_id]) for one in named if one.record_id in described
    )


def _hit(named: Named, facts: dict[str, Any], one_with: tuple[UUID, ...]) -> Hit:
    return Hit(
        kind=named.kind,
        record_id=named.record_id,
        node=facts["node"],
        peer=facts["peer"],
        instrument=facts["instrument"],
        handling=facts["handling"],
        version=facts["version"],
        position=facts["position"],
        summary=of_subject(named.kind, facts),
        name=named.name or facts["name"],
        score=named.score if named.parts else None,
        matched=named.parts,
        one_with=one_with,
    )
