"""The exporter of a feed to a nation: it decides about sealed entries and puts what is released into the outbox.

One step is one PostgreSQL transaction: decisions, lines, tree, checkpoint and what is remembered stand or fall
together, so that killing the process at any moment repeats and loses nothing. A step checks what is undelivered,
decides again what was withheld, or takes up new entries, in this order, so that of one record nothing overtakes what
came before. Decisions are rows that are never changed; of one entry the newest counts.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from domain.entry import Entry
from exchange import decisions, envelope, erasing, feed_epoch, outbox, peers, premises
from exchange.decisions import Decision
from exchange.memory import Memory
from exchange.peers import Identity, Peer
from exchange.release import ERASING, SHIELDING, KnownPremise, Reason, Release, Scope, Withheld, release
from exchange.wrapping import key_ids, wrapped
from ledger.ledger import Reader
from ledger.line import StoredLine
from ledger.sessions import Session

CHUNK = 500
"""Entries decided about in one transaction."""
AGAIN = 50
"""Records decided again in one transaction."""
NEAR = 20
"""Positions not further apart than this are read together."""


class Exporter(msgspec.Struct, frozen=True, kw_only=True):
    """What an exporter works with: a session, a reader that opens personal entries, ourselves, the peer."""

    connection: Session
    reader: Reader
    own: Identity
    peer: Peer

    def step(self, now: datetime) -> bool:
        """Take one step in a transaction; returns whether there was anything to do.

        Premises must have been refreshed before. Within a transaction of the caller this is a savepoint.
        """
        with self.connection.transaction():
            begun = feed_epoch.begin(self.connection, self.peer.node, now)
            if begun is not None:
                feed_epoch.decide_everything_again(self.connection, begun)
                outbox.save(self.connection, begun)
                return True
            self.reader.vault.forget(erasing.withdraw(self.connection, self.own, self.peer, now))
            feed = outbox.load(self.connection, self.peer.node)
            known = premises.between(premises.known(self.connection), self.own.node, self.peer.node)
            stand = premises.standing(known, self.own.node, self.peer.node, now)
            is_changed = stand != feed.premises
            if is_changed:
                feed.premises, feed.sweep = stand, 0
                signed_for = outbox.receipted(self.connection, self.peer.node)
                feed.recheck = signed_for if feed.recheck is None else min(feed.recheck, signed_for)
            turn = Turn(self, feed, known, now)
            was_busy = turn.recheck() or turn.again() or turn.sweep() or turn.advance()
            if was_busy or is_changed:
                turn.memory.save()
                outbox.save(self.connection, feed)
            return was_busy


class Turn:
    """One step of an exporter, while its feed is locked."""

    def __init__(self, exporter: Exporter, feed: outbox.Feed, known: Sequence[KnownPremise], now: datetime) -> None:
        """Begin a step under these premises at this time."""
        self._with = exporter
        self._connection = exporter.connection
        self._feed = feed
        self._premises = known
        self._now = now
        self.memory = Memory(exporter.connection, feed.peer)

    def verdict(self, entry: Entry) -> Release | Withheld:
        """Decide about an entry as things stand."""
        matter = self.memory.matter(entry.record_id)
        is_erasure_untied = entry.name in ERASING and matter.released_as is None and not matter.cases
        if is_erasure_untied and self._may_hold(entry):
            matter = msgspec.structs.replace(matter, released_as=Scope())
        return release(entry, matter, self._premises, self._feed.peer, self._now)

    def _may_hold(self, entry: Entry) -> bool:
        """Whether the peer was given something of the erased, or may hold it by lines that we have lost."""
        peer, subject = self._feed.peer, entry.record_id
        was_told = erasing.was_told(self._connection, peer, subject)
        return was_told or (self._feed.epoch > 0 and feed_epoch.may_hold(self._connection, peer, subject))

    # -- what is undelivered

    def recheck(self) -> bool:
        """Decide again about lines that the peer has not signed for, and hold back those that may no longer go."""
        after = self._feed.recheck
        if after is None:
            return False
        rows = self._connection.execute(
            "SELECT number, position, leaf_hash FROM exchange.feed_out "
            "WHERE peer = %s AND number > %s AND held IS NULL ORDER BY number LIMIT %s",
            [self._feed.peer, after, CHUNK],
        ).fetchall()
        if not rows:
            self._feed.recheck = None
            return True
        entries = self._entries_at([position for _, position, _ in rows])
        self.memory.fetch([entry.record_id for entry in entries.values()])
        made = []
        for number, position, hash_of_leaf in rows:
            verdict = self.verdict(entries[position])
            if isinstance(verdict, Withheld):
                made.append((entries[position], verdict, None))
                self._hold(number, hash_of_leaf)
        decisions.make(self._connection, self._feed.peer, made, self._now, self._feed.epoch)
        self._feed.generation += bool(made)
        self._feed.recheck = rows[-1][0]
        return True

    def _hold(self, number: int, hash_of_leaf: bytes) -> None:
        own = self._with.own
        peer, epoch = self._feed.peer, self._feed.epoch
        signature = envelope.sign_held(own.signing_key, own.node, peer, number, hash_of_leaf, epoch)
        self._connection.execute(
            "UPDATE exchange.feed_out SET held = %s WHERE peer = %s AND number = %s",
            [signature, self._feed.peer, number],
        )

    # -- what was withheld

    def again(self) -> bool:
        """Decide again about records on which something changed."""
        rows = self._connection.execute(
            "DELETE FROM exchange.again WHERE (peer, record_id) IN "
            "(SELECT peer, record_id FROM exchange.again WHERE peer = %s ORDER BY record_id LIMIT %s) "
            "RETURNING record_id",
            [self._feed.peer, AGAIN],
        ).fetchall()
        if rows:
            newest = decisions.newest_of(self._connection, self._feed.peer, [record_id for (record_id,) in rows])
            reached = (
                self._feed.position
            )  # what lies beyond was decided in an epoch that ended, and is come to in order
            self._decide_again({place: one for place, one in newest.items() if place <= reached})
        return bool(rows)

    def sweep(self) -> bool:
        """Decide again about whatever is withheld, because the premises stand otherwise than they did."""
        after = self._feed.sweep
        if after is None:
            return False
        until = min(after + CHUNK, self._feed.position)
        newest = decisions.newest_between(self._connection, self._feed.peer, after, until)
        self._decide_again(newest)
        self._feed.sweep = until if until < self._feed.position else None
        return True

    def _decide_again(self, newest: dict[int, Decision]) -> None:
        withheld = [position for position, decision in newest.items() if decision.reason is not None]
        entries = self._entries_at(withheld)
        self.memory.fetch([entry.record_id for entry in entries.values()])
        self._decide([entries[position] for position in sorted(entries)], newest)

    # -- what is new

    def advance(self) -> bool:
        """Decide about the next entries that are sealed, as far as the premises are known."""
        row = self._connection.execute("SELECT position FROM exchange.premise_walk").fetchone()
        limit = min(CHUNK, (int(row[0]) if row else 0) - self._feed.position)
        entries = self._with.reader.read(self._feed.position, limit) if limit > 0 else []
        if not entries:
            return False
        self.memory.fetch([entry.record_id for entry in entries])
        self._decide(entries, {}, is_new=True)
        self._feed.position += len(entries)
        return True

    # -- deciding

    def _decide(self, entries: Sequence[Entry], newest: dict[int, Decision], *, is_new: bool = False) -> None:
        lines = Lines(self._with.reader, [place(entry) for entry in entries])
        made: list[tuple[Entry, Release | Withheld]] = []
        for entry in entries:
            if is_new and entry.provenance is None:
                self.memory.learn(entry)
                if entry.name in SHIELDING:  # what is on its way about them is looked at once more
                    self._feed.recheck = outbox.receipted(self._connection, self._feed.peer)
            verdict = self.verdict(entry)
            if isinstance(verdict, Release):
                if len(lines.at(place(entry)).body) > envelope.MOST_BODY_BYTES:
                    verdict = Withheld(reason=Reason.TOO_LARGE)
                else:
                    self.memory.released(entry.record_id, verdict.scope)
            before = newest.get(place(entry))
            if before is None or not before.says(verdict):
                made.append((entry, verdict))
        released = [(lines.at(place(entry)), verdict) for entry, verdict in made if isinstance(verdict, Release)]
        numbers = self._send(released)
        numbered = [(entry, verdict, numbers.get(place(entry))) for entry, verdict in made]
        decisions.make(self._connection, self._feed.peer, numbered, self._now, self._feed.epoch)

    def _send(self, released: Sequence[tuple[StoredLine, Release]]) -> dict[int, int]:
        """Put released lines into the outbox; returns their numbers in the feed by position."""
        own, peer = self._with.own, self._with.peer
        if any(line.is_personal for line, _ in released):
            peer = peers.box_key_of(self._connection, peer)
        keys = self._with.reader.vault.find(self._connection, key_ids([line for line, _ in released]))
        drafts = [
            wrapped(line, verdict, own, peer, keys[line.key_id] if line.key_id is not None else None)
            for line, verdict in released
        ]
        numbers = outbox.append(self._connection, self._feed, drafts, node=own.node, signing_key=own.signing_key)
        told = zip(released, numbers, strict=True)
        notices = [(line.record_id, number) for (line, _), number in told if line.name in ERASING]
        erasing.noticed(self._connection, self._feed.peer, notices, self._now)
        return {draft.position: number for draft, number in zip(drafts, numbers, strict=True)}

    def _entries_at(self, positions: Collection[int]) -> dict[int, Entry]:
        found: dict[int, Entry] = {}
        for first, last in spans(positions):
            read = self._with.reader.read(first - 1, last - first + 1)
            found |= {place(entry): entry for entry in read if place(entry) in positions}
        return found


class Lines:
    """The stored lines of some entries, read all at once when the first of them is asked for."""

    def __init__(self, reader: Reader, positions: Collection[int]) -> None:
        """Read nothing yet."""
        self._reader = reader
        self._positions = positions
        self._found: dict[int, StoredLine] = {}

    def at(self, position: int) -> StoredLine:
        """The line at a position."""
        if not self._found:
            for first, last in spans(self._positions):
                read = self._reader.read_stored(first - 1, last - first + 1)
                self._found |= {line.position: line for line in read}
        return self._found[position]


def place(entry: Entry) -> int:
    """The position of a sealed entry."""
    if entry.position is None:
        raise ValueError("only sealed entries are decided about")
    return entry.position


def spans(positions: Collection[int]) -> list[tuple[int, int]]:
    """Spans to read, first and last position: positions that lie close are read in one go."""
    found: list[tuple[int, int]] = []
    for position in sorted(positions):
        if found and position - found[-1][1] <= NEAR and position - found[-1][0] < CHUNK:
            found[-1] = (found[-1][0], position)
        else:
            found.append((position, position))
    return found
