"""Finding persons and businesses by name or number: personal, and the only way to their tables.

Candidates share selective keys with the name asked for: first pairs of words, then words a slip of the hand apart, then
single words; all of them are ranked by how well they fit, and each says which part fitted which. A name says little:
who is meant is for a person to judge. Who is restricted (Directive (EU) 2016/680, article 16(3)) is not found.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any
from uuid import UUID

import msgspec
from psycopg import sql

from projections.names import Match, Part, Word, match, pairs, telling, word_keys, words
from projections.projection import Cursor
from projections.text import compact

MOST_CANDIDATES = 300
"""How many candidates of one question are compared word by word."""
MOST_SHARING = 5_000
"""How many names that share some key are ranked by how many they share."""
MOST_WORDS_PAIRED = 4
CERTAIN = 97.0
GOOD = 90.0
LIKELY = 85.0
LEAST = 55.0
TABLES = {"person": "person_name", "business": "business_name"}


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A person or business that a name or number led to."""

    kind: str
    record_id: UUID
    name: str
    score: float
    parts: tuple[Part, ...]


def find(cursor: Cursor, name: str, kinds: Sequence[str], limit: int) -> list[Named]:
    """Those whose names fit best, or who have this number; best first, each record once."""
    found = [named for kind in kinds for named in _find(cursor, kind, name)]
    best: dict[UUID, Named] = {}
    for named in sorted(found, key=lambda named: (-named.score, named.name, named.record_id)):
        best.setdefault(named.record_id, named)
    return list(best.values())[:limit]


def _find(cursor: Cursor, kind: str, name: str) -> list[Named]:
    asked = words(name)
    found = [*_by_number(cursor, kind, name)]
    compared: dict[tuple[UUID, str], Match] = {}
    if asked:
        for enough, candidates in _rounds(cursor, TABLES[kind], asked):
            for record_id, spelled in candidates:
                if (record_id, spelled) not in compared:
                    compared[record_id, spelled] = match(asked, words(spelled))
            best = max((one.score for one in compared.values()), default=0.0)
            if best >= enough:
                break
    return found + [
        Named(kind=kind, record_id=record_id, name=spelled, score=one.score, parts=one.parts)
        for (record_id, spelled), one in compared.items()
        if one.score >= LEAST
    ]


def _by_number(cursor: Cursor, kind: str, number: str) -> list[Named]:
    bare = compact(number)
    if not any(map(str.isdigit, bare)):
        return []
    cursor.execute(
        sql.SQL(
            "SELECT record_id, coalesce(name, '') FROM read.{} WHERE numbers @> ARRAY[%s]"
            " AND restricted IS NULL LIMIT 100"
        ).format(sql.Identifier(kind)),
        [bare],
    )
    part = Part(bare, bare, 100.0)
    return [Named(kind=kind, record_id=record_id, name=name, score=100.0, parts=(part,)) for record_id, name in cursor]


def _rounds(cursor: Cursor, table: str, asked: tuple[Word, ...]) -> Iterable[tuple[float, list[tuple[UUID, str]]]]:
    """Candidates from the most selective keys to the widest, and how good one of them is to be to ask no further."""
    told = telling(asked)
    if len(told) > 1:
        yield CERTAIN, _sharing(cursor, table, [[pairs(told)]])
    by_word = [word_keys(word) for word in told[:MOST_WORDS_PAIRED]]
    if len(told) > 1:
        yield GOOD, _sharing(cursor, table, [list(two) for two in combinations(by_word, 2)])
    yield CERTAIN, _sharing(cursor, table, [[keys] for keys in by_word])


def _sharing(cursor: Cursor, table: str, ways: Sequence[Sequence[list[str]]]) -> list[tuple[UUID, str]]:
    """Names that share a key of each list in one of the ways, those that share most keys first."""
    every = sorted({key for way in ways for keys in way for key in keys})
    conditions = sql.SQL(" OR ").join(
        sql.SQL("({})").format(sql.SQL(" AND ").join(sql.SQL("keys && %s::text[]") for _ in way)) for way in ways
    )
    cursor.execute(
        sql.SQL(
            "SELECT record_id, name FROM (SELECT record_id, name, keys FROM read.{} WHERE {} LIMIT %s) AS sharing"
            " ORDER BY cardinality(ARRAY(SELECT unnest(keys) INTERSECT SELECT unnest(%s::text[]))) DESC,"
            " record_id, name LIMIT %s"
        ).format(sql.Identifier(table), conditions),
        [*(keys for way in ways for keys in way), MOST_SHARING, every, MOST_CANDIDATES],
    )
    return cursor.fetchall()


def merged_with(cursor: Cursor, kind: str, record_ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, ...]]:
    """For each of these records, those that are said to be one with it, in either direction."""
    cursor.execute(
        sql.SQL(
            "SELECT record_id, merged FROM read.{} WHERE merged && %s OR (record_id = ANY(%s) AND merged <> '{{}}')"
        ).format(sql.Identifier(kind)),
        [list(record_ids), list(record_ids)],
    )
    one: dict[UUID, set[UUID]] = {record_id: set() for record_id in record_ids}
    for survivor, others in cursor:
        for other in others:
            one.setdefault(survivor, set()).add(other)
            one.setdefault(other, set()).add(survivor)
    return {record_id: tuple(sorted(one[record_id])) for record_id in record_ids}


def described(cursor: Cursor, kind: str, record_ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """What the tables hold of these records, by column."""
    cursor.execute(
        sql.SQL("SELECT * FROM read.{} WHERE record_id = ANY(%s)").format(sql.Identifier(kind)), [list(record_ids)]
    )
    columns = [column.name for column in cursor.description or ()]
    return {row[0]: dict(zip(columns, row, strict=True)) for row in cursor}


def newest(cursor: Cursor, kind: str, limit: int, after: UUID | None) -> list[UUID]:
    """Records from the newest on, or those that follow one."""
    cursor.execute(
        sql.SQL(
            "SELECT record_id FROM read.{} WHERE restricted IS NULL AND (%s::uuid IS NULL OR record_id < %s)"
            " ORDER BY record_id DESC LIMIT %s"
        ).format(sql.Identifier(kind)),
        [after, after, limit],
    )
    return [record_id for (record_id,) in cursor]
