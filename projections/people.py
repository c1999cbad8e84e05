"""Finding persons and businesses by name or number: personal, and the only way to their tables.

Candidates share selective keys with the name asked for: first pairs of words, then words a slip of the hand apart, then
single words; all of them are ranked by how well they fit, and each says which part fitted which. A name says little:
who is meant is for a person to judge. Who is restricted (Directive (EU) 2016/680, article 16(3)) is not found.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from uuid import UUID

import msgspec

from projections.names import Match, Part, Word, match, pairs, telling, word_keys, words
from projections.projection import Cursor
from projections.tables import READ, Tables
from projections.text import compact

MOST_WORDS_PAIRED = 4
CERTAIN = 97.0
GOOD = 90.0
LIKELY = 85.0
LEAST = 55.0


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A person or business that a name or number led to."""

    kind: str
    record_id: UUID
    name: str
    score: float
    parts: tuple[Part, ...]


def find(cursor: Cursor, name: str, kinds: Sequence[str], limit: int, tables: Tables = READ) -> list[Named]:
    """Those whose names fit best, or who have this number; best first, each record once."""
    cursor.execute("SET LOCAL enable_seqscan = off")  # the planner has no samples of names, and would at times read all
    found = [named for kind in kinds for named in _find(cursor, kind, name, tables)]
    cursor.execute("SET LOCAL enable_seqscan = on")
    best: dict[UUID, Named] = {}
    for named in sorted(found, key=lambda named: (-named.score, named.name, named.record_id)):
        best.setdefault(named.record_id, named)
    return list(best.values())[:limit]


def _find(cursor: Cursor, kind: str, name: str, tables: Tables) -> list[Named]:
    asked = words(name)
    found = [*_by_number(cursor, kind, name, tables)]
    compared: dict[tuple[UUID, str], Match] = {}
    if asked:
        for enough, candidates in _rounds(cursor, kind, asked, tables):
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


def _by_number(cursor: Cursor, kind: str, number: str, tables: Tables) -> list[Named]:
    bare = compact(number)
    if not any(map(str.isdigit, bare)):
        return []
    part = Part(bare, bare, 100.0)
    return [
        Named(kind=kind, record_id=record_id, name=name, score=100.0, parts=(part,))
        for record_id, name in tables.by_number(cursor, kind, bare)
    ]


def _rounds(
    cursor: Cursor, kind: str, asked: tuple[Word, ...], tables: Tables
) -> Iterable[tuple[float, list[tuple[UUID, str]]]]:
    """Candidates from the most selective keys to the widest, and how good one of them is to be to ask no further."""
    told = telling(asked)
    if len(told) > 1:
        yield CERTAIN, tables.sharing(cursor, kind, [[pairs(told)]])
    by_word = [word_keys(word) for word in told[:MOST_WORDS_PAIRED]]
    if len(told) > 1:
        yield GOOD, tables.sharing(cursor, kind, [list(two) for two in combinations(by_word, 2)])
    yield CERTAIN, tables.sharing(cursor, kind, [[keys] for keys in by_word])


def merged_with(
    cursor: Cursor, kind: str, record_ids: Sequence[UUID], tables: Tables = READ
) -> dict[UUID, tuple[UUID, ...]]:
    """For each of these records, those that are said to be one with it, in either direction."""
    one: dict[UUID, set[UUID]] = {record_id: set() for record_id in record_ids}
    for survivor, others in tables.merged(cursor, kind, record_ids):
        for other in others:
            one.setdefault(survivor, set()).add(other)
            one.setdefault(other, set()).add(survivor)
    return {record_id: tuple(sorted(one[record_id])) for record_id in record_ids}
