"""The little of JetStream that a feed needs: one stream, one prepared consumer, atomic batches.

The stream is a buffer that may vanish at any moment: its sequence is the feed's number, its first message is the first
that the peer has not signed for, and whatever is missing is sent again out of PostgreSQL. Batches are all or nothing
(ADR-50) and name the sequence they follow, so that a line can neither be doubled nor displaced.
"""

import contextlib
import json
import secrets
import ssl
from collections.abc import Sequence
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from exchange.accounts import CONSUMER, stream_of, subject_of
from exchange.nkey import KeyedClient

GENERATION = "ncen-generation"
CONNECT_TIMEOUT_S = 5
REQUEST_TIMEOUT_S = 10
PENDING_BYTES = 32 * 1024 * 1024
ACK_WAIT_S = 30
MOST_UNACKNOWLEDGED = 20_000
DUPLICATE_WINDOW_S = 1
"""The shortest there is: nothing here relies on it."""


class Displaced(Exception):  # noqa: N818  # an answer: look again
    """The stream does not stand where the batch was to follow."""


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stream stands; `is_whole` is false when messages are missing inside it."""

    generation: int
    first: int
    last: int
    is_whole: bool


async def connect(
    url: str, key: Ed25519PrivateKey, *, inbox_prefix: str = "_INBOX", tls: ssl.SSLContext | None = None
) -> KeyedClient:
    """Connect with a key; the connection does not mend itself, whoever uses it connects anew.

    An address with `tls://` is never spoken to in the clear, whatever the server (or somebody on the way) says.

    Raises:
        OSError, nats.errors.Error: the server is not reachable or does not know the key, or does not encrypt.
    """
    client = KeyedClient(key, must_encrypt=url.startswith("tls://"))
    try:
        await client.connect(
            url,
            signature_cb=client.sign,
            allow_reconnect=False,
            connect_timeout=CONNECT_TIMEOUT_S,
            inbox_prefix=inbox_prefix.encode(),
            pending_size=PENDING_BYTES,
            error_cb=_ignore,
            tls=tls,
        )
    except BaseException:
        await client.abandon()
        raise
    return client


async def _ignore(_error: Exception) -> None:
    """Errors of the connection come back to whoever waits for an answer; the library would log them with subjects."""


async def state(stream: JetStreamContext, peer: str) -> StreamState | None:
    """Where the peer's stream stands, None where there is none."""
    try:
        info = await stream.stream_info(stream_of(peer))
    except NotFoundError:
        return None
    found, metadata = info.state, info.config.metadata or {}
    written = metadata.get(GENERATION, "")
    return StreamState(
        generation=int(written) if written.isdigit() else -1,
        first=found.first_seq,
        last=found.last_seq,
        is_whole=not found.num_deleted and found.messages == found.last_seq - found.first_seq + 1,
    )


async def message_at(stream: JetStreamContext, peer: str, number: int) -> bytes | None:
    """The message under a number in the peer's stream, None where there is none."""
    try:
        found = await stream.get_msg(stream_of(peer), number)
    except NotFoundError:
        return None
    return found.data


async def rebuild(stream: JetStreamContext, peer: str, *, after: int, generation: int) -> None:
    """Make the peer's stream anew, empty, so that the next message is number `after` + 1, with its consumer."""
    await drop(stream, peer)
    await stream.add_stream(
        StreamConfig(
            name=stream_of(peer),
            subjects=[subject_of(peer)],
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            first_seq=after + 1,
            allow_atomic=True,
            duplicate_window=DUPLICATE_WINDOW_S,
            metadata={GENERATION: str(generation)},
        )
    )
    await deliver_from(stream, peer, after=after)


async def drop(stream: JetStreamContext, peer: str) -> None:
    """Delete the peer's stream, if there is one: nothing of it can be fetched any more."""
    try:
        await stream.delete_stream(stream_of(peer))
    except NotFoundError:
        return


async def deliver_from(stream: JetStreamContext, peer: str, *, after: int) -> None:
    """Make the peer's consumer anew, so that it is given number `after` + 1 next."""
    with contextlib.suppress(NotFoundError):
        await stream.delete_consumer(stream_of(peer), CONSUMER)
    await stream.add_consumer(
        stream_of(peer),
        ConsumerConfig(
            durable_name=CONSUMER,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=after + 1,
            ack_policy=AckPolicy.ALL,
            ack_wait=ACK_WAIT_S,
            max_ack_pending=MOST_UNACKNOWLEDGED,
        ),
    )


async def has_consumer(stream: JetStreamContext, peer: str) -> bool:
    """Whether the peer's consumer is there."""
    try:
        await stream.consumer_info(stream_of(peer), CONSUMER)
    except NotFoundError:
        return False
    return True


async def trim(stream: JetStreamContext, peer: str, *, until: int) -> None:
    """Drop what the peer has signed for, up to this number."""
    await stream.purge_stream(stream_of(peer), seq=until + 1)


async def publish_batch(client: KeyedClient, peer: str, messages: Sequence[bytes], *, after: int) -> int:
    """Publish messages as one atomic batch that follows number `after`; returns the number reached, durably.

    Raises:
        Displaced: the stream stands elsewhere or did not take the batch; nothing of it was stored.
        nats.errors.Error: no answer came; whether it was stored shows when the stream is asked.
    """
    batch, subject, last = secrets.token_hex(8), subject_of(peer), len(messages)
    for place, message in enumerate(messages, start=1):
        headers = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(place)}
        if place == 1:
            headers["Nats-Expected-Last-Sequence"] = str(after)
        if place == last:
            headers["Nats-Batch-Commit"] = "1"
            answer = await client.request(subject, message, timeout=REQUEST_TIMEOUT_S, headers=headers)
            return _reached(answer.data, after + last)
        if place == 1:
            answer = await client.request(subject, message, timeout=REQUEST_TIMEOUT_S, headers=headers)
            _reached(answer.data or b"{}", None)
        else:
            await client.publish(subject, message, headers=headers)
    raise ValueError("a batch has at least one message")


def _reached(answer: bytes, expected: int | None) -> int:
    told: dict[str, Any] = json.loads(answer)
    if "error" in told or (expected is not None and told.get("seq") != expected):
        raise Displaced(str(told.get("error", {}).get("err_code", "another sequence")))
    return int(told.get("seq", 0))
