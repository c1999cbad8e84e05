"""The exporter of a feed to the CEN: it reads open entries only, holds no key but its signing key, and tells notices.

It asks a view in which no personal entry stands, and decodes by a union of open events, in which none could; each code
is checked once more for its form. Chunks are counted in open entries, and it works by the clock and never because
something was sealed, so that not even the cut of its batches depends on what is personal. Its numbers and tree are its
own, over notices alone. After a loss that reached this feed it tells each seizure once more as it stands; export ids
follow from a seizure's record and our key, so that one of which the telling was lost is told under the same id.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import forms
from domain.notice import Cell, OpenSeizureEvent
from exchange import decisions, envelope, feed_epoch, outbox, telling
from exchange.envelope import NoticeCore
from exchange.telling import Kept, Told, Words
from ledger.sessions import Session, connect

TICK_S = 0.5
"""The beat: by the clock, never because something was sealed."""
CHUNK = 500
"""Open entries looked at in one transaction, and so at most the notices in one batch."""

_told = msgspec.msgpack.Decoder(Told)
_encoder = msgspec.msgpack.Encoder(decimal_format="string")

OPEN_ENTRIES = """
    SELECT position, record_id, body FROM exchange.open_seizure
    WHERE position > %s AND position <= %s AND node = %s ORDER BY position LIMIT %s
"""


def read(body: bytes) -> OpenSeizureEvent:
    """The open event of a seizure in these bytes.

    Raises:
        msgspec.DecodeError: they hold anything else, or a code without its form.
    """
    event: OpenSeizureEvent = forms.from_msgpack(body, OpenSeizureEvent)
    return event


TOLD_LAST = """
    SELECT t.record_id, t.state, (SELECT max(d.position) FROM exchange.decision d
        WHERE d.peer = t.peer AND d.record_id = t.record_id AND d.number IS NOT NULL)
    FROM exchange.told t WHERE t.peer = %s
"""


def export_id_of(key: Ed25519PrivateKey, record_id: UUID) -> UUID:
    """The id under which a seizure is told: only who has our key can tell it from a random one, or find the record."""
    return UUID(bytes=sha256(key.sign(b"ncen export id 1 " + record_id.bytes)).digest()[:16])


class CenExporter(msgspec.Struct, frozen=True, kw_only=True):
    """What the exporter works with: a session, who we are, the key that signs, and a source of export ids.

    Without `new_export_id` they follow from the record.
    """

    connection: Session
    node: str
    signing_key: Ed25519PrivateKey
    peer: str
    new_export_id: Callable[[], UUID] | None = None

    def step(self, now: datetime) -> bool:
        """Tell the next open entries, in a transaction; returns whether there were as many as one step takes."""
        with self.connection.transaction():
            begun = feed_epoch.begin(self.connection, self.peer, now)
            if begun is not None:
                self._send(begun, self._told_last(), now)
                outbox.save(self.connection, begun)
                return True
            feed = outbox.load(self.connection, self.peer)
            rows, reached, is_full = self._read(feed.position)
            told = Telling(self.connection, self.peer)
            told.fetch([record_id for _, record_id, _ in rows])
            answers = [
                (
                    position,
                    record_id,
                    told.tell(record_id, read(body), self._export_id(record_id)),
                )
                for position, record_id, body in rows
            ]
            self._send(feed, answers, now)
            told.save()
            feed.position = reached
            outbox.save(self.connection, feed)
            return is_full

    def _export_id(self, record_id: UUID) -> Callable[[], UUID]:
        return self.new_export_id or partial(export_id_of, self.signing_key, record_id)

    def _told_last(self) -> list[tuple[int, UUID, Words | Kept]]:
        """What was told last of each seizure, in the order of the export ids, which tells nothing."""
        rows = self.connection.execute(TOLD_LAST, [self.peer]).fetchall()
        known = [(position, record_id, _told.decode(state)) for record_id, state, position in rows]
        known.sort(key=lambda one: str(one[2].export_id))
        return [
            (position, record_id, (told.export_id, None if told.is_withdrawn else told.notice))
            for position, record_id, told in known
            if told.export_id is not None
        ]

    def _read(self, after: int) -> tuple[list[tuple[int, UUID, bytes]], int, bool]:
        """The next open entries, the position then reached, and whether there were as many as one step takes."""
        head = self.connection.execute("SELECT size FROM ledger.seal_state").fetchone()
        until = int(head[0]) if head else 0
        rows = self.connection.execute(OPEN_ENTRIES, [after, until, self.node, CHUNK]).fetchall()
        is_full = len(rows) == CHUNK
        return rows, rows[-1][0] if is_full else until, is_full

    def _send(self, feed: outbox.Feed, answers: list[tuple[int, UUID, Words | Kept]], now: datetime) -> None:
        drafts = [
            self._draft(position, record_id, answer)
            for position, record_id, answer in answers
            if not isinstance(answer, Kept)
        ]
        numbers = outbox.append(self.connection, feed, drafts, node=self.node, signing_key=self.signing_key)
        number_at = {draft.position: number for draft, number in zip(drafts, numbers, strict=True)}
        made: list[decisions.Row] = [
            (
                position,
                record_id,
                0,
                str(answer) if isinstance(answer, Kept) else None,
                None,
                None,
                number_at.get(position),
            )
            for position, record_id, answer in answers
        ]
        decisions.write(self.connection, self.peer, made, now, feed.epoch)

    def _draft(self, position: int, record_id: UUID, words: Words) -> outbox.Draft:
        export_id, notice = words

        def core(number: int) -> bytes:
            told = NoticeCore(
                form="notice/1",
                origin=self.node,
                recipient=self.peer,
                number=number,
                export_id=export_id,
                notice=notice,
            )
            return envelope.encode(forms.checked(told, NoticeCore))

        return outbox.Draft(position=position, record_id=record_id, core=core)


class Telling:
    """What was told of seizures and how many lie in each cell, within one transaction."""

    def __init__(self, connection: Session, peer: str) -> None:
        """Know nothing yet."""
        self._connection = connection
        self._peer = peer
        self._told: dict[UUID, Told] = {}
        self._cells: dict[Cell, int] = {}

    def fetch(self, record_ids: list[UUID]) -> None:
        """Read what was told of these seizures."""
        rows = self._connection.execute(
            "SELECT record_id, state FROM exchange.told WHERE peer = %s AND record_id = ANY(%s)",
            [self._peer, record_ids],
        )
        self._told |= {record_id: _told.decode(state) for record_id, state in rows}

    def of(self, record_id: UUID) -> Told:
        """What was told of a seizure, as far as it was fetched."""
        return self._told.get(record_id, Told())

    def tell(self, record_id: UUID, event: OpenSeizureEvent, new_export_id: Callable[[], UUID]) -> Words | Kept:
        """Fold an open event of a seizure and count it in its cells."""
        before = self.of(record_id)
        after, answer = telling.tell(before, event, self.count, new_export_id)
        for cell in sorted(after.counted - before.counted, key=repr):
            self._cells[cell] = self.count(cell) + 1
        self._told[record_id] = after
        return answer

    def count(self, cell: Cell) -> int:
        """How many seizures were counted in a cell."""
        if cell not in self._cells:
            row = self._connection.execute(
                "SELECT seizures FROM exchange.cell WHERE peer = %s AND cell = %s", [self._peer, _encoder.encode(cell)]
            ).fetchone()
            self._cells[cell] = int(row[0]) if row else 0
        return self._cells[cell]

    def save(self) -> None:
        """Write back what was told and counted."""
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO exchange.told (peer, record_id, state) VALUES (%s, %s, %s) "
                "ON CONFLICT (peer, record_id) DO UPDATE SET state = excluded.state",
                [(self._peer, record_id, _encoder.encode(told)) for record_id, told in self._told.items()],
            )
            cursor.executemany(
                "INSERT INTO exchange.cell (peer, cell, seizures) VALUES (%s, %s, %s) "
                "ON CONFLICT (peer, cell) DO UPDATE SET seizures = excluded.seizures",
                [(self._peer, _encoder.encode(cell), seizures) for cell, seizures in self._cells.items()],
            )


def tell(database_url: str, node: str, signing_key: Ed25519PrivateKey, stop: threading.Event) -> None:
    """Tell every CEN node that is a peer, until told to stop."""
    with connect(database_url) as connection:
        while not stop.is_set():
            rows = connection.execute("SELECT node FROM exchange.peer WHERE role = 'cen' ORDER BY node").fetchall()
            for (peer,) in rows:
                exporter = CenExporter(connection=connection, node=node, signing_key=signing_key, peer=peer)
                while not stop.is_set() and exporter.step(datetime.now(UTC)):
                    pass
            stop.wait(TICK_S)
