"""Recomputes the whole ledger and names the first entry that does not fit.

Leaves are made anew from what is stored and compared with what was sealed, then the tree from the leaves; positions
have no gap, lines lie in the order in which they were sealed, versions ascend, and nothing lies unsealed behind the
sealer's back. No keys are needed; with keys every personal body is opened too. One snapshot, bounded memory.
"""

import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from domain import records
from ledger import binary, leaf, line, schema
from ledger.collecting import no_collection
from ledger.errors import Damaged
from ledger.keyring import Keyring
from ledger.merkle import SUBTREE_LEVELS, Frontier
from ledger.sessions import Session, connect
from ledger.vault import Vault

CHUNK = 10_000

_SEALED = """
    SELECT s.position, s.xid, s.ordinal, uuid_send(s.record_id), s.version, s.leaf,
           e.xid, e.ordinal, timestamptz_send(e.recorded_at), e.node, e.name, e.personal, e.body,
           e.attribution, e.attribution_salt, e.attribution_hash
    FROM ledger.sealed s LEFT JOIN ledger.entry e ON e.record_id = s.record_id AND e.version = s.version
    WHERE s.position > %s ORDER BY s.position LIMIT %s
"""
_STATE = """
    SELECT t.size, t.frontier, t.reached_xid::text, t.reached_ordinal, t.system_identifier = c.system_identifier
    FROM ledger.seal_state t, pg_control_system() c
"""
_SUBTREES = """
    SELECT w.number FROM unnest(%s::int2[], %s::int8[], %s::bytea[]) AS w(level, number, hash)
    LEFT JOIN ledger.subtree t USING (level, number) WHERE t.hash IS DISTINCT FROM w.hash ORDER BY w.number LIMIT 1
"""
_VERSIONS = """
    SELECT v.position, v.record_id, v.version, v.before, v.earlier > v.position FROM (
        SELECT position, record_id, version,
               lag(version, 1, 0) OVER record AS before, lag(position, 1, 0::bigint) OVER record AS earlier
        FROM ledger.sealed WINDOW record AS (PARTITION BY record_id ORDER BY version)) AS v
    WHERE v.earlier > v.position OR (v.version > v.before + 1 AND EXISTS (
        SELECT FROM ledger.entry e JOIN ledger.node n ON e.node = n.name
        WHERE e.record_id = v.record_id AND e.version = v.version))
    ORDER BY v.position LIMIT 1000
"""
_UNSEALED = """
    SELECT e.record_id, e.version, f.is_behind
    FROM ledger.entry e, LATERAL (SELECT (e.xid, e.ordinal) <= (%s::xid8, %s) AS is_behind,
                                         e.xid >= pg_snapshot_xmax(pg_current_snapshot()) AS is_ahead) AS f
    WHERE (f.is_behind OR f.is_ahead)
      AND NOT EXISTS (SELECT FROM ledger.sealed s WHERE s.record_id = e.record_id AND s.version = e.version)
    ORDER BY e.xid, e.ordinal LIMIT 1000
"""
_COUNT = "SELECT (SELECT count(*) FROM ledger.entry) - (SELECT count(*) FROM ledger.sealed)"


class Fault(msgspec.Struct, frozen=True):
    """Something that does not fit: where, as far as that can be said, and what it is, as a sentence."""

    position: int | None
    record_id: UUID | None
    version: int | None
    what: str

    def __str__(self) -> str:
        entry = f"entry {self.version} of record {self.record_id}" if self.record_id else None
        place = f"position {self.position}" if self.position else None
        return f"{', '.join(part for part in (place, entry) if part) or 'the ledger'}: {self.what}"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What verifying came to: how many entries were checked, the tree's root over them, and what does not fit."""

    entries: int
    root: bytes
    faults: tuple[Fault, ...]
    unsealed: int = 0
    """Entries that are recorded and wait for the sealer."""
    opened: int = 0
    """Personal bodies that were opened with the keys given."""
    erased: int = 0
    """Personal bodies whose key is gone."""

    @property
    def is_sound(self) -> bool:
        """Whether everything fits."""
        return not self.faults


def verify(database_url: str, *, stop_at_first: bool = True, keys: Path | None = None) -> Verdict:
    """Verify the ledger as it stands at this moment; with the node's keys also what is sealed in it.

    Raises:
        psycopg.OperationalError: the server cannot be reached.
        Unsafe: the keys are not those of this ledger.
    """
    with connect(database_url, statement_timeout_ms=0) as connection:
        keyring = None if keys is None else Keyring.open(keys)
        if keyring is not None:
            schema.bind_keys(connection, keyring)
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return _Verifying(connection, None if keyring is None else Vault(keyring)).verdict(
                stop_at_first=stop_at_first
            )


class _Verifying:
    """One pass over the ledger."""

    def __init__(self, connection: Session, vault: Vault | None) -> None:
        self._cursor = connection.cursor(binary=True)
        self._connection = connection
        self._vault = vault
        self._frontier = Frontier()
        self._names: dict[tuple[str, str], bytes] = {}
        self._last: tuple[int, bytes, int] = (0, b"", -1)
        self._before: dict[int, tuple[int, bytes, int]] = {}
        self._unsealed = self._opened = self._erased = 0
        state = connection.execute(_STATE.encode()).fetchone()
        assert state is not None  # noqa: S101  # made with the tables
        self._size, self._kept, self._reached_xid, self._reached_ordinal, self._is_same_system = state
        numbered = connection.execute("SELECT first_position FROM ledger.numbering").fetchall()
        self._beginnings = {row[0] for row in numbered}

    def verdict(self, *, stop_at_first: bool) -> Verdict:
        faults: list[Fault] = []
        for fault in self._faults():
            faults.append(fault)
            if stop_at_first:
                break
        return Verdict(
            entries=self._frontier.size,
            root=self._frontier.root(),
            faults=tuple(faults),
            unsealed=self._unsealed,
            opened=self._opened,
            erased=self._erased,
        )

    def _faults(self) -> Iterator[Fault]:
        """Tell what does not fit, first what lies first."""
        position = 0
        with ThreadPoolExecutor(1, "ncen-verify") as fetching:
            ahead = fetching.submit(self._fetch, position)
            while rows := ahead.result():
                ahead = fetching.submit(self._fetch, rows[-1][0])  # while these are looked at
                with no_collection():
                    doubtful = [row for row in rows if not self._fits(row)]
                    subtrees = self._frontier.extend([row[5] for row in rows])
                for row in doubtful:
                    yield from self._of_line(row)
                yield from self._of_subtrees(subtrees)
                if self._vault is not None:
                    yield from self._of_content(self._vault, rows[0][0], rows[-1][0])
                position = rows[-1][0]
        yield from self._of_tail(position)
        yield from self._of_versions()
        yield from self._of_unsealed()

    def _fetch(self, position: int) -> list[tuple[Any, ...]]:
        cursor = self._connection.cursor(binary=True)
        return cursor.execute(_SEALED.encode(), [position, CHUNK], prepare=True).fetchall()

    # -- line by line

    def _fits(self, row: tuple[Any, ...]) -> bool:
        """Tell whether all is well with a line; what it is compared with is kept for those that are not."""
        place, before = (row[0], row[1], row[2]), self._last
        self._last = place
        is_next = place[0] == before[0] + 1 and (place[1:] > before[1:] or place[0] in self._beginnings)
        if is_next and row[12] is not None and (row[6], row[7]) == place[1:] and self._leaf(row) == row[5]:
            return True
        self._before[place[0]] = before
        return False

    def _of_line(self, row: tuple[Any, ...]) -> Iterator[Fault]:
        position, before = row[0], self._before.pop(row[0])
        if position != before[0] + 1:
            yield Fault(before[0] + 1, None, None, f"there is no such position, the next one is {position}.")
        if row[12] is None:
            yield _fault(row, "it was sealed here, and is gone.")
        elif self._leaf(row) != row[5]:
            yield _fault(row, "what is stored is not what was sealed (event, time, names or attribution).")
        elif (row[6], row[7]) != (row[1], row[2]):
            yield _fault(row, "its place in its transaction is not the one under which it was sealed.")
        if (row[1], row[2]) <= before[1:] and position not in self._beginnings:
            yield _fault(row, "it does not lie in the order in which entries were sealed.")

    def _leaf(self, row: tuple[Any, ...]) -> bytes | None:
        """Make the leaf anew from what is stored; None where no leaf can be made of it."""
        recorded_at, node, name, personal, body, attribution, salt, withheld = row[8:16]
        if attribution is not None and salt is not None and withheld is None:
            part = leaf.attribution_hash(salt, attribution)
        elif attribution is None and salt is None and withheld is not None:
            part = withheld
        else:
            return None
        try:
            names = self._names.get((node, name)) or self._packed(node, name)
            at_us = int.from_bytes(recorded_at, "big", signed=True) + binary.UNIX_TO_PG_US
            header = leaf.pack_header(row[3], row[4], at_us, personal, names)
        except (ValueError, struct.error):
            return None  # no writer of ours has stored such a name, time or number
        return leaf.leaf_hash(leaf.leaf_bytes(header, body, part))

    def _packed(self, node: str, name: str) -> bytes:
        names = self._names[node, name] = leaf.pack_names(node, name)
        return names

    # -- the tree

    def _of_subtrees(self, subtrees: list[tuple[int, int, bytes]]) -> Iterator[Fault]:
        lowest = [subtree for subtree in subtrees if subtree[0] == SUBTREE_LEVELS]
        higher = [subtree for subtree in subtrees if subtree[0] != SUBTREE_LEVELS]
        for level in (lowest, higher):
            if level:
                columns = [list(column) for column in zip(*level, strict=True)]
                row = self._connection.execute(_SUBTREES.encode(), columns).fetchone()
                if row is not None:
                    width = 1 << level[0][0]
                    yield self._changed(row[0] * width + 1, (row[0] + 1) * width)

    @staticmethod
    def _changed(first: int, last: int) -> Fault:
        what = f"an entry between here and position {last} was changed together with its leaf."
        return Fault(first, None, None, what)

    def _of_tail(self, position: int) -> Iterator[Fault]:
        if position < self._size:
            yield Fault(position + 1, None, None, f"from here to position {self._size} everything is gone.")
        elif position > self._size:
            yield Fault(self._size + 1, None, None, f"from here to position {position} the sealer numbered nothing.")
        elif self._frontier.to_bytes() != self._kept:
            yield self._of_frontier()

    def _of_frontier(self) -> Fault:
        """Say in which part of the tree the right edge differs from the one that was kept."""
        if len(self._kept) != len(self._frontier.to_bytes()):
            return Fault(None, None, None, "the right edge of the tree was changed.")
        first, size = 1, self._size
        for peak, kept in zip(self._frontier.peaks, Frontier.from_bytes(size, self._kept).peaks, strict=True):
            width = 1 << (size.bit_length() - 1)
            if peak != kept:
                return self._changed(first, first + width - 1)
            first, size = first + width, size - width
        return Fault(None, None, None, "the right edge of the tree was changed.")

    # -- across lines

    def _of_versions(self) -> Iterator[Fault]:
        for position, record_id, version, before, is_later in self._cursor.execute(_VERSIONS.encode()).fetchall():
            what = "came to lie before" if is_later else "follows upon"
            yield Fault(position, record_id, version, f"it {what} version {before} of its record.")

    def _of_unsealed(self) -> Iterator[Fault]:
        count = self._cursor.execute(_COUNT).fetchone()
        self._unsealed = max(0, count[0]) if count is not None else 0
        if not self._is_same_system:
            return  # restored, and not yet taken up by the sealer: its transaction numbers say nothing here
        reached = [self._reached_xid, self._reached_ordinal]
        for record_id, version, is_behind in self._cursor.execute(_UNSEALED.encode(), reached).fetchall():
            what = "was put in behind the sealer" if is_behind else "claims a transaction that has not been yet"
            yield Fault(None, record_id, version, f"it {what}, and is not sealed.")

    # -- what is sealed in bodies

    def _of_content(self, vault: Vault, first: int, last: int) -> Iterator[Fault]:
        """Open and decode the bodies of these positions."""
        query = f"""
            SELECT {line.ENTRY_COLUMNS} FROM ledger.sealed s
            JOIN ledger.entry e ON e.record_id = s.record_id AND e.version = s.version
            WHERE s.position BETWEEN %s AND %s ORDER BY s.position
        """  # noqa: S608  # our own columns
        rows = self._cursor.execute(query.encode(), [first, last], prepare=True).fetchall()
        key_ids = {row[line.KEY_ID] for row in rows if row[line.KEY_ID] is not None}
        try:
            held = vault.find(self._connection, key_ids)
        except Damaged as damaged:
            yield Fault(None, damaged.record_id, None, str(damaged))
            return
        for row in rows:
            try:
                entry = line.entry(row, held)
                if records.is_personal(entry.name) != row[9]:
                    yield Fault(row[0], row[1], row[2], "its event is not what it says of being personal.")
            except Damaged:
                yield Fault(row[0], row[1], row[2], "its body cannot be read as the event it says it is.")
                continue
            if row[9]:
                is_open = row[line.KEY_ID] in held
                self._opened += is_open
                self._erased += not is_open


def _fault(row: tuple[Any, ...], what: str) -> Fault:
    return Fault(row[0], UUID(bytes=row[3]), row[4], what)
