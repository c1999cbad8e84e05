"""Hostile batches, entries and receipts through the doors of the exchange: refused or set aside, never recorded."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from nats.aio.msg import Msg

from exchange import checkpoint, envelope, premises
from exchange.acceptance import Fault, accept
from exchange.envelope import Core, Malformed, decode_core, decode_line
from exchange.inbox import Stopped, resume
from exchange.outbox import MOST_LINES
from exchange.receiver import MOST_QUEUED_BYTES, Receiver, _number
from exchange.relay import REFUSED, Relay
from exchange.verifying import Mismatch, verify
from ledger.leaf import leaf_bytes, leaf_hash
from tests.exchange import test_tampering as good
from tests.exchange.conftest import MakeNode, free_databases, make_node
from tests.exchange.nodes import LAWYER, now, premise, seizure
from tests.hostile.measuring import MB, used

__all__ = ["free_databases", "make_node"]

MOST_BYTES = 300 * MB
DEEP = b"\x91" * 100_000
HUGE = b"\xdd\xff\xff\xff\xff"


def in_place(raw: bytes) -> list[bytes]:
    """The good batch with these bytes in place of its first line."""
    return [raw, *good.GOOD[1:]]


def as_core(raw: bytes) -> bytes:
    """A line around these bytes."""
    return envelope.encode(envelope.Whole(core=raw, boxed_key=None, proof=(), checkpoint=None))


def core_with(place: int, value: bytes) -> bytes:
    """A line whose core has these bytes where one of its parts belongs."""
    parts = msgspec.msgpack.decode(envelope.encode(good.core(8)[0]), type=list[msgspec.Raw])
    return as_core(b"\xdc" + len(parts).to_bytes(2, "big") + b"".join(
        value if at == place else bytes(memoryview(part)) for at, part in enumerate(parts)
    ))  # fmt: skip


BATCHES: dict[str, Callable[[], list[bytes]]] = {
    "nothing": list,
    "empty lines": lambda: [b""] * 3,
    "one byte": lambda: in_place(b"\xc1"),
    "deep MessagePack": lambda: in_place(DEEP),
    "an array without end": lambda: in_place(HUGE),
    "a text without end": lambda: in_place(b"\xdb\xff\xff\xff\xff"),
    "a map for a line": lambda: in_place(b"\x81\xa1a\x01"),
    "a line of noise": lambda: in_place(bytes(range(256)) * 40),
    "a line larger than any": lambda: in_place(b"\x00" * (envelope.MOST_LINE_BYTES + 1)),
    "JSON for a line": lambda: in_place(b'["whole/1"]'),
    "a tag nobody knows": lambda: in_place(b"\x95\xa7whole/9\xc4\x01x\xc0\x90\xc0"),
    "a part too many": lambda: in_place(b"\x96\xa7whole/1\xc4\x01x\xc0\x90\xc0" + DEEP),
    "a proof without end": lambda: in_place(b"\x95\xa7whole/1\xc4\x01x\xc0" + HUGE + b"\xc0"),
    "a proof of hundreds": lambda: in_place(b"\x95\xa7whole/1\xc4\x01x\xc0\xdc\x01\x00" + b"\xc4\x01x" * 256 + b"\xc0"),
    "a deep core": lambda: in_place(as_core(DEEP)),
    "a core without end": lambda: in_place(as_core(HUGE)),
    "a core that is a map": lambda: in_place(as_core(b"\x81\xa1a" + DEEP)),
    "a core of noise": lambda: in_place(as_core(bytes(range(256)))),
    "a part of the core that lies deep": lambda: in_place(core_with(4, DEEP)),
    "a number beyond all": lambda: in_place(core_with(3, b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff")),
    "a number below nought": lambda: in_place(core_with(3, b"\xff")),
    "a number that is a text": lambda: in_place(core_with(3, b"\xa11")),
    "a number with a fraction": lambda: in_place(core_with(3, b"\xcb\x40\x20\x00\x00\x00\x00\x00\x00")),
    "a node that is no code": lambda: in_place(core_with(1, b"\xa4XA\n>")),
    "a node in bytes that are no text": lambda: in_place(core_with(1, b"\xa2\xff\xfe")),
    "a time of the year 300,000": lambda: in_place(core_with(6, b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff")),
    "an extension for a body": lambda: in_place(core_with(9, b"\xc7\x05\x01abcde")),
    "a name that leads elsewhere": lambda: in_place(core_with(7, b"\xaaos.system\n")),
    "more lines than a batch has": lambda: [good.GOOD[0]] * (MOST_LINES + 1),
    "a checkpoint of noise": lambda: good.line_with(good.LAST, checkpoint="\u2014 XA \0" * 50),
    "a checkpoint of signatures": lambda: good.line_with(
        good.LAST, checkpoint="ncen/XA>XB\n16\nx\n\n" + "\u2014 XA AA==\n" * 90
    ),
    "a size without end": lambda: good.line_with(good.LAST, checkpoint=f"ncen/XA>XB\n{'9' * 900}\n"),
}


@pytest.mark.parametrize("name", BATCHES)
def test_a_hostile_batch_does_not_fit_whatever_it_is(name: str) -> None:
    raws = BATCHES[name]()
    with used() as used_up, pytest.raises(Mismatch) as refused:
        verify(raws, good.SOURCE, good.BEFORE)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) <= 200
    assert used_up.bytes < MOST_BYTES
    assert used_up.seconds < 5


def test_the_corpus_of_batches_stops_a_feed_and_records_nothing(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    to_b, from_a = xa.meet(xb), xb.meet(xa)
    for node in (xa, xb):
        node.do(premise(), LAWYER)
    xa.do(seizure())
    xa.export(to_b)
    xb.seal()
    premises.refresh(xb.session, xb.reader)
    box = xb.inbox(from_a)

    def stand() -> tuple[int, ...]:
        query = "SELECT (SELECT count(*) FROM ledger.entry), (SELECT count(*) FROM exchange.inbox)"
        return tuple(xb.session.execute(query).fetchone() or ())

    before = stand()
    for name, make in BATCHES.items():
        with pytest.raises(Stopped):
            box.take(make(), 1, now())
        row = xb.session.execute("SELECT stopped, evidence FROM exchange.inbox_feed").fetchone()
        assert row is not None, name
        assert row[0], name
        assert row[1], name
        assert stand() == before, name
        assert resume(xb.url, "XA"), name
    for first, lines in xa.batches(to_b):
        box.take(lines, first, now())
    assert stand() > before, "the sound batch goes in all the same"
    box.close()


# ---------------------------------------------------------------- what a peer has signed, and still is hostile

BODIES: dict[str, bytes] = {
    "a body of nothing but depth": DEEP,
    "a part that nobody knows, without end of depth": b"\x82\xa5event\xb1seizure.submitted\xa1z" + DEEP,
    "a part that claims to be endless": b"\x82\xa5event\xb1seizure.submitted\xa1z" + HUGE,
    "a map that claims to be endless": b"\xdf\xff\xff\xff\xff",
    "a body of noise": bytes(range(256)),
    "a body that is no UTF-8": b"\x81\xa5event\xb1seizure.\xff\xfebmitted",
    "another event": b"\x81\xa5event\xb0seizure.recorded",
    "JSON for a body": b'{"event":"seizure.submitted"}',
}


@pytest.mark.parametrize("name", BODIES)
def test_a_signed_entry_with_a_hostile_body_is_set_aside(name: str) -> None:
    one, _ = good.core(1)
    body = BODIES[name]
    leaf = leaf_hash(leaf_bytes(one.header, body, one.attribution_hash))
    with used() as used_up:
        judged = accept(msgspec.structs.replace(one, body=body, leaf=leaf), None, (good.BOX,), [good.AGREED], good.NOW)
    assert judged is Fault.BODY
    assert used_up.bytes < MOST_BYTES


# ---------------------------------------------------------------- what a receiver tells

RECEIPTS: dict[str, bytes] = {
    "nothing": b"",
    "noise": bytes(range(256)),
    "no UTF-8": b'{"number":1,"stopped":"\xff"}',
    "brackets": b"[" * 4_000,
    "a deep receipt": b'{"number":1,"receipt":' + b"[" * 4_000,
    "a deep part that nobody knows": b'{"number":1,"zz":' + b"[" * 4_000,
    "five thousand bytes": b" " * 5_000,
    "a number below nought": b'{"number":-1}',
    "a number beyond all": b'{"number":99999999999999999999}',
    "a number that is none": b'{"number":"1"}',
    "NUL in the reason": b'{"number":0,"stopped":"a\\u0000b"}',
    "a reason that a terminal obeys": b'{"number":0,"stopped":"\\u001b[2J"}',
    "a reason that is turned": b'{"number":0,"stopped":"\\u202eabc"}',
    "a reason without end": b'{"number":0,"stopped":"' + b"x" * 300 + b'"}',
    "a receipt that is none": b'{"number":1,"receipt":"x"}',
    "a receipt of lines": b'{"number":1,"receipt":"' + b"\\n" * 1_500 + b'"}',
    "a receipt of NUL": b'{"number":1,"receipt":"\\u0000\\n\\n\\u2014 XA AA==\\n"}',
}


def test_hostile_receipts_change_nothing(make_node: MakeNode) -> None:
    xa, xb = make_node("XA"), make_node("XB")
    relay = Relay(xa.url, xa.own, xa.meet(xb), "nats://127.0.0.1:1", None)
    for name, raw in RECEIPTS.items():
        assert relay._take(raw) is REFUSED, name
    row = xa.session.execute("SELECT count(*) FROM exchange.receipt").fetchone()
    assert row == (0,)
    relay._sessions.close()


@pytest.mark.parametrize("raw", [*RECEIPTS.values(), *BODIES.values()])
def test_no_reader_of_the_wire_raises_anything_but_its_own_answer(raw: bytes) -> None:
    for read in (decode_line, lambda one: decode_core(one, Core)):
        with pytest.raises(Malformed):
            read(raw)
    text = raw.decode("latin-1")
    with pytest.raises(Malformed):
        checkpoint.read(text, origin="XA", recipient="XB", key=good.KEY.public_key())


def test_a_server_that_sends_without_being_asked_does_not_fill_our_memory() -> None:
    receiver = Receiver(None, None, None, None)  # type: ignore[arg-type]  # nothing but its queue is asked
    flood = Msg(_client=None, subject="x", data=bytes(1_000_000))  # type: ignore[arg-type]  # it is not answered

    async def pour() -> int:
        for _ in range(100):
            await receiver._on_message(flood)
        return receiver._queue.qsize()

    assert asyncio.run(pour()) == MOST_QUEUED_BYTES // 1_000_000
    assert _number("\u00b2") == _number("9" * 5_000) == 0
