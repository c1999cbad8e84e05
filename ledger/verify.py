"""Recomputes the whole ledger, or what came since a signed checkpoint, and names the entries that do not fit.

Leaves are made anew from what is stored and compared with what was sealed, then the tree from the leaves; positions
have no gap, lines lie in the order in which they were sealed, versions ascend, nothing lies unsealed behind the
sealer's back, and the tree had the root that was signed at every size for which a checkpoint is known. No keys are
needed but public ones; with the node's keys every personal body is opened too. One snapshot, bounded memory.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from domain import records
from ledger import line, schema
from ledger.checkpoints import Signed
from ledger.errors import Damaged
from ledger.keyring import Keyring
from ledger.merkle import SUBTREE_LEVELS, Frontier
from ledger.recomputing import Recomputing
from ledger.sessions import Session, connect
from ledger.tree import Tree
from ledger.vault import Vault
from ledger.verdict import Fault, Verdict

__all__ = ["Fault", "Verdict", "verify", "verify_session"]

_STATE = """
    SELECT t.size, t.frontier, t.reached_xid::text, t.reached_ordinal, t.system_identifier = c.system_identifier
    FROM ledger.seal_state t, pg_control_system() c
"""
_SUBTREES = """
    SELECT w.number FROM unnest(%s::int2[], %s::int8[], %s::bytea[]) AS w(level, number, hash)
    LEFT JOIN ledger.subtree t USING (level, number) WHERE t.hash IS DISTINCT FROM w.hash ORDER BY w.number
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
_VERSIONS_SINCE = """
    SELECT s.position, s.record_id, s.version, coalesce(b.version, 0), false FROM ledger.sealed s
    LEFT JOIN LATERAL (SELECT o.version FROM ledger.sealed o WHERE o.record_id = s.record_id
                       AND o.version < s.version ORDER BY o.version DESC LIMIT 1) b ON true
    WHERE s.position > %(since)s AND s.version > coalesce(b.version, 0) + 1 AND EXISTS (
        SELECT FROM ledger.entry e JOIN ledger.node n ON e.node = n.name
        WHERE e.record_id = s.record_id AND e.version = s.version)
    UNION ALL
    SELECT n.position, n.record_id, n.version, s.version, true FROM ledger.sealed s
    CROSS JOIN LATERAL (SELECT o.* FROM ledger.sealed o WHERE o.record_id = s.record_id
                        AND o.version > s.version ORDER BY o.version LIMIT 1) n
    WHERE s.position > %(since)s AND n.position < s.position
    ORDER BY 1 LIMIT 1000
"""
_UNSEALED = """
    SELECT e.record_id, e.version, f.is_behind
    FROM ledger.entry e, LATERAL (SELECT (e.xid, e.ordinal) <= (%s::xid8, %s) AS is_behind,
                                         e.xid >= pg_snapshot_xmax(pg_current_snapshot()) AS is_ahead) AS f
    WHERE (f.is_behind OR f.is_ahead)
      AND NOT EXISTS (SELECT FROM ledger.sealed s WHERE s.record_id = e.record_id AND s.version = e.version)
    ORDER BY e.xid, e.ordinal LIMIT 1000
"""
_UNSEALED_SINCE = _UNSEALED.replace("WHERE (f.is", "WHERE (e.xid, e.ordinal) > (%s::xid8, %s) AND (f.is")
_WAITING = """
    SELECT count(*), count(*) FILTER (WHERE e.xid >= pg_snapshot_xmax(pg_current_snapshot()))
    FROM ledger.entry e WHERE (e.xid, e.ordinal) > (%s::xid8, %s)
"""
_COUNT = "SELECT (SELECT count(*) FROM ledger.entry) - (SELECT count(*) FROM ledger.sealed)"
_COUNT_SINCE = """
    SELECT count(*) FROM ledger.entry e WHERE (e.xid, e.ordinal) > (%s::xid8, %s)
    AND NOT EXISTS (SELECT FROM ledger.sealed s WHERE s.record_id = e.record_id AND s.version = e.version)
"""
_REACHED = "SELECT xid::text, ordinal FROM ledger.sealed WHERE position = %s"


def verify(
    database_url: str, *, stop_at_first: bool = True, keys: Path | None = None, signed: Sequence[Signed] = ()
) -> Verdict:
    """Verify the whole ledger as it stands at this moment; with the node's keys also what is sealed in it.

    `signed` are the checkpoints that the tree must have gone through.

    Raises:
        psycopg.OperationalError: the server cannot be reached.
        Unsafe: the keys are not those of this ledger.
    """
    with connect(database_url, statement_timeout_ms=0) as connection:
        keyring = None if keys is None else Keyring.open(keys)
        if keyring is not None:
            schema.bind_keys(connection, keyring)
        vault = None if keyring is None else Vault(keyring)
        return verify_session(connection, signed, vault=vault, stop_at_first=stop_at_first)


def verify_session(
    connection: Session,
    signed: Sequence[Signed],
    *,
    vault: Vault | None = None,
    since: Signed | None = None,
    stop_at_first: bool = False,
) -> Verdict:
    """Verify in a session that is open: everything, or what came `since` a checkpoint, which is trusted for the rest.

    The session is to have no bound on how long a statement or transaction may take.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return _Verifying(connection, vault, signed, since).verdict(stop_at_first=stop_at_first)


class _Verifying:
    """One pass over the ledger, in one snapshot."""

    def __init__(
        self, connection: Session, vault: Vault | None, signed: Sequence[Signed], since: Signed | None
    ) -> None:
        self._cursor = connection.cursor(binary=True)
        self._connection = connection
        self._vault = vault
        self._frontier = Frontier()
        self._since = 0
        self._unsealed = self._opened = self._erased = 0
        state = connection.execute(_STATE.encode()).fetchone()
        assert state is not None  # noqa: S101  # made with the tables
        self._size, self._kept, self._reached_xid, self._reached_ordinal, self._is_same_system = state
        numbered = connection.execute("SELECT first_position FROM ledger.numbering").fetchall()
        self._beginnings = {row[0] for row in numbered}
        self._due = deque(sorted(signed, key=lambda one: one.size))
        self._signed = max((one.size for one in signed), default=0)
        self._fitted = 0
        self._is_right = True
        self._misfit: Signed | None = None
        self._anchor = since

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
            since=self._since,
            signed=self._signed,
            unsealed=self._unsealed,
            opened=self._opened,
            erased=self._erased,
        )

    def _faults(self) -> Iterator[Fault]:
        """Tell what does not fit, first what lies first."""
        yield from self._of_anchor()
        position = self._since
        for stretch in Recomputing(self._connection, position, self._beginnings).stretches():
            self._is_right = self._is_right and not stretch.faults
            yield from stretch.faults
            yield from self._of_subtrees(self._extend(stretch.leaves))
            if self._vault is not None:
                yield from self._of_content(self._vault, stretch.first, stretch.last)
            position = stretch.last
        yield from self._of_tail(position)
        yield from self._of_checkpoints()
        yield from self._of_versions()
        yield from self._of_unsealed()

    # -- signed checkpoints

    def _of_anchor(self) -> Iterator[Fault]:
        """Take up the tree where a checkpoint was signed, if the tree there still has the root that was signed."""
        if self._anchor is None or self._anchor.size > self._size:
            return  # nothing to go by, or it ends short: all is looked at
        tree = Tree(self._connection)
        frontier = tree.frontier(self._anchor.size)
        if frontier is None or frontier.root() != self._anchor.head.root:
            return  # all is looked at, so that it can be said where
        self._frontier, self._since, self._fitted = frontier, self._anchor.size, self._anchor.size
        while self._due and self._due[0].size <= self._since:
            self._due.popleft()
        yield from ()

    def _extend(self, leaves: list[bytes]) -> list[tuple[int, int, bytes]]:
        """Let the tree grow by these leaves, stopping at each size that was signed."""
        subtrees, start, size = [], 0, self._frontier.size
        while self._due and self._due[0].size <= size + len(leaves):
            due = self._due.popleft()
            stop = max(due.size - size, start)
            subtrees += self._frontier.extend(leaves[start:stop])
            start = stop
            if self._misfit is None and self._frontier.root() == due.head.root:
                self._fitted = due.size
            elif self._misfit is None:
                self._misfit = due
        return subtrees + self._frontier.extend(leaves[start:])

    def _of_checkpoints(self) -> Iterator[Fault]:
        if self._misfit is not None:
            yield Fault(
                self._fitted + 1,
                None,
                None,
                f"between here and position {self._misfit.size} the history is not the one that was signed for"
                f" (the checkpoint in {self._misfit.place}, does not fit).",
            )
        if self._signed > self._frontier.size:
            yield Fault(
                self._frontier.size + 1,
                None,
                None,
                f"the ledger ends here, but was signed for up to position {self._signed}:"
                " it was cut off, or this is an older copy.",
            )

    # -- the tree

    def _of_subtrees(self, subtrees: list[tuple[int, int, bytes]]) -> Iterator[Fault]:
        lowest = [subtree for subtree in subtrees if subtree[0] == SUBTREE_LEVELS]
        higher = [subtree for subtree in subtrees if subtree[0] != SUBTREE_LEVELS]
        for level in (lowest, higher):
            if level:
                columns = [list(column) for column in zip(*level, strict=True)]
                width = 1 << level[0][0]
                for (number,) in self._connection.execute(_SUBTREES, columns).fetchall():
                    yield self._changed(number * width + 1, (number + 1) * width)

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
        since = {"since": self._since}
        found = self._cursor.execute(_VERSIONS_SINCE, since) if self._since else self._cursor.execute(_VERSIONS)
        for position, record_id, version, before, is_later in found.fetchall():
            what = "came to lie before" if is_later else "follows upon"
            yield Fault(position, record_id, version, f"it {what} version {before} of its record.")

    def _of_unsealed(self) -> Iterator[Fault]:
        reached = [self._reached_xid, self._reached_ordinal]
        count = self._cursor.execute(_COUNT_SINCE, reached) if self._since else self._cursor.execute(_COUNT)
        row = count.fetchone()
        self._unsealed = max(0, row[0]) if row is not None else 0
        if not self._is_same_system:
            return  # restored, and not yet taken up by the sealer: its transaction numbers say nothing here
        if self._since:
            found = self._cursor.execute(_UNSEALED_SINCE, [*reached, *self._looked_at()])
        elif self._is_right and self._cursor.execute(_WAITING, reached).fetchone() == (self._unsealed, 0):
            return  # each sealed line was seen, and what is not sealed waits behind them
        else:
            found = self._cursor.execute(_UNSEALED, reached)
        for record_id, version, is_behind in found.fetchall():
            what = "was put in behind the sealer" if is_behind else "claims a transaction that has not been yet"
            yield Fault(None, record_id, version, f"it {what}, and is not sealed.")

    def _looked_at(self) -> tuple[str, int]:
        """Return the place of the last line that was looked at before; after a restore it says nothing."""
        if self._since and not any(beginning > self._since for beginning in self._beginnings):
            row = self._connection.execute(_REACHED, [self._since]).fetchone()
            if row is not None:
                return row[0], row[1]
        return "0", -1

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
