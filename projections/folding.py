"""Records folded step by step, so that amendments need not read a record's history again.

Beside its tables a projection keeps one state for each record it has met: the record as folded from the events the
projection listens to, the highest version in it, and where the record comes from. Versions may have gaps and may come
late (a peer was given some entries only, or some of them later): a version that is not the next higher one is folded
anew from the ledger, in the order of versions, from what was known at that position.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from domain.attribution import Occasion
from domain.entry import Entry
from domain.records import KINDS
from projections.packing import copy_packed_rows
from projections.projection import Cursor, Past, Table
from projections.rows import plain_array


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """Where a record comes from: its node, and for one that a peer sent us that peer and how it may be handled."""

    node: str
    peer: str | None = None
    instrument: str | None = None
    handling: str | None = None


class Step(NamedTuple):
    """A record as it stands after an entry."""

    entry: Entry
    origin: Origin
    state: Any


class Chain(NamedTuple):
    """A record's way through a batch: as it stood before (None when it is new to the projection), and its steps."""

    record_id: UUID
    before: Step | None
    steps: Sequence[Step]


class _Kept(NamedTuple):
    version: int
    origin: Origin
    state: Any


class Folding:
    """The kept states of one kind of record in one projection."""

    def __init__(self, kind: str, table: str, slim: Callable[[Any], Any] = lambda state: state) -> None:
        """Fold records of this kind into this table; `slim` leaves out of a state what the projection does not need."""
        self._evolve = KINDS[kind].evolve
        self._slim = slim
        self._name = table
        self._encode = msgspec.msgpack.Encoder(decimal_format="string").encode
        self._decode = msgspec.msgpack.Decoder(tuple.__class_getitem__((Origin, KINDS[kind].state))).decode
        self.table = Table(
            table,
            f"CREATE TABLE {table} (record_id uuid PRIMARY KEY, version integer NOT NULL, state bytea NOT NULL)"
            " WITH (fillfactor = 80)",
            personal=("state",),
        )

    def chains(self, cursor: Cursor, entries: Sequence[Entry], past: Past) -> list[Chain]:
        """Fold a batch into the states and give each touched record's way through it."""
        grouped: dict[UUID, list[Entry]] = {}
        for entry in entries:
            grouped.setdefault(entry.record_id, []).append(entry)
        kept = self._load(cursor, grouped)
        chains = []
        added: list[tuple[UUID, int, bytes]] = []
        changed: list[tuple[UUID, int, bytes]] = []
        for record_id, mine in grouped.items():
            known = kept.get(record_id)
            steps = list(self._steps(known, mine, past))
            chains.append(Chain(record_id, _before(known, mine[0]), steps))
            version = max(entry.version for entry in mine) if len(mine) > 1 else mine[0].version
            if known is not None and known.version > version:
                version = known.version
            row = (record_id, version, self._encode((steps[-1].origin, steps[-1].state)))
            (changed if known else added).append(row)
        self._store(cursor, added, changed)
        return chains

    def _steps(self, known: _Kept | None, mine: Sequence[Entry], past: Past) -> Iterator[Step]:
        version, origin, state = known or (0, None, None)
        for entry in mine:
            if entry.version > version:
                state = self._slim(self._evolve(state, entry.event, _occasion(entry)))
                version = entry.version
            else:
                state = self._anew(entry, past)
            origin = _origin(origin, entry)
            yield Step(entry, origin, state)

    def _anew(self, entry: Entry, past: Past) -> Any:  # noqa: ANN401  # the state of whichever kind this is
        state = None
        assert entry.position is not None  # noqa: S101  # only sealed entries are projected
        for earlier in past(entry.record_id, entry.position):
            state = self._slim(self._evolve(state, earlier.event, _occasion(earlier)))
        return state

    def _load(self, cursor: Cursor, record_ids: dict[UUID, list[Entry]]) -> dict[UUID, _Kept]:
        cursor.execute(
            f"SELECT record_id, version, state FROM {self._name} WHERE record_id = ANY(%s::uuid[])",  # noqa: S608  # our own table name
            [plain_array(record_ids)],
            binary=True,
        )
        return {record_id: _Kept(version, *self._decode(state)) for record_id, version, state in cursor}

    def _store(
        self, cursor: Cursor, added: list[tuple[UUID, int, bytes]], changed: list[tuple[UUID, int, bytes]]
    ) -> None:
        if added:
            copy_packed_rows(cursor, self._name, ("record_id", "version", "state"), added)
        if changed:
            cursor.execute(
                f"UPDATE {self._name} AS stood SET version = told.version, state = told.state"  # noqa: S608  # our own table name
                " FROM unnest(%s::uuid[], %s::integer[], %s::bytea[]) AS told (record_id, version, state)"
                " WHERE stood.record_id = told.record_id",
                [
                    plain_array(row[0] for row in changed),
                    plain_array(row[1] for row in changed),
                    plain_array(rf'"\\x{row[2].hex()}"' for row in changed),
                ],
            )


def _occasion(entry: Entry) -> Occasion:
    """When it was recorded; who did it is left out, since no table of the read side tells that."""
    return Occasion(by=None, at=entry.recorded_at)


def _before(known: _Kept | None, first: Entry) -> Step | None:
    return None if known is None else Step(first, known.origin, known.state)


def _origin(known: Origin | None, entry: Entry) -> Origin:
    """Where the record comes from: what we add to a peer's record ourselves does not make it ours."""
    how = entry.provenance
    if how is not None:
        return Origin(entry.node, how.peer, how.instrument, str(how.handling))
    if known is not None and (known.peer is not None or known.node == entry.node):
        return known
    return Origin(entry.node)
