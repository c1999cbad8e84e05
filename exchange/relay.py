"""The relay: brings the lines of a feed from PostgreSQL into the peer's stream, and takes in the peer's receipts.

It sends only while the premises stand as they stood when the lines were last checked; otherwise it takes the stream
away until the exporter has checked them, so that nothing leaves on a premise that no longer covers it, for the first
time or again. It trusts nothing about the stream: it looks where the stream stands each time, and makes it anew when it
is missing, damaged, ahead, or of an older generation. It sends nothing when the peer has signed for more lines than
there are, or for others: then our database is an old copy. Of a feed that was begun anew it sends nothing either before
the peer has begun it.
"""

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import structlog
from msgspec import Meta
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.client import JetStreamContext

from domain import forms
from domain.codes import Line
from exchange import checkpoint, envelope, erasing, jetstream, outbox, premises, renewing, witnessing
from exchange.accounts import account_of, receipts_of
from exchange.cosigned import Cosigned
from exchange.envelope import Held, Malformed, Whole
from exchange.jetstream import Displaced, StreamState
from exchange.nkey import KeyedClient, login_key
from exchange.peers import Identity, Peer, Role, without_login
from ledger.sessions import Session, Sessions

IDLE_S = 0.3
"""How often a relay with nothing to do looks again where its stream stands."""
BLOCKED_S = 0.1
MOST_RECEIPT_BYTES = 16_384
TRIM_LINES = 2_000
MOST_HELD = 200
MOST_IN_STREAM = 50_000
"""Lines in the stream that the peer has not signed for; what is beyond waits in PostgreSQL."""
SESSIONS = 2

_IS_SIGNED_FOR = """
    SELECT split_part(r.note, E'\n\n', 1) = split_part(coalesce(f.checkpoint, '?'), E'\n\n', 1)
    FROM exchange.receipt r LEFT JOIN exchange.feed_out f ON f.peer = r.peer AND f.number = r.size
    WHERE r.peer = %s AND r.size = %s
"""
"""Whether the peer's receipt is for the feed as we have it: a receipt is our own checkpoint, cosigned.

The same words, whichever of our keys has signed them: a receipt may have been on its way while ours was replaced."""

PLAN = """
    SELECT f.number, f.generation, f.recheck IS NULL, f.premises, f.epoch,
        f.is_parted OR EXISTS (SELECT FROM exchange.receipt_before b WHERE b.peer = f.peer AND b.epoch > f.epoch)
    FROM exchange.feed f WHERE f.peer = %s
"""
MESSAGES = """
    SELECT f.epoch, o.number, o.core, o.boxed_key, o.leaf_hash, o.proof, o.checkpoint, o.held
    FROM exchange.feed_out o JOIN exchange.feed f ON f.peer = o.peer
    WHERE o.peer = %s AND o.number > %s ORDER BY o.number LIMIT %s
"""
PARTED = """
    UPDATE exchange.feed f SET is_parted = true WHERE f.peer = %s AND f.epoch = %s AND EXISTS
        (SELECT FROM exchange.feed_out o WHERE o.peer = f.peer AND o.number = ANY(%s) AND o.held IS NULL)
"""
"""The peer was sent a line as a bare hash that we believe to have sent whole: that we held it back was lost."""
_CHECK_AGAIN = """
    UPDATE exchange.feed f SET recheck = %s
    WHERE f.peer = %s AND coalesce(f.recheck > %s, true)
    AND %s < (SELECT max(r.size) FROM exchange.receipt r WHERE r.peer = f.peer)
"""

log = structlog.get_logger("exchange")

STORED = b"stored"
REFUSED = b"refused"
ANEW = b"anew\n"
"""Answers who is in an earlier epoch of the feed: before the statement, signed by us, that it begins anew."""


class Standing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a receiver tells: up to which number it has the feed, its receipt, and what it could not accept.

    `wants_again` asks for what follows `number` although it was delivered before; `held` are the newest lines that came
    as a bare hash; `erased` are its confirmations of whom it was asked to erase.
    """

    number: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    epoch: Annotated[int, Meta(ge=0, le=999_999)] = 0
    receipt: Annotated[str, Meta(max_length=checkpoint.MOST_NOTE_BYTES)] | None = None
    quarantined: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0
    stopped: Line | None = None
    wants_again: bool = False
    held: Annotated[tuple[Annotated[int, Meta(ge=1, le=2**53 - 1)], ...], Meta(max_length=MOST_HELD)] = ()
    erased: Annotated[tuple[Annotated[str, Meta(max_length=1_024)], ...], Meta(max_length=erasing.MOST_CONFIRMED)] = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How the feed stands in PostgreSQL; `is_open` when its lines may be sent."""

    epoch: int
    number: int
    generation: int
    receipted: int
    stood: bytes
    is_open: bool


class Relay:
    """The relay of one feed. Database work runs in threads; one step at a time."""

    def __init__(  # noqa: PLR0913, PLR0917  # whose feed goes where, and what is kept of it
        self,
        database_url: str,
        own: Identity,
        peer: Peer,
        nats_url: str,
        tls: ssl.SSLContext | None,
        kept: Cosigned | None = None,
    ) -> None:
        """Work for one peer on our own NATS server; what we cosign for it is kept there too."""
        self._kept = kept
        self._own = own
        self._peer = peer
        self._url = without_login(nats_url)
        self._tls = tls
        self._sessions = Sessions(database_url, SESSIONS)
        self._heard: tuple[int, int | None] = (0, None)
        """In which epoch the peer stands, and up to which number it has the feed, once it has asked again."""
        self._again: int | None = None
        self._checked_under = b""
        self.woken = asyncio.Event()

    async def run(self) -> None:
        """Relay until cancelled or until the connection breaks (then it raises, and is to be run again)."""
        key = login_key(self._own.signing_key, account_of(self._peer.node))
        client = await jetstream.connect(self._url, key, tls=self._tls)
        try:
            await client.subscribe(receipts_of(self._peer.node), cb=self._on_receipt)
            if self._peer.role is Role.NATION:
                await witnessing.serve(client, self._sessions, self._own, self._peer, self._kept)
            stream = client.jetstream()
            await self._drop_another_history(stream)
            while client.is_connected:
                is_done = await self._step(client, stream)
                if is_done:
                    await self._rest()
            raise ConnectionError("the connection to our own NATS broke")
        finally:
            self._sessions.close()
            with contextlib.suppress(NatsError, OSError, asyncio.TimeoutError):
                await client.close()

    async def _drop_another_history(self, stream: JetStreamContext) -> None:
        """Take the stream away if its last line is not ours: PostgreSQL was restored since, and has grown otherwise.

        A line comes with its proof, so that one that is the same follows upon the same lines.
        """
        found = await jetstream.state(stream, self._peer.node)
        if found is None or found.last < found.first:
            return
        there = await jetstream.message_at(stream, self._peer.node, found.last)
        ours = await asyncio.to_thread(self._messages, found.last - 1)
        if there is not None and (not ours or ours[0] != there):
            log.warning("relay.another-history", peer=self._peer.node, number=found.last)
            await jetstream.drop(stream, self._peer.node)

    async def _rest(self) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.woken.wait(), IDLE_S)
        self.woken.clear()

    async def _step(self, client: KeyedClient, stream: JetStreamContext) -> bool:
        """Bring the stream a step nearer to the feed; returns whether there is nothing left to do for now."""
        again, self._again = self._again, None  # before it is looked whether it may go again
        epoch, standing = self._heard
        plan = await asyncio.to_thread(self._plan)
        found = await jetstream.state(stream, self._peer.node)
        if not plan.is_open or epoch != plan.epoch:  # an epoch goes to nobody who has not begun it
            if found is not None:
                await jetstream.drop(stream, self._peer.node)
            await asyncio.sleep(BLOCKED_S)
            return False
        if standing is not None and standing < plan.receipted and self._checked_under != plan.stood:
            # what the peer has signed for and is to have again is not checked when the premises change
            await asyncio.to_thread(self._check_again, standing)
            self._checked_under = plan.stood
            return False
        delivered = plan.receipted if standing is None else min(standing, plan.number)
        if found is None or not self._fits(found, plan, delivered):
            await jetstream.rebuild(stream, self._peer.node, after=delivered, generation=plan.generation)
            return False
        if again is not None or not await jetstream.has_consumer(stream, self._peer.node):
            await jetstream.deliver_from(stream, self._peer.node, after=delivered)
        if found.last < min(plan.number, delivered + MOST_IN_STREAM):
            messages = await asyncio.to_thread(self._messages, found.last)
            try:
                await jetstream.publish_batch(client, self._peer.node, messages, after=found.last)
            except Displaced:
                await asyncio.sleep(BLOCKED_S)
            return False
        if found.first <= delivered - TRIM_LINES:
            await jetstream.trim(stream, self._peer.node, until=delivered)
        return True

    @staticmethod
    def _fits(found: StreamState, plan: Plan, delivered: int) -> bool:
        is_in_range = found.first <= delivered + 1 and delivered <= found.last <= plan.number
        return found.is_whole and found.generation == plan.generation and is_in_range

    # -- in PostgreSQL

    def _plan(self) -> Plan:
        with self._sessions.session() as connection, connection.transaction():
            row = connection.execute(
                PLAN,
                [self._peer.node],
            ).fetchone()
            if row is None:
                raise LookupError(f"{self._peer.node} is not a peer of this node.")
            number, generation, is_checked, stood, epoch, is_beyond = row
            receipted = outbox.receipted(connection, self._peer.node)
            signed_for = connection.execute(_IS_SIGNED_FOR, [self._peer.node, receipted]).fetchone()
            known = premises.known(connection)
            stand = premises.standing(known, self._own.node, self._peer.node, datetime.now(UTC))
            is_ours = signed_for != (False,) and not is_beyond
            return Plan(
                epoch=epoch,
                number=number,
                generation=renewing.generation(self._own, generation),
                receipted=receipted,
                stood=stood,
                is_open=is_ours and (self._peer.role is Role.CEN or (is_checked and stand == stood)),
            )

    def _messages(self, after: int) -> list[bytes]:
        with self._sessions.session() as connection:
            rows = connection.cursor(binary=True).execute(
                MESSAGES,
                [self._peer.node, after, outbox.MOST_LINES],
            )
            messages: list[bytes] = []
            size = 0
            for row in rows:
                message = _message(self._own, self._peer.node, *row)
                size += len(message)
                if messages and size > outbox.MOST_BYTES:
                    break
                messages.append(message)
        return messages

    # -- receipts

    async def _on_receipt(self, message: Msg) -> None:
        answer = await asyncio.to_thread(self._take, message.data)
        if answer is STORED:
            self.woken.set()
            if self._peer.successions:  # it may keep a box key for us: up to this line something may be boxed to it
                answer = b"%s %d" % (STORED, self._peer.boxed_from)
        if message.reply:
            with contextlib.suppress(NatsError):
                await message.respond(answer)

    def _take(self, raw: bytes) -> bytes:
        """Take in what the receiver tells; what does not hold is answered by `refused` and changes nothing."""
        try:
            if len(raw) > MOST_RECEIPT_BYTES:
                return REFUSED
            told = forms.from_json(raw, Standing)
            epoch = self._store(told)
            self._store_confirmations(told.erased)
        except (msgspec.MsgspecError, UnicodeDecodeError, Malformed):
            return REFUSED
        self._meet()
        if told.epoch != epoch:
            self._heard = (told.epoch, None)
            return ANEW + self._opening(epoch).encode() if told.epoch < epoch else STORED
        if told.held:
            with self._sessions.session() as connection:
                connection.execute(PARTED, [self._peer.node, epoch, list(told.held)])
        if told.wants_again:
            self._check_again(told.number)
            self._heard, self._again = (epoch, told.number), told.number
        else:
            heard, standing = self._heard
            is_known = heard == epoch and standing is not None
            self._heard = (epoch, max(standing or 0, told.number) if is_known else None)
        return STORED

    def _meet(self) -> None:
        """The peer has logged in under our newest cards."""
        if self._own.edition or self._peer.edition:
            with self._sessions.session() as connection:
                renewing.met(connection, self._own, self._peer)

    def _opening(self, epoch: int) -> str:
        return checkpoint.opening(self._own.node, self._peer.node, epoch, self._own.signing_key)

    def _store_confirmations(self, notes: tuple[str, ...]) -> None:
        if notes:
            with self._sessions.session() as connection, connection.transaction():
                erasing.store_confirmations(connection, self._own, self._peer, notes, datetime.now(UTC))

    def _check_again(self, number: int) -> None:
        """Have checked what the peer has signed for and wants once more: its premise may have fallen away since."""
        if self._peer.role is Role.NATION:
            with self._sessions.session() as connection:
                connection.execute(_CHECK_AGAIN, [number, self._peer.node, number, number])

    def _store(self, told: Standing) -> int:
        """Keep the receipt, with those of its epoch; returns the epoch of the feed.

        Raises:
            Malformed: the receipt does not hold, or is for another number or epoch than was told.
        """
        with self._sessions.session() as connection, connection.transaction():
            row = connection.execute(
                "SELECT epoch FROM exchange.feed WHERE peer = %s FOR SHARE", [self._peer.node]
            ).fetchone()
            epoch = int(row[0]) if row else 0
            if told.receipt is not None:
                self._store_receipt(connection, told, told.receipt, is_current=told.epoch == epoch)
        return epoch

    def _store_receipt(self, connection: Session, told: Standing, receipt: str, *, is_current: bool) -> None:
        head, _ = renewing.read_receipt(receipt, self._own, self._peer, epoch=told.epoch)
        if head.size != told.number:
            raise Malformed("The receipt is for another number than is told beside it.")
        if not is_current:
            connection.execute(
                "INSERT INTO exchange.receipt_before (peer, epoch, size, note, received_at) VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                [self._peer.node, told.epoch, head.size, receipt, datetime.now(UTC)],
            )
        else:
            connection.execute(
                "INSERT INTO exchange.receipt (peer, size, note, quarantined, stopped, received_at) "
                "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (peer, size) DO UPDATE "
                "SET quarantined = excluded.quarantined, stopped = excluded.stopped",
                [self._peer.node, head.size, receipt, told.quarantined, told.stopped, datetime.now(UTC)],
            )


def _message(  # noqa: PLR0913, PLR0917  # the columns of a line
    own: Identity,
    peer: str,
    epoch: int,
    number: int,
    core: bytes,
    boxed_key: bytes | None,
    leaf_hash: bytes,
    proof: bytes,
    signed: str | None,
    held: bytes | None,
) -> bytes:
    """A line as it travels now, signed by the key that holds now."""
    hashes, signed = outbox.split_proof(proof), renewing.head(own, signed)
    if held is not None:
        signature = renewing.held(own, peer, epoch, number, leaf_hash, held)
        return envelope.encode(
            Held(number=number, leaf_hash=leaf_hash, signature=signature, proof=hashes, checkpoint=signed)
        )
    return envelope.encode(Whole(core=core, boxed_key=boxed_key, proof=hashes, checkpoint=signed))
