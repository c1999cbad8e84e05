"""The inbox of one peer's feed: what came, under which number, with its proof, and what became of it.

A batch is verified whole and recorded in one transaction: the entries in our own ledger, the raw cores and proofs here,
the feed's number, tree and receipt. What cannot be accepted is quarantined with its reason and judged again when our
premises change. A feed that does not fit stops: nothing more is taken from it until a person has looked at the
evidence.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from exchange import checkpoint, erasing, inbox_epoch, premises, renewing
from exchange.acceptance import Fault
from exchange.checkpoint import AnotherEpoch
from exchange.envelope import Core, NoticeCore, decode_core
from exchange.outbox import split_proof
from exchange.peers import Identity, Peer
from exchange.recording import QUARANTINED, Outcome, Recorder
from exchange.relay import MOST_HELD, Standing
from exchange.release import ERASING
from exchange.verifying import Mismatch, Source, Verified, VerifiedLine, verify
from ledger.checkpoint import ledger_of
from ledger.merkle import Frontier
from ledger.sessions import Session, Sessions, connect

MOST_EVIDENCE_BYTES = 16 * 1024 * 1024
SESSIONS = 2
CHUNK = 200
REACHED = """
    UPDATE exchange.inbox_feed SET number = %s, frontier = %s, checkpoint = %s,
        passed = (SELECT coalesce(max(l.serial), 0) FROM exchange.peer_loss l
            WHERE l.origin = %s AND l.accepted_at < %s)
    WHERE origin = %s
"""
"""A loss that was accepted, and long after which the epoch went on, begins no other (`exchange.inbox_epoch`)."""
ON_ITS_WAY = timedelta(hours=1)
"""So long after a loss was accepted, lines that were lost may still be on their way here."""
HELD = "SELECT number FROM exchange.inbox WHERE origin = %s AND outcome = 'held' ORDER BY number DESC LIMIT %s"
RESUME = "UPDATE exchange.inbox_feed SET stopped = NULL WHERE origin = %s AND stopped IS NOT NULL"
_COLUMNS = "origin, number, leaf_hash, core, proof, record_id, version, outcome, reason, boxed_key, received_at"
_TYPES = ["text", "int8", "bytea", "bytea", "bytea", "uuid", "int4", "text", "text", "bytea", "timestamptz"]


class OutOfStep(Exception):  # noqa: N818  # an answer: look again where the inbox stands
    """The inbox has got further, or less far, than whoever brings the batch believed, or it is of another epoch."""


class Stopped(Exception):  # noqa: N818  # an answer
    """The feed is stopped, because something did not fit; the reason is in the inbox."""


class Inbox:
    """The inbox of one peer's feed. One thread at a time brings batches; others may ask how it stands."""

    def __init__(self, database_url: str, own: Identity, peer: Peer, recorder: Recorder) -> None:
        """Take in what this peer sends to us."""
        self._sessions = Sessions(database_url, SESSIONS)
        self._own = own
        self._peer = peer
        self._recorder = recorder
        self._source = Source(
            origin=peer.node, recipient=own.node, key=peer.signing_key, carries=recorder.carries, former=peer.former
        )

    def close(self) -> None:
        """Close the sessions."""
        self._sessions.close()

    def number(self) -> int:
        """The number up to which the feed was taken in."""
        return self.place()[1]

    def place(self) -> tuple[int, int]:
        """The epoch of the feed, and the number up to which it was taken in."""
        with self._sessions.session() as connection:
            before, _, epoch = self._load(connection, is_locked=False)
            return epoch, before.size

    def take(self, raws: Sequence[bytes], first: int, now: datetime) -> int:
        """Verify and record a batch that begins with number `first`; returns the number then reached.

        Raises:
            OutOfStep: the inbox expects another number, or another epoch.
            Stopped: the feed is stopped, or is stopped by this very batch.
            FormerKey: the sender has replaced the key that has signed this batch, and will sign it anew.
        """
        with self._sessions.session() as connection:
            try:
                with connection.transaction():
                    before, stopped, epoch = self._load(connection, is_locked=True)
                    if stopped is not None:
                        raise Stopped(stopped)
                    if before.size + 1 != first:
                        raise OutOfStep
                    batch = verify(raws, msgspec.structs.replace(self._source, epoch=epoch), before)
                    self._record(connection, batch, now)
            except AnotherEpoch:
                raise OutOfStep from None
            except Mismatch as mismatch:
                self._stop(connection, str(mismatch), raws, now)
                raise Stopped(str(mismatch)) from None
        return batch.head.size

    def _load(self, connection: Session, *, is_locked: bool) -> tuple[Frontier, str | None, int]:
        lock = " FOR UPDATE" if is_locked else ""
        row = connection.execute(
            f"SELECT number, frontier, stopped, epoch FROM exchange.inbox_feed WHERE origin = %s{lock}".encode(),  # noqa: S608  # a constant
            [self._peer.node],
        ).fetchone()
        if row is None:
            raise LookupError(f"{self._peer.node} is not a peer of this node.")
        return Frontier.from_bytes(row[0], row[1]), row[2], row[3]

    def _record(self, connection: Session, batch: Verified, now: datetime) -> None:
        outcomes = self._recorder.record(connection, batch.lines, now)
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY exchange.inbox ({_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy,
        ):
            copy.set_types(_TYPES)
            for line, outcome in zip(batch.lines, outcomes, strict=True):
                copy.write_row(_row(self._peer.node, line, outcome, now))
        passing = ledger_of(self._peer.node), now - ON_ITS_WAY
        connection.execute(
            REACHED,
            [batch.head.size, batch.frontier.to_bytes(), batch.signed, *passing, self._peer.node],
        )
        receipt = checkpoint.cosign(batch.signed, self._own.node, self._own.signing_key, now)
        connection.execute(
            "INSERT INTO exchange.inbox_checkpoint (origin, size, note) VALUES (%s, %s, %s)",
            [self._peer.node, batch.head.size, receipt],
        )
        self._drop_quarantined(connection, batch.lines, outcomes)

    def _drop_quarantined(
        self, connection: Session, lines: Sequence[VerifiedLine], outcomes: Sequence[Outcome]
    ) -> None:
        """Whom these lines erase is told of by nothing that waits in quarantine either."""
        told = zip(lines, outcomes, strict=True)
        heard = {None, str(Fault.DIFFERS)}  # an erasure is carried out although another entry stands in its place
        cores = [line.core for line, (_, reason) in told if isinstance(line.core, Core) and reason in heard]
        erased = {core.record_id for core in cores if core.name in ERASING}
        erasing.drop_quarantined(connection, self._own, self._peer.node, erased)

    def _stop(self, connection: Session, reason: str, raws: Sequence[bytes], now: datetime) -> None:
        evidence = msgspec.msgpack.encode(list(raws))[:MOST_EVIDENCE_BYTES]
        connection.execute(
            "UPDATE exchange.inbox_feed SET stopped = %s, evidence = %s, stopped_at = %s "
            "WHERE origin = %s AND stopped IS NULL",
            [reason, evidence, now, self._peer.node],
        )

    # -- receipts

    def standing(self) -> Standing:
        """What the sender is told: our newest receipt, and what we could not accept."""
        with self._sessions.session() as connection:
            row = connection.execute(
                "SELECT f.number, c.note, f.stopped, f.epoch, (SELECT count(*) FROM exchange.inbox i "
                "WHERE i.origin = f.origin AND i.outcome = 'quarantined') FROM exchange.inbox_feed f "
                "LEFT JOIN exchange.inbox_checkpoint c ON c.origin = f.origin AND c.size = f.number "
                "WHERE f.origin = %s",
                [self._peer.node],
            ).fetchone()
            if row is None:
                raise LookupError(f"{self._peer.node} is not a peer of this node.")
            confirmed = renewing.confirmations(
                connection, self._own, self._peer.node, erasing.confirmations(connection, self._peer.node)
            )
            held = connection.execute(HELD, [self._peer.node, MOST_HELD]).fetchall()
            number, receipt, stopped, epoch, quarantined = row
            if receipt is not None:
                receipt = renewing.receipt(connection, self._own, self._peer.node, number, receipt)
        return Standing(
            number=number,
            epoch=epoch,
            receipt=receipt,
            quarantined=quarantined,
            stopped=stopped,
            held=tuple(line for (line,) in held),
            erased=confirmed,
        )

    def met(self) -> None:
        """Remember that we have logged in at the peer under our newest cards."""
        with self._sessions.session() as connection:
            renewing.met(connection, self._own, self._peer)

    def refused(self) -> None:
        """Remember that the peer does not let us in."""
        with self._sessions.session() as connection:
            renewing.refused(connection, self._peer)

    def arrived(self, number: int, boxed_from: int | None) -> None:
        """Remember that the peer has nothing more for us that is boxed to a former key of ours, if that is so."""
        with self._sessions.session() as connection:
            renewing.arrived(connection, self._own, self._peer.node, number, boxed_from)

    def stored(self, size: int, now: datetime, erased: Sequence[str] = ()) -> None:
        """Remember that the sender has stored our receipt for this size, and these confirmations of erasures."""
        with self._sessions.session() as connection:
            erasing.stored(connection, self._peer.node, erased, now)
            connection.execute(
                "UPDATE exchange.inbox_checkpoint SET stored_at = %s "
                "WHERE origin = %s AND size = %s AND stored_at IS NULL",
                [now, self._peer.node, size],
            )

    # -- epochs

    def told_anew(self, note: str, now: datetime) -> bool:
        """Keep the sender's statement that its feed begins anew; False where it is none or not signed by it."""
        with self._sessions.session() as connection:
            return inbox_epoch.told(connection, self._own, self._peer, note, now)

    def begin_anew(self, now: datetime) -> bool:
        """Begin the feed anew, if its sender has said so and our administrator has accepted its loss."""
        with self._sessions.session() as connection:
            return inbox_epoch.begin(connection, self._peer.node, now)

    # -- quarantine

    def judge_again(self, now: datetime) -> int:
        """Judge again what is quarantined, if our premises towards the peer changed; returns how many were let in.

        A few at a time, each in a transaction of its own: a long one would hold up the sealer.
        """
        with self._sessions.session() as connection:
            stand = premises.standing(premises.known(connection), self._own.node, self._peer.node, now)
            connection.execute(
                "UPDATE exchange.inbox_feed SET premises = %s, judged = 0 WHERE origin = %s AND premises <> %s",
                [stand, self._peer.node, stand],
            )
            let_in = 0
            while (some := self._judge_some(connection, now)) is not None:
                let_in += some
            return let_in

    def _judge_some(self, connection: Session, now: datetime) -> int | None:
        """Judge the next few again; returns how many were let in, None when all have been judged."""
        query = (
            "SELECT judged, epoch FROM exchange.inbox_feed WHERE origin = %s AND judged IS NOT NULL AND stopped IS NULL"
        )
        if connection.execute(query.encode(), [self._peer.node]).fetchone() is None:
            return None
        with connection.transaction():
            row = connection.execute(f"{query} FOR UPDATE".encode(), [self._peer.node]).fetchone()
            rows = self._quarantined(connection, row[0]) if row is not None else []
            let_in = self._judge(connection, rows, row[1], now) if row is not None and rows else None
            connection.execute(
                "UPDATE exchange.inbox_feed SET judged = %s WHERE origin = %s",
                [rows[-1][0] if rows else None, self._peer.node],
            )
        return let_in

    def _quarantined(self, connection: Session, after: int) -> list[tuple[Any, ...]]:
        return connection.execute(
            "SELECT number, leaf_hash, proof, core, boxed_key FROM exchange.inbox "
            "WHERE origin = %s AND outcome = 'quarantined' AND number > %s ORDER BY number LIMIT %s",
            [self._peer.node, after, CHUNK],
        ).fetchall()

    def _judge(self, connection: Session, rows: Sequence[tuple[Any, ...]], epoch: int, now: datetime) -> int:
        lines = [
            VerifiedLine(
                number=number,
                leaf_hash=leaf_hash,
                proof=split_proof(proof),
                core=decode_core(core, self._recorder.carries),
                raw_core=core,
                boxed_key=boxed_key,
                epoch=epoch,
            )
            for number, leaf_hash, proof, core, boxed_key in rows
        ]
        outcomes = self._recorder.record(connection, lines, now)
        for line, (outcome, reason) in zip(lines, outcomes, strict=True):
            boxed = line.boxed_key if outcome == QUARANTINED else None
            connection.execute(
                "UPDATE exchange.inbox SET outcome = %s, reason = %s, boxed_key = %s WHERE origin = %s AND number = %s",
                [outcome, reason, boxed, self._peer.node, line.number],
            )
        self._drop_quarantined(connection, lines, outcomes)
        return sum(outcome != QUARANTINED for outcome, _ in outcomes)


def _row(origin: str, line: VerifiedLine, outcome: Outcome, now: datetime) -> tuple[object, ...]:
    """A row of the inbox; a key that opens something is kept only as long as it has not been taken into the vault."""
    record_id, version = None, None
    if isinstance(line.core, Core):
        record_id, version = line.core.record_id, line.core.version
    elif isinstance(line.core, NoticeCore):
        record_id = line.core.export_id
    boxed = line.boxed_key if outcome[0] == QUARANTINED else None
    proof = b"".join(line.proof)
    return (origin, line.number, line.leaf_hash, line.raw_core, proof, record_id, version, *outcome, boxed, now)


def resume(database_url: str, origin: str) -> bool:
    """Let a stopped feed go on, after a person has looked at the evidence (which stays); whether it was stopped."""
    with connect(database_url) as connection:
        return connection.execute(RESUME, [origin]).rowcount == 1
