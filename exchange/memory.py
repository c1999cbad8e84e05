"""What the exporter remembers of records for one feed: read when asked for, written back once, in its transaction.

Whatever may let something go that was withheld (a tie, a widened scope, a case released for the first time) puts the
records that hang on it into the queue `exchange.again`, in the same transaction.
"""

from collections.abc import Collection
from uuid import UUID

import msgspec

from domain.entry import Entry
from exchange.matter import Remembered, Tie, changes_of, learn, matter_of, tied
from exchange.release import CASES, Matter, Scope
from ledger.sessions import Session


class Memory:
    """Remembered records of one feed, within one transaction."""

    def __init__(self, connection: Session, peer: str) -> None:
        """Remember nothing yet."""
        self._connection = connection
        self._peer = peer
        self._known: dict[UUID, Remembered] = {}
        self._changed: set[UUID] = set()
        self._again: set[UUID] = set()

    def fetch(self, record_ids: Collection[UUID]) -> None:
        """Read ahead what is remembered of these records."""
        missing = [record_id for record_id in set(record_ids) if record_id not in self._known]
        if not missing:
            return
        rows = self._connection.execute(
            "SELECT record_id, state FROM exchange.matter WHERE peer = %s AND record_id = ANY(%s)",
            [self._peer, missing],
        )
        self._known |= dict.fromkeys(missing, Remembered())
        self._known |= {record_id: Remembered.of(state) for record_id, state in rows}

    def recall(self, record_id: UUID) -> Remembered:
        """What is remembered of a record."""
        if record_id not in self._known:
            self.fetch([record_id])
        return self._known[record_id]

    def matter(self, record_id: UUID) -> Matter:
        """What `release` is told of a record."""
        known = self.recall(record_id)
        others = {tie.other for tie in known.ties}
        self.fetch(others)
        self.fetch({tie.other for other in others for tie in self._known[other].ties})
        return matter_of(record_id, known, self.recall)

    def learn(self, entry: Entry) -> None:
        """Fold an entry of our own."""
        before = self.recall(entry.record_id)
        after = learn(before, entry)
        self._put(entry.record_id, after)
        if (after.own, after.is_restricted) != (before.own, before.is_restricted):
            self._ask_again(entry.record_id)
        for change in changes_of(entry):
            self._tie(entry.record_id, change.tie, is_made=change.is_made)
            back = Tie(other=entry.record_id, tied_as=change.other_tied_as)
            self._tie(change.tie.other, back, is_made=change.is_made, kind=change.other_kind)
            if change.is_made:
                self._ask_again(entry.record_id)
                self._ask_again(change.tie.other)

    def released(self, record_id: UUID, scope: Scope) -> None:
        """Remember that an entry of this record goes to the peer."""
        before = self.recall(record_id)
        if before.released_as != scope:
            self._put(record_id, msgspec.structs.replace(before, released_as=scope))
            self._ask_again(record_id)

    def _tie(self, record_id: UUID, tie: Tie, *, is_made: bool, kind: str = "") -> None:
        self._put(record_id, tied(self.recall(record_id), tie, is_made=is_made, kind=kind))

    def _put(self, record_id: UUID, known: Remembered) -> None:
        if known != self._known.get(record_id):
            self._known[record_id] = known
            self._changed.add(record_id)

    def _ask_again(self, record_id: UUID) -> None:
        """Let be decided again: the record, what is tied to it, and the parties of the cases tied to it."""
        ties = {tie.other for tie in self.recall(record_id).ties}
        self.fetch(ties)
        cases = [other for other in ties if self.recall(other).kind in CASES]
        beyond = {tie.other for case in cases for tie in self.recall(case).ties}
        self._again |= {record_id, *ties, *beyond}

    def save(self) -> None:
        """Write back what changed, and the queue of what is to be decided again."""
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO exchange.matter (peer, record_id, state) VALUES (%s, %s, %s) "
                "ON CONFLICT (peer, record_id) DO UPDATE SET state = excluded.state",
                [(self._peer, record_id, self._known[record_id].state) for record_id in sorted(self._changed)],
            )
        self._connection.execute(
            "INSERT INTO exchange.again (peer, record_id) "
            "SELECT DISTINCT %s, d.record_id FROM exchange.decision d "
            "WHERE d.peer = %s AND d.record_id = ANY(%s) AND d.reason IS NOT NULL ON CONFLICT DO NOTHING",
            [self._peer, self._peer, list(self._again)],
        )
        self._changed.clear()
        self._again.clear()
