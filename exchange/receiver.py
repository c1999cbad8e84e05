"""The receiver: pulls a peer's feed with several requests outstanding and hands it, batch by batch, to the inbox.

Nothing is acknowledged before it is recorded; what was delivered before is ignored, what is missing is asked for again.
Receipts are repeated until the sender says that it has stored them. The queue is bounded by what the requests allow.
"""

import asyncio
import contextlib
import json
import ssl
from datetime import UTC, datetime

import msgspec
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from exchange import jetstream
from exchange.accounts import CONSUMER, inbox_of, receipts_of, stream_of
from exchange.envelope import MOST_LINE_BYTES, Malformed, decode_line
from exchange.inbox import Inbox, OutOfStep, Stopped
from exchange.nkey import KeyedClient, meeting_key
from exchange.outbox import MOST_LINES
from exchange.peers import Identity, Peer
from exchange.relay import ANEW, STORED, Standing

REQUESTS = 4
REQUEST_LINES = 500
REQUEST_EXPIRES_S = 5
REQUEST_BYTES = MOST_LINE_BYTES + 64 * 1024
MOST_BATCH_BYTES = 32 * 1024 * 1024
MOST_QUEUED_BYTES = 2 * REQUESTS * REQUEST_BYTES
"""Twice what the requests allow: a server that sends more sends it unasked, and what is dropped is asked for again."""
LONGEST_NUMBER = 18
ASK_S = 0.01
PAUSE_S = 0.25
"""After an answer that there is nothing to be had: no stream, no consumer."""
ASK_AGAIN_S = 1.0
RECEIPT_S = 2.0
STOPPED_S = 5.0
TELL_AGAIN_S = 10.0
"""A sender that has begun its feed anew says so in its answer, and nowhere else."""

_NOTHING_THERE = frozenset({"409", "503"})
"""Statuses: the consumer or its stream went away, or there is none."""
_ENDED = frozenset({"404", "408"})
"""Statuses: the request is over, with as many messages fewer as it says."""


class Receiver:
    """The receiver of one feed. Database work runs in a thread; one batch at a time."""

    def __init__(self, inbox: Inbox, own: Identity, peer: Peer, tls: ssl.SSLContext | None) -> None:
        """Pull from one peer into an inbox."""
        self._inbox = inbox
        self._own = own
        self._peer = peer
        self._tls = tls
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._queued_bytes = 0
        self._due = 0
        self._heard_at = 0.0
        self._asked_at = -ASK_AGAIN_S
        self._is_missing = False

    async def run(self) -> None:
        """Receive until cancelled or until the connection breaks (then it raises, and is to be run again)."""
        key = meeting_key(self._own.box_key, self._peer.box_key, host=self._peer.node, guest=self._own.node)
        prefix = inbox_of(self._own.node)
        client = await jetstream.connect(self._peer.nats_url or "", key, inbox_prefix=prefix, tls=self._tls)
        try:
            await client.subscribe(f"{prefix}.d.0", cb=self._on_message, pending_bytes_limit=MOST_QUEUED_BYTES)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_asking(client))
                tasks.create_task(self._keep_receipting(client))
                tasks.create_task(self._keep_taking(client))
        finally:
            with contextlib.suppress(NatsError, OSError, asyncio.TimeoutError):
                await client.close()

    # -- asking for messages

    async def _on_message(self, message: Msg) -> None:
        """Queue what came; one subscription for all requests, or the order between them would be lost."""
        self._heard_at = asyncio.get_running_loop().time()
        headers = message.headers or {}
        status = headers.get("Status")
        if status is None:
            self._due -= 1
            if self._queued_bytes + len(message.data) <= MOST_QUEUED_BYTES:
                self._queued_bytes += len(message.data)
                self._queue.put_nowait(message)
        elif status in _ENDED:
            left = headers.get("Nats-Pending-Messages", "")
            self._due -= _number(left) if left.isdigit() else REQUEST_LINES
        elif status in _NOTHING_THERE:
            await asyncio.sleep(PAUSE_S)
            self._due = 0

    async def _keep_asking(self, client: KeyedClient) -> None:
        """Keep a few requests outstanding, while what they brought is not more than the queue should hold."""
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream_of(self._own.node)}.{CONSUMER}"
        asked = json.dumps(
            {"batch": REQUEST_LINES, "max_bytes": REQUEST_BYTES, "expires": REQUEST_EXPIRES_S * 1_000_000_000}
        ).encode()
        while client.is_connected:
            now = asyncio.get_running_loop().time()
            if now - self._heard_at > REQUEST_EXPIRES_S + 1:
                self._due, self._heard_at = 0, now
            while max(self._due, 0) + self._queue.qsize() <= (REQUESTS - 1) * REQUEST_LINES:
                self._due = max(self._due, 0) + REQUEST_LINES
                await client.publish(subject, asked, reply=f"{inbox_of(self._own.node)}.d.0")
            await asyncio.sleep(ASK_S)
        raise ConnectionError("the connection to the peer's NATS broke")

    async def _ask_again(self, client: KeyedClient) -> None:
        """Ask the sender to deliver what follows what we have, not more often than once a second."""
        now = asyncio.get_running_loop().time()
        if now - self._asked_at >= ASK_AGAIN_S:
            self._asked_at = now
            epoch, number = await asyncio.to_thread(self._inbox.place)
            told = Standing(epoch=epoch, number=number, wants_again=True)
            await client.publish(receipts_of(self._own.node), _json(told))

    # -- taking them in

    async def _keep_taking(self, client: KeyedClient) -> None:
        number = await asyncio.to_thread(self._inbox.number)
        await self._ask_again(client)
        batch: list[bytes] = []
        while True:
            message = await self._next()
            if message is None and number != (number := await asyncio.to_thread(self._inbox.number)):
                batch.clear()  # the feed was begun anew
                self._is_missing = True
            sequence = _sequence(message) if message is not None else 0
            if message is None or sequence != number + len(batch) + 1:
                is_cut_off = message is None and bool(batch)  # a batch comes whole, or its sender has begun anew
                if is_cut_off or sequence > number + len(batch) + 1:
                    self._is_missing = True
                if self._is_missing:
                    batch.clear()
                    await self._ask_again(client)
                continue
            self._is_missing = False
            batch.append(message.data)
            is_bounded = len(batch) <= MOST_LINES and sum(map(len, batch)) < MOST_BATCH_BYTES
            if not _ends_batch(message.data) and is_bounded:
                continue
            due, number = number + len(batch), await self._take(batch, number + 1)
            batch.clear()
            self._is_missing = number != due  # the feed was begun anew, or the batch is of another epoch
            if self._is_missing:
                await self._ask_again(client)
            else:
                await client.publish(message.reply, b"+ACK")

    async def _next(self) -> Msg | None:
        """The next message, or None after a while without one."""
        try:
            message = await asyncio.wait_for(self._queue.get(), ASK_AGAIN_S)
        except TimeoutError:
            return None
        self._queued_bytes -= len(message.data)
        return message

    async def _take(self, batch: list[bytes], first: int) -> int:
        """Have a batch recorded, or wait while the feed is stopped; returns the number then reached."""
        try:
            return await asyncio.to_thread(self._inbox.take, batch, first, datetime.now(UTC))
        except OutOfStep:
            return await asyncio.to_thread(self._inbox.number)
        except Stopped:
            await asyncio.sleep(STOPPED_S)
            raise

    # -- receipts

    async def _keep_receipting(self, client: KeyedClient) -> None:
        """Hand in the newest receipt until the sender has stored it, and tell when the feed is stopped.

        What was told is told again after a while, to hear whether the sender begins the feed anew.
        """
        told: Standing | None = None
        told_at = 0.0
        while True:
            await asyncio.to_thread(self._inbox.begin_anew, datetime.now(UTC))
            standing = await asyncio.to_thread(self._inbox.standing)
            loop_s = asyncio.get_running_loop().time()
            if standing != told or loop_s - told_at > TELL_AGAIN_S:
                with contextlib.suppress(NatsError, asyncio.TimeoutError):
                    answer = await client.request(receipts_of(self._own.node), _json(standing), timeout=RECEIPT_S)
                    if answer.data == STORED:
                        told, told_at = standing, loop_s
                        await asyncio.to_thread(self._inbox.stored, standing.number, datetime.now(UTC), standing.erased)
                    elif answer.data.startswith(ANEW):
                        told, told_at = standing, loop_s
                        await asyncio.to_thread(self._inbox.told_anew, _note(answer.data), datetime.now(UTC))
            await asyncio.sleep(PAUSE_S)


def _note(answer: bytes) -> str:
    """The statement in an answer; what is no text is no statement."""
    return answer.removeprefix(ANEW).decode("utf-8", "replace")


def _json(standing: Standing) -> bytes:
    return msgspec.json.encode(standing)


def _sequence(message: Msg) -> int:
    """The stream's sequence of a message, from $JS.ACK.stream.consumer.delivered.sequence…; 0 where it has none."""
    parts = (message.reply or "").split(".")
    return _number(parts[5]) if len(parts) == 9 else 0


def _number(text: str) -> int:
    """A number that a server told; 0 where it told none, or one that no stream can reach."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else 0


def _ends_batch(raw: bytes) -> bool:
    """Whether a line carries a checkpoint; what is no line ends the batch too, for the inbox to judge."""
    try:
        return decode_line(raw).checkpoint is not None
    except Malformed:
        return True
